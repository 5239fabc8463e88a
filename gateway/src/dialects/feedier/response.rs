//! Responses in Laravel's words: bodies, statuses and headers.

use axum::{
    http::{HeaderName, StatusCode, header},
    response::Response,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::rules::Errors;
use crate::{
    body::BodyError,
    response::{self, retry_after},
    upstream::{Allowance, Precondition, Resource, UpstreamError},
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
    Body(BodyError),
    /// The directory did not do it.
    Failed(UpstreamError),
}

impl From<UpstreamError> for Refusal {
    fn from(error: UpstreamError) -> Self {
        Self::Failed(error)
    }
}

impl From<BodyError> for Refusal {
    fn from(error: BodyError) -> Self {
        Self::Body(error)
    }
}

impl From<Errors> for Refusal {
    fn from(errors: Errors) -> Self {
        Self::Invalid(errors)
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = feedier::Message)]
pub(super) struct Message<'a> {
    message: &'a str,
}

#[derive(Serialize, ToSchema)]
#[schema(as = feedier::Invalid)]
pub(super) struct Invalid<'a> {
    /// The first message, and how many more there are.
    message: &'a str,
    /// Messages by field.
    #[schema(value_type = HashMap<String, Vec<String>>)]
    errors: &'a Errors,
}

pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    response::json(status, value, r#"{"message":"Server Error"}"#)
}

pub(super) fn no_content() -> Response {
    response::empty(StatusCode::NO_CONTENT)
}

/// What tells a client how often it may call.
pub(super) const ALLOWANCE: [HeaderName; 2] = [
    HeaderName::from_static("x-ratelimit-limit"),
    HeaderName::from_static("x-ratelimit-remaining"),
];

/// The response, with how often the key may call.
pub(super) fn with_allowance(mut response: Response, allowance: Allowance) -> Response {
    let Allowance { limit, remaining } = allowance;
    for (name, value) in ALLOWANCE.into_iter().zip([limit, remaining]) {
        response.headers_mut().insert(name, value.into());
    }
    response
}

/// To OPTIONS: the methods of a path.
pub(super) fn options(methods: &'static str) -> Response {
    response::with(response::empty(StatusCode::OK), header::ALLOW, methods)
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
            response::with(
                message(StatusCode::METHOD_NOT_ALLOWED, &text),
                header::ALLOW,
                methods,
            )
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
        Refusal::Body(BodyError::TooLarge) => {
            message(StatusCode::PAYLOAD_TOO_LARGE, "The POST data is too large.")
        }
        Refusal::Body(BodyError::TooSlow) => message(StatusCode::REQUEST_TIMEOUT, "Request Timeout"),
        Refusal::Body(BodyError::BrokenOff) => message(StatusCode::BAD_REQUEST, "Bad Request"),
        Refusal::Body(BodyError::Overloaded) => failed(UpstreamError::OVERLOADED),
        Refusal::Failed(error) => failed(error),
    }
}

fn failed(error: UpstreamError) -> Response {
    match error {
        // A key that is bound to no organization opens nothing here, nor does a token in place of a key.
        UpstreamError::Unauthenticated
        | UpstreamError::InvalidToken
        | UpstreamError::NotFound(Resource::Organization) => {
            message(StatusCode::UNAUTHORIZED, "Unauthenticated.")
        }
        UpstreamError::PermissionDenied
        | UpstreamError::RoleRequired
        | UpstreamError::FailedPrecondition(Precondition::LastOwner) => {
            message(StatusCode::FORBIDDEN, "This action is unauthorized.")
        }
        UpstreamError::RateLimited(wait) => {
            retry_after(message(StatusCode::TOO_MANY_REQUESTS, "Too Many Attempts."), wait)
        }
        UpstreamError::Unavailable(wait) | UpstreamError::OutcomeUnknown(wait) => retry_after(
            message(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
            wait,
        ),
        UpstreamError::DeadlineExceeded => message(StatusCode::GATEWAY_TIMEOUT, "Gateway Timeout"),
        // The handlers have answered those that they expect, and none sends a password.
        UpstreamError::TooManyAttempts(_)
        | UpstreamError::InvalidArgument
        | UpstreamError::NotFound(Resource::User | Resource::Member | Resource::Team | Resource::Other)
        | UpstreamError::AlreadyExists(_)
        | UpstreamError::FailedPrecondition(
            Precondition::PasswordTooCommon
            | Precondition::NoEmail
            | Precondition::RetentionPassed
            | Precondition::MemberErased
            | Precondition::Other,
        )
        | UpstreamError::Changed
        | UpstreamError::Internal => {
            tracing::error!(?error, "a request failed");
            message(StatusCode::INTERNAL_SERVER_ERROR, "Server Error")
        }
    }
}

fn message(status: StatusCode, message: &str) -> Response {
    json(status, &Message { message })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn every_error_has_laravels_words() {
        let second = Duration::from_millis(1500);
        for (refusal, status, text, retry) in [
            (
                Refusal::Failed(UpstreamError::Unauthenticated),
                401,
                "Unauthenticated.",
                None,
            ),
            (
                Refusal::Failed(UpstreamError::NotFound(Resource::Organization)),
                401,
                "Unauthenticated.",
                None,
            ),
            (
                Refusal::Failed(UpstreamError::PermissionDenied),
                403,
                "This action is unauthorized.",
                None,
            ),
            (
                Refusal::Failed(UpstreamError::FailedPrecondition(Precondition::LastOwner)),
                403,
                "This action is unauthorized.",
                None,
            ),
            (
                Refusal::Failed(UpstreamError::RateLimited(second)),
                429,
                "Too Many Attempts.",
                Some("2"),
            ),
            (
                Refusal::Failed(UpstreamError::Unavailable(Duration::ZERO)),
                503,
                "Service Unavailable",
                Some("1"),
            ),
            (
                Refusal::Failed(UpstreamError::DeadlineExceeded),
                504,
                "Gateway Timeout",
                None,
            ),
            (
                Refusal::Failed(UpstreamError::Internal),
                500,
                "Server Error",
                None,
            ),
            (
                Refusal::Failed(UpstreamError::InvalidArgument),
                500,
                "Server Error",
                None,
            ),
            (Refusal::Body(BodyError::TooSlow), 408, "Request Timeout", None),
            (
                Refusal::Body(BodyError::TooLarge),
                413,
                "The POST data is too large.",
                None,
            ),
            (Refusal::Body(BodyError::BrokenOff), 400, "Bad Request", None),
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
