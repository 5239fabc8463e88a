//! The one place that makes a [`Status`]. A client reads what to do about it; the log gets the rest.

use std::{collections::HashMap, time::Duration};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

use crate::{service::ServiceError, storage::Conflict};

/// Domain of every `google.rpc.ErrorInfo`.
const DOMAIN: &str = "userbridge";

/// When to try again after a fault that will pass.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What a client is told of an error.
pub(super) fn from_service(error: &ServiceError) -> Status {
    match error {
        ServiceError::InvalidApiKey => status(Code::Unauthenticated, "INVALID_API_KEY", "invalid API key"),
        ServiceError::UserNotFound => status(Code::NotFound, "USER_NOT_FOUND", "user not found"),
        ServiceError::OrganizationNotFound => {
            status(Code::NotFound, "ORGANIZATION_NOT_FOUND", "organization not found")
        }
        ServiceError::ApiKeyNotFound => status(Code::NotFound, "API_KEY_NOT_FOUND", "API key not found"),
        ServiceError::Conflict(Conflict::Slug) => {
            status(Code::AlreadyExists, "SLUG_ALREADY_EXISTS", "the slug is taken")
        }
        ServiceError::Conflict(Conflict::PublicKey) => status(
            Code::AlreadyExists,
            "PUBLIC_KEY_ALREADY_EXISTS",
            "the organization has a public API key",
        ),
        ServiceError::Conflict(Conflict::Member) => status(
            Code::AlreadyExists,
            "MEMBER_ALREADY_EXISTS",
            "the user is a member of the organization",
        ),
        ServiceError::Overloaded => retry(
            Code::ResourceExhausted,
            "OVERLOADED",
            "too many requests are waiting",
        ),
        ServiceError::Unavailable(cause) => {
            tracing::warn!(%cause, "the directory is not available");
            retry(Code::Unavailable, "UNAVAILABLE", "not available, try again")
        }
        ServiceError::Internal(cause) => {
            tracing::error!(%cause, "a request failed");
            status(Code::Internal, "INTERNAL", "internal error")
        }
    }
}

/// The server has started but not opened its database yet.
pub(super) fn not_ready() -> Status {
    retry(Code::Unavailable, "NOT_READY", "the server is starting")
}

/// The caller's deadline, or the server's own, has passed. What was asked for may have happened.
pub(super) fn deadline_exceeded() -> Status {
    status(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", "deadline exceeded")
}

/// The request has faults: each a field's name and what is wrong with it.
pub(super) fn invalid_argument(violations: Vec<FieldViolation>) -> Status {
    let mut details = details("INVALID_ARGUMENT");
    details.set_bad_request(violations);
    Status::with_error_details(Code::InvalidArgument, "the request is not valid", details)
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
