//! The one place that makes a [`Status`]. A client reads what to do about it; the log gets the rest.

use std::{collections::HashMap, time::Duration};

use http::Response;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

use crate::{
    domain::{Conflict, Precondition, Resource},
    service::ServiceError,
    storage::StoreError,
};

/// Domain of every `google.rpc.ErrorInfo`.
const DOMAIN: &str = "userbridge";

/// When to try again after a fault that will pass.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What is wrong with the expiry of a key that is to be made.
pub(super) const IN_THE_FUTURE: &str = "must be in the future";

/// What a client is told of an error.
pub(super) fn from_service(error: &ServiceError) -> Status {
    match error {
        ServiceError::InvalidApiKey => status(Code::Unauthenticated, "INVALID_API_KEY", "invalid API key"),
        ServiceError::ScopeRequired => status(
            Code::PermissionDenied,
            "SCOPE_REQUIRED",
            "the key lacks the scope directory.write",
        ),
        ServiceError::DeploymentKeyRequired => {
            let message = "this takes a key that is bound to no organization";
            status(Code::PermissionDenied, "DEPLOYMENT_KEY_REQUIRED", message)
        }
        ServiceError::NotFound(missing) => {
            status(Code::NotFound, missing_reason(*missing), &missing.to_string())
        }
        ServiceError::Conflict(conflict) => status(
            Code::AlreadyExists,
            conflict_reason(*conflict),
            &conflict.to_string(),
        ),
        ServiceError::Precondition(precondition) => status(
            Code::FailedPrecondition,
            precondition_reason(*precondition),
            &precondition.to_string(),
        ),
        ServiceError::ExpiresInThePast => {
            invalid_argument(vec![FieldViolation::new("expires_at", IN_THE_FUTURE)])
        }
        ServiceError::VersionMismatch => status(
            Code::Aborted,
            "ETAG_MISMATCH",
            "the member has changed in the meantime",
        ),
        ServiceError::Overloaded => retry(
            Code::ResourceExhausted,
            "OVERLOADED",
            "too many requests are waiting",
        ),
        ServiceError::TooManyWatches => retry(
            Code::ResourceExhausted,
            "TOO_MANY_WATCHES",
            "too many watches of events are open",
        ),
        ServiceError::BeyondEnd(_) => {
            status(Code::OutOfRange, "AFTER_SEQUENCE_BEYOND_END", &error.to_string())
        }
        // The storage has told the log, once for all requests.
        ServiceError::Unavailable(cause) => {
            tracing::debug!(%cause, "the directory is not available");
            let message = match cause {
                StoreError::OutcomeUnknown(_) => {
                    "not available, and the change may have been made; try again"
                }
                _ => "not available, try again",
            };
            retry(Code::Unavailable, "UNAVAILABLE", message)
        }
        ServiceError::Internal(cause) => {
            tracing::error!(%cause, "a request failed");
            status(Code::Internal, "INTERNAL", "internal error")
        }
    }
}

const fn missing_reason(missing: Resource) -> &'static str {
    match missing {
        Resource::Organization => "ORGANIZATION_NOT_FOUND",
        Resource::User => "USER_NOT_FOUND",
        Resource::Member => "MEMBER_NOT_FOUND",
        Resource::Team => "TEAM_NOT_FOUND",
        Resource::ApiKey => "API_KEY_NOT_FOUND",
    }
}

const fn conflict_reason(conflict: Conflict) -> &'static str {
    match conflict {
        Conflict::Slug => "SLUG_ALREADY_EXISTS",
        Conflict::PublicKey => "PUBLIC_KEY_ALREADY_EXISTS",
        Conflict::Member => "MEMBER_ALREADY_EXISTS",
        Conflict::Team => "TEAM_ALREADY_EXISTS",
    }
}

const fn precondition_reason(precondition: Precondition) -> &'static str {
    match precondition {
        Precondition::LastOwner => "LAST_OWNER",
        Precondition::LastFacet => "LAST_FACET",
        Precondition::RetentionPassed => "RETENTION_PASSED",
        Precondition::MemberErased => "MEMBER_ERASED",
        Precondition::MemberNotRevoked => "MEMBER_NOT_REVOKED",
        Precondition::RootTeam => "ROOT_TEAM",
        Precondition::IdempotencyKeyReused => "IDEMPOTENCY_KEY_REUSED",
    }
}

/// The server has started but not opened its database yet.
pub(super) fn not_ready() -> Status {
    retry(Code::Unavailable, "NOT_READY", "the server is starting")
}

/// The server stops. Another one, or this one after its start, has the rest.
pub(super) fn draining() -> Status {
    retry(Code::Unavailable, "DRAINING", "the server is stopping")
}

/// The caller's deadline, or the server's own, has passed. What was asked for may have happened.
pub(super) fn deadline_exceeded() -> Status {
    status(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", "deadline exceeded")
}

/// The request has violations: each a field's name and what is wrong with it.
pub(super) fn invalid_argument(violations: Vec<FieldViolation>) -> Status {
    let mut details = details("INVALID_ARGUMENT");
    details.set_bad_request(violations);
    Status::with_error_details(Code::InvalidArgument, "the request is not valid", details)
}

/// The message has more bytes than this, which the method has no use for.
pub(super) fn too_large(bytes: usize) -> Status {
    let message = format!("the message has more than {bytes} bytes");
    status(Code::OutOfRange, "MESSAGE_TOO_LARGE", &message)
}

/// There is no room for the message now.
pub(super) fn overloaded() -> Status {
    from_service(&ServiceError::Overloaded)
}

/// The caller has given up before its message was whole.
pub(super) fn broken_off() -> Status {
    status(Code::Cancelled, "CANCELLED", "the message ended early")
}

/// Whether this is an error that no method of ours has made, but the layers of tonic before it: it has no details.
pub(super) fn is_bare<B>(response: &Response<B>) -> bool {
    let headers = response.headers();
    headers
        .get(Status::GRPC_STATUS)
        .is_some_and(|code| Code::from_bytes(code.as_bytes()) != Code::Ok)
        && !headers.contains_key(Status::GRPC_STATUS_DETAILS)
}

/// The answer, with the reason that a bare error lacks.
pub(super) fn complete<B>(mut response: Response<B>) -> Response<B> {
    if is_bare(&response)
        && let Some(bare) = Status::from_header_map(response.headers())
    {
        let (reason, message) = match bare.code() {
            Code::Unimplemented => ("UNIMPLEMENTED", "there is no such method"),
            Code::Internal => ("MALFORMED_MESSAGE", "the message can't be decoded"),
            Code::OutOfRange => ("MESSAGE_TOO_LARGE", "the message is too large"),
            Code::NotFound => ("SERVICE_NOT_FOUND", "there is no such service"),
            _ => ("REFUSED", "the call was refused"),
        };
        let message = Some(bare.message())
            .filter(|text| !text.is_empty())
            .unwrap_or(message);
        // The names and values of a status made here are good for a header.
        let _ = status(bare.code(), reason, message).add_header(response.headers_mut());
    }
    response
}

fn status(code: Code, reason: &str, message: &str) -> Status {
    Status::with_error_details(code, message, details(reason))
}

fn retry(code: Code, reason: &str, message: &str) -> Status {
    let mut details = details(reason);
    details.set_retry_info(Some(RETRY_AFTER));
    Status::with_error_details(code, message, details)
}

fn details(reason: &str) -> ErrorDetails {
    ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new())
}
