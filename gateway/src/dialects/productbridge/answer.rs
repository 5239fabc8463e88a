//! Answers in the vendor's words: bodies and envelopes, byte for byte.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use serde::Serialize;

use super::{Refusal, Rejection};
use crate::{
    fault::Fault,
    proto::users_v1::{PingResponse, User},
};

/// The user object: all nine keys, always, in this order.
#[derive(Serialize)]
struct UserObject<'a> {
    id: &'a str,
    user_id: &'a str,
    email: Option<&'a str>,
    name: Option<&'a str>,
    avatar_url: Option<&'a str>,
    portal_role: &'a str,
    company_name: Option<&'a str>,
    customer_status: Option<&'a str>,
    created_at: String,
}

#[derive(Serialize)]
struct Pong<'a> {
    organization_id: &'a str,
    organization_slug: &'a str,
    timestamp: String,
}

/// The answer to a request that was granted or refused. It is about people, and an item of a 422 has what was sent, so no
/// cache may show it to anybody else (RFC 9111 §5.2.2).
pub(super) fn respond<T>(result: Result<T, Refusal>, granted: impl FnOnce(T) -> Response) -> Response {
    let mut response = match result {
        Ok(value) => granted(value),
        Err(refusal) => refused(refusal),
    };
    response.headers_mut().insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-cache, private"),
    );
    response
}

pub(super) fn user(user: &User) -> Response {
    object(&UserObject {
        id: &user.id,
        user_id: &user.user_id,
        email: user.email.as_deref(),
        name: user.name.as_deref(),
        avatar_url: user.avatar_url.as_deref(),
        portal_role: &user.portal_role,
        company_name: user.company_name.as_deref(),
        customer_status: user.customer_status.as_deref(),
        created_at: time(user.created_at.as_ref()),
    })
}

pub(super) fn deleted() -> Response {
    json(StatusCode::OK, r#"{"success":true}"#)
}

pub(super) fn pong(pong: &PingResponse) -> Response {
    object(&Pong {
        organization_id: &pong.organization_id,
        organization_slug: &pong.organization_slug,
        timestamp: time(pong.time.as_ref()),
    })
}

pub(super) fn not_found() -> Response {
    json(StatusCode::NOT_FOUND, r#"{"detail":"Not Found"}"#)
}

pub(super) fn method_not_allowed() -> Response {
    let mut response = json(
        StatusCode::METHOD_NOT_ALLOWED,
        r#"{"detail":"Method Not Allowed"}"#,
    );
    response
        .headers_mut()
        .insert(header::ALLOW, HeaderValue::from_static("POST"));
    response
}

/// To a path of the same host. The location is absolute if the client has said what it calls us.
pub(super) fn redirect(headers: &HeaderMap, path: &str) -> Response {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .filter(|host| !host.is_empty());
    let location = host.map_or_else(|| path.to_owned(), |host| format!("http://{host}{path}"));
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    match HeaderValue::try_from(location) {
        Ok(location) => {
            response.headers_mut().insert(header::LOCATION, location);
            response
        }
        Err(_) => not_found(),
    }
}

fn refused(refusal: Refusal) -> Response {
    match refusal {
        Refusal::Rejected(Rejection::Unparsable) => json(
            StatusCode::BAD_REQUEST,
            r#"{"detail":"There was an error parsing the body"}"#,
        ),
        Refusal::Rejected(Rejection::Invalid(items)) => json(
            StatusCode::UNPROCESSABLE_ENTITY,
            format!(r#"{{"detail":{items}}}"#),
        ),
        Refusal::Rejected(Rejection::MissingKey) | Refusal::Failed(Fault::Unauthenticated) => {
            error(StatusCode::UNAUTHORIZED, "invalid api_key")
        }
        Refusal::TooLarge => error(StatusCode::PAYLOAD_TOO_LARGE, "request body too large"),
        Refusal::Failed(Fault::NotFound(_)) => error(StatusCode::NOT_FOUND, "user not found"),
        Refusal::Failed(Fault::RateLimited(wait)) => {
            retry_after(error(StatusCode::TOO_MANY_REQUESTS, "rate limit exceeded"), wait)
        }
        Refusal::Failed(Fault::Unavailable(wait)) => retry_after(
            error(StatusCode::SERVICE_UNAVAILABLE, "service unavailable"),
            wait,
        ),
        Refusal::Failed(Fault::DeadlineExceeded) => error(StatusCode::GATEWAY_TIMEOUT, "deadline exceeded"),
        // The others belong to calls that are not made here.
        Refusal::Failed(
            Fault::PermissionDenied
            | Fault::InvalidArgument
            | Fault::AlreadyExists(_)
            | Fault::FailedPrecondition(_)
            | Fault::Changed
            | Fault::Internal,
        ) => error(StatusCode::INTERNAL_SERVER_ERROR, "internal server error"),
    }
}

/// The vendor's own envelope, as opposed to the framework's.
fn error(status: StatusCode, error: &str) -> Response {
    json(status, format!(r#"{{"detail":{{"error":"{error}"}}}}"#))
}

/// Whole seconds, at least one (RFC 9110 §10.2.3).
fn retry_after(mut response: Response, wait: std::time::Duration) -> Response {
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, wait.as_secs().max(1).into());
    response
}

fn object(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(text) => json(StatusCode::OK, text),
        Err(error) => {
            tracing::error!(%error, "an answer could not be written");
            refused(Refusal::Failed(Fault::Internal))
        }
    }
}

fn json(status: StatusCode, text: impl Into<Body>) -> Response {
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// UTC with milliseconds, such as `2026-04-01T08:00:00.000Z`.
fn time(time: Option<&prost_types::Timestamp>) -> String {
    let time = time
        .and_then(|time| jiff::Timestamp::new(time.seconds, time.nanos).ok())
        .unwrap_or_default();
    format!("{time:.3}")
}
