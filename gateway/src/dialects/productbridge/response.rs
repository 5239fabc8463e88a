//! Responses in the vendor's words: bodies and envelopes, byte for byte.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use utoipa::ToSchema;

use super::{Refusal, Rejection, echo};
use crate::{
    listen::Origin,
    proto::users_v1::{PingResponse, User},
    response::{empty, json_text, private, retry_after, time, with},
    upstream::UpstreamError,
};

/// What most objects take, in bytes.
const USUAL: usize = 512;

/// An end user. All nine keys are always there, in this order; what is not known is null.
#[derive(ToSchema)]
#[schema(as = productbridge::User)]
pub(super) struct UserObject<'a> {
    /// The link to this organization. Somebody who is removed and linked again has a new one.
    #[schema(format = Uuid)]
    id: &'a str,
    /// The person, the same in every organization.
    #[schema(format = Uuid)]
    user_id: &'a str,
    #[schema(required)]
    email: Option<&'a str>,
    #[schema(required)]
    name: Option<&'a str>,
    #[schema(required)]
    avatar_url: Option<&'a str>,
    /// `end_user` unless set.
    portal_role: &'a str,
    #[schema(required)]
    company_name: Option<&'a str>,
    #[schema(required)]
    customer_status: Option<&'a str>,
    /// When they were linked: UTC with milliseconds.
    #[schema(format = DateTime)]
    created_at: String,
}

/// Whose key it is.
#[derive(ToSchema)]
#[schema(as = productbridge::Pong)]
pub(super) struct Pong<'a> {
    #[schema(format = Uuid)]
    organization_id: &'a str,
    organization_slug: &'a str,
    /// The server's time.
    #[schema(format = DateTime)]
    timestamp: String,
}

pub(super) fn respond<T>(result: Result<T, Refusal>, granted: impl FnOnce(T) -> Response) -> Response {
    private(result.map_or_else(refused, granted))
}

pub(super) fn user(user: &User) -> Response {
    let user = UserObject {
        id: &user.id,
        user_id: &user.user_id,
        email: user.email.as_deref(),
        name: user.name.as_deref(),
        avatar_url: user.avatar_url.as_deref(),
        portal_role: &user.portal_role,
        company_name: user.company_name.as_deref(),
        customer_status: user.customer_status.as_deref(),
        created_at: milliseconds(user.created_at.as_ref()),
    };
    object(&[
        ("id", Some(user.id)),
        ("user_id", Some(user.user_id)),
        ("email", user.email),
        ("name", user.name),
        ("avatar_url", user.avatar_url),
        ("portal_role", Some(user.portal_role)),
        ("company_name", user.company_name),
        ("customer_status", user.customer_status),
        ("created_at", Some(&user.created_at)),
    ])
}

pub(super) fn deleted() -> Response {
    json_text(StatusCode::OK, r#"{"success":true}"#)
}

pub(super) fn pong(pong: &PingResponse) -> Response {
    let pong = Pong {
        organization_id: &pong.organization_id,
        organization_slug: &pong.organization_slug,
        timestamp: milliseconds(pong.time.as_ref()),
    };
    object(&[
        ("organization_id", Some(pong.organization_id)),
        ("organization_slug", Some(pong.organization_slug)),
        ("timestamp", Some(&pong.timestamp)),
    ])
}

pub(super) fn not_found() -> Response {
    json_text(StatusCode::NOT_FOUND, r#"{"detail":"Not Found"}"#)
}

pub(super) fn method_not_allowed() -> Response {
    let response = json_text(
        StatusCode::METHOD_NOT_ALLOWED,
        r#"{"detail":"Method Not Allowed"}"#,
    );
    with(response, header::ALLOW, "POST")
}

/// To a path of the same host. The location is absolute if the client has said what it calls us.
pub(super) fn redirect(origin: Origin<'_>, path: &str) -> Response {
    let Origin { scheme, host } = origin;
    let location = host.map_or_else(|| path.to_owned(), |host| format!("{scheme}://{host}{path}"));
    let mut response = empty(StatusCode::TEMPORARY_REDIRECT);
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
        Refusal::Rejected(Rejection::Unparsable) => json_text(
            StatusCode::BAD_REQUEST,
            r#"{"detail":"There was an error parsing the body"}"#,
        ),
        Refusal::Rejected(Rejection::Invalid(items)) => json_text(
            StatusCode::UNPROCESSABLE_ENTITY,
            format!(r#"{{"detail":{items}}}"#),
        ),
        Refusal::Rejected(Rejection::MissingKey) | Refusal::Failed(UpstreamError::Unauthenticated) => {
            error(StatusCode::UNAUTHORIZED, "invalid api_key")
        }
        Refusal::TooLarge => error(StatusCode::PAYLOAD_TOO_LARGE, "request body too large"),
        Refusal::Failed(UpstreamError::NotFound(_)) => error(StatusCode::NOT_FOUND, "user not found"),
        Refusal::Failed(UpstreamError::RateLimited(wait)) => {
            retry_after(error(StatusCode::TOO_MANY_REQUESTS, "rate limit exceeded"), wait)
        }
        Refusal::Failed(UpstreamError::Unavailable(wait) | UpstreamError::OutcomeUnknown(wait)) => {
            retry_after(
                error(StatusCode::SERVICE_UNAVAILABLE, "service unavailable"),
                wait,
            )
        }
        Refusal::Failed(UpstreamError::DeadlineExceeded) => {
            error(StatusCode::GATEWAY_TIMEOUT, "deadline exceeded")
        }
        // The others belong to calls that are not made here.
        Refusal::Failed(
            UpstreamError::InvalidToken
            | UpstreamError::PermissionDenied
            | UpstreamError::RoleRequired
            | UpstreamError::TooManyAttempts(_)
            | UpstreamError::InvalidArgument
            | UpstreamError::AlreadyExists(_)
            | UpstreamError::FailedPrecondition(_)
            | UpstreamError::Changed
            | UpstreamError::Internal,
        ) => error(StatusCode::INTERNAL_SERVER_ERROR, "internal server error"),
    }
}

/// The vendor's own envelope, as opposed to the framework's.
fn error(status: StatusCode, error: &str) -> Response {
    json_text(status, format!(r#"{{"detail":{{"error":"{error}"}}}}"#))
}

/// An object of texts, whose names need no escapes. `serde_json` looks at each byte by itself, which is a twentieth of what a
/// look-up takes.
fn object(members: &[(&str, Option<&str>)]) -> Response {
    let mut text = String::with_capacity(USUAL);
    let mut separator = "{\"";
    for (name, value) in members {
        text.push_str(separator);
        text.push_str(name);
        text.push_str("\":");
        match value {
            Some(value) => echo::text(value, &mut text),
            None => text.push_str("null"),
        }
        separator = ",\"";
    }
    text.push('}');
    json_text(StatusCode::OK, text)
}

/// UTC with milliseconds, such as `2026-04-01T08:00:00.000Z`.
fn milliseconds(moment: Option<&prost_types::Timestamp>) -> String {
    format!("{:.3}", time(moment))
}
