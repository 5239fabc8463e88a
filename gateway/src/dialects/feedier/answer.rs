//! Answers in Laravel's words: bodies, statuses and headers.

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use serde::Serialize;

use super::rules::Errors;
use crate::{
    body::Unread,
    fault::{Fault, Rule, Thing},
};

/// Why a request is not answered with what it asks for.
#[derive(Debug)]
pub(super) enum Refusal {
    /// Nothing is at the path.
    NoRoute(String),
    /// The path does not take the method.
    NoMethod {
        method: String,
        path: String,
        methods: &'static str,
    },
    /// There is no key.
    Unauthenticated,
    /// No user has this id.
    NoUser(String),
    /// There are no filters of these names.
    UnknownFilters(Vec<String>),
    /// Its fields are not valid.
    Invalid(Errors),
    /// Its body was not read.
    Unread(Unread),
    /// The directory did not do it.
    Failed(Fault),
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Failed(fault)
    }
}

impl From<Unread> for Refusal {
    fn from(unread: Unread) -> Self {
        Self::Unread(unread)
    }
}

impl From<Errors> for Refusal {
    fn from(errors: Errors) -> Self {
        Self::Invalid(errors)
    }
}

#[derive(Serialize)]
struct Message<'a> {
    message: &'a str,
}

#[derive(Serialize)]
struct Invalid<'a> {
    message: &'a str,
    errors: &'a Errors,
}

/// JSON of a value.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(text) => typed(status, text),
        Err(error) => {
            tracing::error!(%error, "an answer could not be written");
            typed(StatusCode::INTERNAL_SERVER_ERROR, r#"{"message":"Server Error"}"#)
        }
    }
}

/// Done, and nothing to say.
pub(super) fn no_content() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// What a path takes.
pub(super) fn options(methods: &'static str) -> Response {
    let mut response = Response::new(Body::empty());
    response
        .headers_mut()
        .insert(header::ALLOW, HeaderValue::from_static(methods));
    response
}

pub(super) fn refused(refusal: Refusal) -> Response {
    match refusal {
        Refusal::NoRoute(path) => message(
            StatusCode::NOT_FOUND,
            &format!("The route {path} could not be found."),
        ),
        Refusal::NoMethod {
            method,
            path,
            methods,
        } => {
            let text = format!(
                "The {method} method is not supported for route {path}. Supported methods: {methods}."
            );
            let mut response = message(StatusCode::METHOD_NOT_ALLOWED, &text);
            response
                .headers_mut()
                .insert(header::ALLOW, HeaderValue::from_static(methods));
            response
        }
        Refusal::Unauthenticated => message(StatusCode::UNAUTHORIZED, "Unauthenticated."),
        Refusal::NoUser(id) => message(
            StatusCode::NOT_FOUND,
            &format!("No query results for model [App\\Models\\User] {id}"),
        ),
        Refusal::UnknownFilters(names) => message(
            StatusCode::BAD_REQUEST,
            &format!(
                "Requested filter(s) `{}` are not allowed. Allowed filter(s) are `name, email, role`.",
                names.join(", ")
            ),
        ),
        Refusal::Invalid(errors) => json(
            StatusCode::UNPROCESSABLE_ENTITY,
            &Invalid {
                message: &errors.summary(),
                errors: &errors,
            },
        ),
        Refusal::Unread(Unread::TooLarge) => {
            message(StatusCode::PAYLOAD_TOO_LARGE, "The POST data is too large.")
        }
        Refusal::Unread(Unread::TooSlow) => message(StatusCode::REQUEST_TIMEOUT, "Request Timeout"),
        Refusal::Unread(Unread::BrokenOff) => message(StatusCode::BAD_REQUEST, "Bad Request"),
        Refusal::Unread(Unread::NoRoom) => failed(Fault::NO_ROOM),
        Refusal::Failed(fault) => failed(fault),
    }
}

fn failed(fault: Fault) -> Response {
    match fault {
        // A key that is bound to no organization opens nothing here.
        Fault::Unauthenticated | Fault::NotFound(Thing::Organization) => {
            message(StatusCode::UNAUTHORIZED, "Unauthenticated.")
        }
        Fault::PermissionDenied | Fault::FailedPrecondition(Rule::LastOwner) => {
            message(StatusCode::FORBIDDEN, "This action is unauthorized.")
        }
        Fault::RateLimited(wait) => {
            retry_after(message(StatusCode::TOO_MANY_REQUESTS, "Too Many Attempts."), wait)
        }
        Fault::Unavailable(wait) => retry_after(
            message(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
            wait,
        ),
        Fault::DeadlineExceeded => message(StatusCode::GATEWAY_TIMEOUT, "Gateway Timeout"),
        // The handlers have answered those that they expect.
        Fault::InvalidArgument
        | Fault::NotFound(Thing::User | Thing::Member | Thing::Team | Thing::Other)
        | Fault::AlreadyExists(_)
        | Fault::FailedPrecondition(Rule::Other)
        | Fault::Changed
        | Fault::Internal => {
            tracing::error!(?fault, "a request failed");
            message(StatusCode::INTERNAL_SERVER_ERROR, "Server Error")
        }
    }
}

fn message(status: StatusCode, message: &str) -> Response {
    json(status, &Message { message })
}

/// Whole seconds, at least one (RFC 9110 §10.2.3).
fn retry_after(mut response: Response, wait: Duration) -> Response {
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, wait.as_secs().max(1).into());
    response
}

fn typed(status: StatusCode, text: impl Into<Body>) -> Response {
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn every_fault_has_laravels_words() {
        let second = Duration::from_millis(1500);
        for (refusal, status, text, retry) in [
            (
                Refusal::Failed(Fault::Unauthenticated),
                401,
                "Unauthenticated.",
                None,
            ),
            (
                Refusal::Failed(Fault::NotFound(Thing::Organization)),
                401,
                "Unauthenticated.",
                None,
            ),
            (
                Refusal::Failed(Fault::PermissionDenied),
                403,
                "This action is unauthorized.",
                None,
            ),
            (
                Refusal::Failed(Fault::FailedPrecondition(Rule::LastOwner)),
                403,
                "This action is unauthorized.",
                None,
            ),
            (
                Refusal::Failed(Fault::RateLimited(second)),
                429,
                "Too Many Attempts.",
                Some("1"),
            ),
            (
                Refusal::Failed(Fault::Unavailable(Duration::ZERO)),
                503,
                "Service Unavailable",
                Some("1"),
            ),
            (
                Refusal::Failed(Fault::DeadlineExceeded),
                504,
                "Gateway Timeout",
                None,
            ),
            (Refusal::Failed(Fault::Internal), 500, "Server Error", None),
            (Refusal::Failed(Fault::InvalidArgument), 500, "Server Error", None),
            (Refusal::Unread(Unread::TooSlow), 408, "Request Timeout", None),
            (
                Refusal::Unread(Unread::TooLarge),
                413,
                "The POST data is too large.",
                None,
            ),
            (Refusal::Unread(Unread::BrokenOff), 400, "Bad Request", None),
        ] {
            let response = refused(refusal);
            assert_eq!(response.status(), status, "{text}");
            let headers = response.headers().clone();
            let after = headers
                .get(header::RETRY_AFTER)
                .map(|value| value.to_str().unwrap());
            assert_eq!(after, retry, "{text}");
            assert_eq!(headers[header::CONTENT_TYPE], "application/json");
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body, format!(r#"{{"message":"{text}"}}"#));
        }
    }
}
