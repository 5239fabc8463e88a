//! What the JSON port says of itself: `/openapi.json` about all dialects, `/openapi/NAME.json` about one, and pages for people:
//! `/docs` and, for a browser that opens the port, `/`.
//!
//! All of it is made of how the dialects describe themselves, when somebody first asks. The pages need no script and nothing
//! from elsewhere.

mod command;
mod page;
mod view;

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Path, Request, State},
    response::Response,
    routing::{any, get},
};
use http::{HeaderMap, Method, StatusCode, header};
use serde_json::Value;
use tracing::subscriber::NoSubscriber;

use self::view::Section;
use crate::{
    listen::Origin,
    openapi::{self, Dialect},
    response::{json_text, with},
};

const STYLE: &str = "/docs/style.css";

/// What the handlers share.
#[derive(Clone)]
struct Docs {
    dialects: fn() -> [Dialect; 3],
    made: Arc<OnceLock<Made>>,
}

/// What is made once.
struct Made {
    /// As it is sent.
    joint: Bytes,
    /// By the last segment of its path.
    single: HashMap<String, Bytes>,
    sections: Vec<Section>,
}

impl Docs {
    fn made(&self) -> &Made {
        self.made.get_or_init(|| {
            // The answers of dialects are described by being made, which those to faults log.
            tracing::subscriber::with_default(NoSubscriber::new(), || Made::of(self.dialects))
        })
    }
}

impl Made {
    fn of(dialects: fn() -> [Dialect; 3]) -> Self {
        let text = |document: Value| Bytes::from(document.to_string());
        let joint = openapi::document(dialects());
        Self {
            sections: view::sections(&joint),
            joint: text(joint),
            single: dialects()
                .into_iter()
                .map(|dialect| (format!("{}.json", dialect.name), text(dialect.document())))
                .collect(),
        }
    }
}

/// `/openapi.json`, `/openapi/`, `/docs`, and `/` for browsers. `nowhere` answers there whoever asks for something else.
pub(crate) fn routes<F>(dialects: fn() -> [Dialect; 3], nowhere: fn() -> F) -> Router
where
    F: Future<Output = Response> + Send + 'static,
{
    let docs = Docs {
        dialects,
        made: Arc::default(),
    };
    let home = async move |request: Request| {
        if is_read(request.method()) && wants_page(request.headers()) {
            page::home()
        } else {
            nowhere().await
        }
    };
    let single =
        async move |State(docs): State<Docs>, Path(name): Path<String>| match docs.made().single.get(&name) {
            Some(document) => json(document),
            None => nowhere().await,
        };
    Router::new()
        .route("/", any(home))
        .route("/docs", get(reference).fallback(nowhere))
        .route(STYLE, get(style).fallback(nowhere))
        .route("/openapi.json", get(joint).fallback(nowhere))
        .route("/openapi/{name}", get(single).fallback(nowhere))
        .with_state(docs)
}

async fn joint(State(docs): State<Docs>) -> Response {
    json(&docs.made().joint)
}

async fn reference(State(docs): State<Docs>, request: Request) -> Response {
    let origin = Origin::of(request.uri(), request.headers(), request.extensions());
    page::reference(&docs.made().sections, origin)
}

async fn style() -> Response {
    let response = Response::new(Body::from(include_str!("assets/docs.css")));
    kept(with(response, header::CONTENT_TYPE, "text/css; charset=utf-8"))
}

fn json(document: &Bytes) -> Response {
    kept(json_text(StatusCode::OK, document.clone()))
}

/// Kept for five minutes: after an update of the program, it is old for no longer than that.
fn kept(response: Response) -> Response {
    with(response, header::CACHE_CONTROL, "public, max-age=300")
}

fn is_read(method: &Method) -> bool {
    *method == Method::GET || *method == Method::HEAD
}

/// Whether a page is asked for, as browsers do when somebody opens an address.
fn wants_page(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|accept| accept.to_str().ok())
        .flat_map(|accept| accept.split(','))
        .any(|kind| {
            kind.split(';')
                .next()
                .is_some_and(|kind| kind.trim() == "text/html")
        })
}
