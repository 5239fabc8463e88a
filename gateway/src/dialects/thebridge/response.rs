//! Responses as Nest on Express writes them: bodies, statuses, headers.

use std::{convert::Infallible, fmt::Write as _, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::Response,
};
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use futures_util::stream;
use serde::Serialize;
use sha1::{Digest as _, Sha1};
use utoipa::{
    ToSchema,
    openapi::{Array, ObjectBuilder, OneOfBuilder, Schema, Type},
};

use super::{input::BodyRefusal, rules::Messages};
use crate::{
    response::{retry_after, with},
    upstream::{Precondition, Resource, UpstreamError},
};

/// The characters of the digest in an etag: a byte's worth of padding is left out.
const ETAG_DIGEST: usize = 27;

/// Why a request is not answered with what it asks for.
#[derive(Debug)]
pub(super) enum Refusal {
    /// Nothing is there, or not with this method.
    NoRoute {
        method: Method,
        /// As it was asked for.
        url: String,
    },
    /// A part of the path that is to be an id, and can't be decoded.
    BadParam(String),
    /// Its body was not read.
    Body(BodyRefusal),
    /// Fields are not valid.
    Invalid(Messages),
    /// It is refused for a reason that the vendor has a code for.
    Coded(Reason),
    /// The directory did not do it.
    Failed(UpstreamError),
}

/// What the vendor has a code for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// The key is missing or not good.
    NoKey,
    /// The access token is not good.
    NoToken,
    /// The key or the user may not.
    Forbidden,
    /// No tenant is named, or none that the key may see.
    NoTenant,
    NoUser,
    /// The address is taken.
    Taken,
    NoSuchRole,
    /// The last owner stays.
    LastOwner,
    NoUsername,
    /// A value is not one that can be.
    Malformed,
}

impl Reason {
    /// Status, code and message.
    const fn words(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::NoKey => (
                StatusCode::UNAUTHORIZED,
                "NBLOCKS_APP_UNAUTHORIZED_EXCEPTION",
                "App is unauthenticated. This usually means your APP API Key is not valid.",
            ),
            Self::NoToken => (
                StatusCode::UNAUTHORIZED,
                "NBLOCKS_INVALID_AUTH_TOKEN",
                "Invalid auth token.",
            ),
            Self::Forbidden => (
                StatusCode::FORBIDDEN,
                "NBLOCKS_FORBIDDEN_EXCEPTION",
                "You do not have access to this resource.",
            ),
            Self::NoTenant => (
                StatusCode::NOT_FOUND,
                "NBLOCKS_NOT_FOUND_TENANT_EXCEPTION",
                "Tenant do not exists",
            ),
            Self::NoUser => (StatusCode::NOT_FOUND, "NBLOCKS_USER_NOT_FOUND", "User not found."),
            Self::Taken => (
                StatusCode::CONFLICT,
                "NBLOCKS_CONFLICT",
                "You cannot have two users with the same email in the same tenant.",
            ),
            Self::NoSuchRole => (
                StatusCode::BAD_REQUEST,
                "NBLOCKS_INVALID_ROLE",
                "The role you're changing to are not within your defined app roles.",
            ),
            Self::LastOwner => (
                StatusCode::BAD_REQUEST,
                "NBLOCKS_OWNER_ROLE_MUST_EXIST",
                "Your app must have the role OWNER.",
            ),
            Self::NoUsername => (
                StatusCode::BAD_REQUEST,
                "NBLOCKS_MISSING_USERNAME",
                "Missing username.",
            ),
            Self::Malformed => (
                StatusCode::BAD_REQUEST,
                "NBLOCKS_MISSING_REQUIRED_VARIABLES_EXCEPTION",
                "you're missing some required variables or the ones you've provided are not formated correctly",
            ),
        }
    }
}

impl From<UpstreamError> for Refusal {
    fn from(error: UpstreamError) -> Self {
        Self::Failed(error)
    }
}

impl From<BodyRefusal> for Refusal {
    fn from(refusal: BodyRefusal) -> Self {
        Self::Body(refusal)
    }
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self::Coded(reason)
    }
}

/// An error that the vendor has a code for.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = thebridge::Error)]
pub(super) struct Coded<'a> {
    message: &'a str,
    /// The same as `nblocksCode`.
    error: &'a str,
    status_code: u16,
    nblocks_code: &'a str,
}

/// An error of Nest.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = thebridge::NestError)]
pub(super) struct Framework<'a, M> {
    #[schema(schema_with = message_schema)]
    message: M,
    error: &'a str,
    status_code: u16,
}

/// One message, or those of all fields.
fn message_schema() -> Schema {
    let one = ObjectBuilder::new().schema_type(Type::String).build();
    OneOfBuilder::new()
        .item(Array::new(one.clone()))
        .item(one)
        .build()
        .into()
}

/// An error of Express that Nest passes on.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = thebridge::ExpressError)]
pub(super) struct Unknown<'a> {
    status_code: u16,
    message: &'a str,
}

/// A response with a value as JSON.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_string(value) {
        Ok(text) => json_text(status, text),
        Err(error) => {
            tracing::error!(%error, "a response could not be written");
            let text = r#"{"statusCode":500,"message":"Internal server error"}"#;
            json_text(StatusCode::INTERNAL_SERVER_ERROR, text.to_owned())
        }
    }
}

/// A response with a body that is JSON already, and its etag.
pub(super) fn json_text(status: StatusCode, text: String) -> Response {
    let etag = etag(text.as_bytes());
    let mut response = streamed(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::ETAG, etag);
    response
}

/// 200 with a body that is JSON and comes bit by bit: nobody knows its etag yet.
pub(super) fn streamed(body: Body) -> Response {
    with(
        Response::new(body),
        header::CONTENT_TYPE,
        "application/json; charset=utf-8",
    )
}

/// `{}`.
pub(super) fn done() -> Response {
    json_text(StatusCode::OK, "{}".to_owned())
}

/// The weak etag that Express computes.
fn etag(body: &[u8]) -> HeaderValue {
    let digest = STANDARD_NO_PAD.encode(Sha1::digest(body));
    let digest = digest.get(..ETAG_DIGEST).unwrap_or(&digest);
    let etag = format!("W/\"{:x}-{digest}\"", body.len());
    HeaderValue::try_from(etag).unwrap_or(HeaderValue::from_static("W/\"\""))
}

/// The response, or 304 if the client has it already (Express's `fresh`).
pub(super) fn unless_fresh(response: Response, asked: &Method, headers: &HeaderMap) -> Response {
    let reads = *asked == Method::GET || *asked == Method::HEAD;
    if reads && response.status().is_success() && is_fresh(&response, headers) {
        let (mut parts, _) = response.into_parts();
        parts.status = StatusCode::NOT_MODIFIED;
        parts.headers.remove(header::CONTENT_TYPE);
        // Of unknown length: to HEAD, that of an empty body would be told as the answer's.
        let nothing = stream::empty::<Result<Bytes, Infallible>>();
        return Response::from_parts(parts, Body::from_stream(nothing));
    }
    response
}

fn is_fresh(response: &Response, headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let reload = text(header::CACHE_CONTROL)
        .is_some_and(|value| value.split(',').any(|directive| directive.trim() == "no-cache"));
    let etag = response
        .headers()
        .get(header::ETAG)
        .and_then(|etag| etag.to_str().ok());
    let (Some(etag), Some(held), false) = (etag, text(header::IF_NONE_MATCH), reload) else {
        return false;
    };
    let opaque = |etag: &str| etag.trim().trim_start_matches("W/").to_owned();
    held.trim() == "*" || held.split(',').any(|held| opaque(held) == opaque(etag))
}

pub(super) fn refused(refusal: Refusal) -> Response {
    match refusal {
        Refusal::NoRoute { method, url } => framework(
            StatusCode::NOT_FOUND,
            "Not Found",
            format!("Cannot {method} {url}"),
        ),
        Refusal::BadParam(param) => bad_request(format!("Failed to decode param '{param}'")),
        Refusal::Invalid(messages) => bad_request(messages),
        Refusal::Coded(reason) => coded(reason),
        Refusal::Body(refusal) => body_refused(refusal),
        Refusal::Failed(error) => failed(error),
    }
}

fn body_refused(refusal: BodyRefusal) -> Response {
    let unsupported = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    match refusal {
        BodyRefusal::Syntax(message) => json_text(
            StatusCode::BAD_REQUEST,
            format!(
                r#"{{"message":{},"error":"Bad Request","statusCode":400}}"#,
                quoted(&message)
            ),
        ),
        BodyRefusal::Charset(charset) => unknown(unsupported, &format!("unsupported charset \"{charset}\"")),
        BodyRefusal::Encoding(encoding) => unknown(
            unsupported,
            &format!("unsupported content encoding \"{encoding}\""),
        ),
        BodyRefusal::TooLarge => unknown(StatusCode::PAYLOAD_TOO_LARGE, "request entity too large"),
        BodyRefusal::TooManyParameters => unknown(StatusCode::PAYLOAD_TOO_LARGE, "too many parameters"),
        BodyRefusal::TooDeep => unknown(StatusCode::BAD_REQUEST, "The input exceeded the depth"),
        BodyRefusal::TooSlow => unknown(StatusCode::REQUEST_TIMEOUT, "request timeout"),
        BodyRefusal::BrokenOff => unknown(StatusCode::BAD_REQUEST, "request aborted"),
        BodyRefusal::Overloaded => failed(UpstreamError::OVERLOADED),
    }
}

fn failed(error: UpstreamError) -> Response {
    match error {
        // What was shown as a key may be a token. The handover, which takes one, says so itself.
        UpstreamError::Unauthenticated | UpstreamError::InvalidToken => coded(Reason::NoKey),
        UpstreamError::PermissionDenied | UpstreamError::RoleRequired => coded(Reason::Forbidden),
        UpstreamError::NotFound(Resource::Organization) => coded(Reason::NoTenant),
        UpstreamError::NotFound(Resource::Member | Resource::User) => coded(Reason::NoUser),
        UpstreamError::AlreadyExists(Resource::Member) => coded(Reason::Taken),
        UpstreamError::FailedPrecondition(Precondition::LastOwner) => coded(Reason::LastOwner),
        // There is no address to write to.
        UpstreamError::FailedPrecondition(Precondition::NoEmail) => coded(Reason::NoUsername),
        UpstreamError::InvalidArgument => coded(Reason::Malformed),
        UpstreamError::RateLimited(wait) | UpstreamError::TooManyAttempts(wait) => {
            retry_after(other(StatusCode::TOO_MANY_REQUESTS, "Too Many Requests"), wait)
        }
        UpstreamError::Unavailable(wait) | UpstreamError::OutcomeUnknown(wait) => retry_after(
            other(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
            wait,
        ),
        UpstreamError::DeadlineExceeded => other(StatusCode::GATEWAY_TIMEOUT, "Gateway Timeout"),
        // The handlers have answered those that they expect.
        UpstreamError::NotFound(Resource::Team | Resource::Other)
        | UpstreamError::AlreadyExists(
            Resource::Organization | Resource::User | Resource::Team | Resource::Other,
        )
        | UpstreamError::FailedPrecondition(
            Precondition::PasswordTooCommon
            | Precondition::RetentionPassed
            | Precondition::MemberErased
            | Precondition::Other,
        )
        | UpstreamError::Changed
        | UpstreamError::Internal => {
            tracing::error!(?error, "a request failed");
            other(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error")
        }
    }
}

fn coded(reason: Reason) -> Response {
    let (status, code, message) = reason.words();
    with_code(status, code, message)
}

/// What the vendor has no code of its own for.
fn other(status: StatusCode, message: &str) -> Response {
    with_code(status, "NBLOCKS_ERROR", message)
}

fn with_code(status: StatusCode, code: &str, message: &str) -> Response {
    let error = Coded {
        message,
        error: code,
        status_code: status.as_u16(),
        nblocks_code: code,
    };
    json(status, &error)
}

fn bad_request(message: impl Serialize) -> Response {
    framework(StatusCode::BAD_REQUEST, "Bad Request", message)
}

fn framework(status: StatusCode, error: &str, message: impl Serialize) -> Response {
    let error = Framework {
        message,
        error,
        status_code: status.as_u16(),
    };
    json(status, &error)
}

fn unknown(status: StatusCode, message: &str) -> Response {
    let error = Unknown {
        status_code: status.as_u16(),
        message,
    };
    json(status, &error)
}

/// A text in UTF-16 as JSON. Half of a surrogate pair is an escape, as `JSON.stringify` writes it.
fn quoted(text: &[u16]) -> String {
    let mut json = String::from("\"");
    for letter in char::decode_utf16(text.iter().copied()) {
        match letter {
            Ok(letter) => {
                let letter = serde_json::Value::from(letter.to_string()).to_string();
                json.push_str(letter.get(1..letter.len() - 1).unwrap_or_default());
            }
            Err(half) => {
                // Writing to a `String` does not fail.
                let _ = write!(json, "\\u{:x}", half.unpaired_surrogate());
            }
        }
    }
    json.push('"');
    json
}

/// Others changed the user each time it was to be changed, or for too long.
pub(super) const fn too_busy() -> Refusal {
    Refusal::Failed(UpstreamError::Unavailable(Duration::from_secs(1)))
}
