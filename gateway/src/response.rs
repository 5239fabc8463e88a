//! What the dialects' responses have in common.

use std::time::Duration;

use axum::{body::Body, response::Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

/// A response without a body.
pub(crate) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// A response with a body that is JSON already.
pub(crate) fn json_text<B>(status: StatusCode, text: impl Into<B>) -> http::Response<B> {
    let mut response = http::Response::new(text.into());
    *response.status_mut() = status;
    with(response, header::CONTENT_TYPE, "application/json")
}

/// A response with a value as JSON. `internal_error` is the body, in the dialect's words, of the 500 for a value that
/// can't be written.
pub(crate) fn json(status: StatusCode, value: &impl Serialize, internal_error: &'static str) -> Response {
    match serde_json::to_vec(value) {
        Ok(text) => json_text(status, text),
        Err(error) => {
            tracing::error!(%error, "a response could not be written");
            json_text(StatusCode::INTERNAL_SERVER_ERROR, internal_error)
        }
    }
}

/// The response with one more header.
pub(crate) fn with<B>(
    mut response: http::Response<B>,
    name: header::HeaderName,
    value: &'static str,
) -> http::Response<B> {
    response
        .headers_mut()
        .insert(name, HeaderValue::from_static(value));
    response
}

/// `retry-after`, in whole seconds (RFC 9110 §10.2.3), none too early, at least one.
pub(crate) fn retry_after<B>(mut response: http::Response<B>, wait: Duration) -> http::Response<B> {
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, seconds(wait).into());
    response
}

fn seconds(wait: Duration) -> u64 {
    let begun = u64::from(wait.subsec_nanos() > 0);
    wait.as_secs().saturating_add(begun).max(1)
}

/// Responses are about people, and some repeat what was sent, so no cache may show them to anybody else (RFC 9111
/// §5.2.2).
pub(crate) fn private(response: Response) -> Response {
    with(response, header::CACHE_CONTROL, "no-cache, private")
}

/// 1970 for a time that is absent or beyond the calendar: the directory sends none such.
pub(crate) fn time(time: Option<&prost_types::Timestamp>) -> jiff::Timestamp {
    time.and_then(|time| jiff::Timestamp::new(time.seconds, time.nanos).ok())
        .unwrap_or_default()
}
