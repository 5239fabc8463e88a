//! The pages, with headers that let them do nothing but be read.

use askama::Template;
use axum::{body::Body, response::Response};
use http::{HeaderName, StatusCode, header};

use super::{STYLE, view::Section};
use crate::{
    listen::Origin,
    response::{empty, with},
};

/// No script, no picture, no form, no frame; the one style file.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::CONTENT_TYPE, "text/html; charset=utf-8"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    // The address is the client's own name for the server.
    (header::CACHE_CONTROL, "no-store"),
];

/// Where the first page leads.
#[derive(Template)]
#[template(path = "docs/home.html")]
struct Home {
    style: &'static str,
}

/// All operations.
#[derive(Template)]
#[template(path = "docs/reference.html")]
struct Reference<'s> {
    style: &'static str,
    sections: &'s [Section],
    /// What the client calls the server, such as `http://127.0.0.1:8080`.
    base: String,
}

pub(super) fn home() -> Response {
    with(page(&Home { style: STYLE }), header::VARY, "accept")
}

pub(super) fn reference(sections: &[Section], origin: Origin<'_>) -> Response {
    let host = origin
        .host
        .filter(|host| is_host(host))
        .unwrap_or("127.0.0.1:8080");
    page(&Reference {
        style: STYLE,
        sections,
        base: format!("{}://{host}", origin.scheme),
    })
}

/// Whether it can stand in a command without quotes.
fn is_host(host: &str) -> bool {
    host.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte))
}

fn page(template: &impl Template) -> Response {
    let response = match template.render() {
        Ok(html) => Response::new(Body::from(html)),
        Err(error) => {
            tracing::error!(%error, "a page could not be written");
            empty(StatusCode::INTERNAL_SERVER_ERROR)
        }
    };
    HEADERS
        .into_iter()
        .fold(response, |response, (name, value)| with(response, name, value))
}
