//! ProductBridge's public API v1: users (wire contract: `docs/productbridge.md`).
//!
//! A request is read by [`body`], asked of the directory, and answered by [`response`]. The vendor's service is a FastAPI
//! application, and its errors are that framework's.
//!
//! To add an endpoint: its path and handler in [`routes`], its request in [`body`], its response in [`response`].

mod body;
mod content_type;
mod echo;
mod items;
mod openapi;
mod python_json;
mod response;
mod uuid_text;

use std::convert::Infallible;

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{HeaderMap, Uri, header},
    response::Response,
    routing::{MethodRouter, post_service},
};
use futures_util::FutureExt as _;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use tower::{ServiceExt as _, service_fn};

pub(crate) use self::openapi::dialect;

use self::body::{LookupText, Rejection};
use crate::{
    Upstream,
    body::{BodyError, MAX_BODY},
    listen::Origin,
    proto::users_v1::retrieve_request,
    upstream::{Key, UpstreamError},
};

const RETRIEVE: &str = "/api/external/v1/users/retrieve";
const DELETE: &str = "/api/external/v1/users/delete";
const PING: &str = "/api/external/v1/ping";

/// The longest address that anybody can have, in bytes: 320 characters. One that is longer is not asked for.
const MAX_EMAIL: usize = 320 * 4;

/// What the framework escapes in a redirect, and what is no ASCII.
const QUOTED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// The endpoints, and the framework's answers for what is none.
pub(crate) fn routes(upstream: Upstream) -> Router {
    Router::new()
        .route(RETRIEVE, endpoint(&upstream, retrieve))
        .route(DELETE, endpoint(&upstream, delete))
        .route(PING, endpoint(&upstream, ping))
        .fallback(move |request| unrouted(upstream, request))
}

/// Of a request, what answers it is given the body, and whether that is parsed. An axum handler would keep the rest as long as
/// it answers, which is most of what a look-up takes in memory.
fn endpoint<A>(upstream: &Upstream, answer: fn(Upstream, Body, bool) -> A) -> MethodRouter
where
    A: Future<Output = Response> + Send + 'static,
{
    let upstream = upstream.clone();
    let service = service_fn(move |request: Request| {
        let is_json = is_json(request.headers());
        answer(upstream.clone(), request.into_body(), is_json).map(Ok::<_, Infallible>)
    });
    post_service(service).fallback(async || response::method_not_allowed())
}

/// Why a request is not answered with what it asks for.
enum Refusal {
    /// Its body is no request.
    Rejected(Rejection),
    /// Its body is larger than the gateway reads.
    TooLarge,
    /// The directory did not do it.
    Failed(UpstreamError),
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

impl From<BodyError> for Refusal {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge => Self::TooLarge,
            BodyError::TooSlow => Self::Failed(UpstreamError::DeadlineExceeded),
            BodyError::Overloaded => Self::Failed(UpstreamError::OVERLOADED),
            BodyError::BrokenOff => Self::Rejected(Rejection::Unparsable),
        }
    }
}

impl From<UpstreamError> for Refusal {
    fn from(error: UpstreamError) -> Self {
        Self::Failed(error)
    }
}

/// What is at a path that is nobody's.
pub(crate) async fn nowhere() -> Response {
    response::not_found()
}

async fn retrieve(upstream: Upstream, body: Body, is_json: bool) -> Response {
    let user = async {
        let bytes = crate::body::read(body, MAX_BODY).await?;
        let request = body::retrieve(&bytes, is_json)?;
        let by = match request.by {
            body::By::UserId(id) => retrieve_request::By::UserId(id.to_string()),
            body::By::Email(email) => {
                // The directory knows no empty address, so it looks at the key and finds nobody.
                let known = email.filter(|email| email.len() <= MAX_EMAIL);
                retrieve_request::By::Email(known.unwrap_or_default().into_owned())
            }
        };
        Ok(upstream.retrieve(&key(&request.api_key)?, by).await?)
    };
    response::respond(user.await, |user| response::user(&user))
}

async fn delete(upstream: Upstream, body: Body, is_json: bool) -> Response {
    let deleted = async {
        let bytes = crate::body::read(body, MAX_BODY).await?;
        let request = body::delete(&bytes, is_json)?;
        Ok(upstream.delete(&key(&request.api_key)?, request.user_id).await?)
    };
    response::respond(deleted.await, |()| response::deleted())
}

async fn ping(upstream: Upstream, body: Body, is_json: bool) -> Response {
    let pong = async {
        let bytes = crate::body::read(body, MAX_BODY).await?;
        let request = body::ping(&bytes, is_json)?;
        Ok(upstream.ping(&key(&request.api_key)?).await?)
    };
    response::respond(pong.await, |pong| response::pong(&pong))
}

/// The key to ask with. One that can't be a key is answered like one that is unknown.
fn key(api_key: &LookupText<'_>) -> Result<Key, UpstreamError> {
    api_key
        .as_deref()
        .and_then(Key::of_api)
        .ok_or(UpstreamError::Unauthenticated)
}

fn is_json(headers: &HeaderMap) -> bool {
    content_type::is_json(
        headers
            .get(header::CONTENT_TYPE)
            .map(header::HeaderValue::as_bytes),
    )
}

/// A path that is no endpoint as it stands. The framework decodes it before it looks, and sends one with slashes at its
/// end to the endpoint without.
async fn unrouted(upstream: Upstream, mut request: Request) -> Response {
    let raw = request.uri().path();
    let Ok(decoded) = percent_decode_str(raw).decode_utf8() else {
        return response::not_found();
    };
    let trimmed = decoded.trim_end_matches('/');
    let Some(endpoint) = [RETRIEVE, DELETE, PING].into_iter().find(|path| *path == trimmed) else {
        return response::not_found();
    };
    if trimmed != decoded {
        let origin = Origin::of(request.uri(), request.headers(), request.extensions());
        let query = request.uri().query().filter(|query| !query.is_empty());
        let quoted = query.map(|query| utf8_percent_encode(query, QUOTED));
        let path = quoted.map_or_else(|| endpoint.to_owned(), |query| format!("{endpoint}?{query}"));
        return response::redirect(origin, &path);
    }
    // It is an endpoint, written with escapes. None looks at the query.
    *request.uri_mut() = Uri::from_static(endpoint);
    match routes(upstream).oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}
