//! The one place that makes a [`Status`]. A client reads what to do about it; the log gets the rest.

use std::{collections::HashMap, time::Duration};

use http::Response;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};
use userbridge_gateway::observe::request_id;
use userbridge_wire::ErrorReason as Reason;

use super::proto::userbridge::directory::v1 as pb;
use crate::{
    domain::{Conflict, Precondition, Resource},
    service::{Rejection, ServiceError},
};

/// Domain of every `google.rpc.ErrorInfo`.
const DOMAIN: &str = "userbridge";

/// When to try again after an error that will pass.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What is wrong with the expiry of a key that is to be made.
pub(super) const IN_THE_FUTURE: &str = "must be in the future";

/// What a client is told of an error.
pub(super) fn from_service(error: &ServiceError) -> Status {
    let (code, reason) = match error {
        ServiceError::InvalidApiKey => (Code::Unauthenticated, Reason::InvalidApiKey),
        ServiceError::InvalidToken => (Code::Unauthenticated, Reason::InvalidToken),
        ServiceError::RoleRequired => (Code::PermissionDenied, Reason::RoleRequired),
        ServiceError::TooManyAttempts(wait) => {
            let (code, reason) = (Code::ResourceExhausted, Reason::TooManyAttempts);
            return retry_after(*wait, code, reason, &error.to_string());
        }
        ServiceError::RateLimited { wait, .. } => {
            let (code, reason) = (Code::ResourceExhausted, Reason::RateLimited);
            return retry_after(*wait, code, reason, &error.to_string());
        }
        ServiceError::TooManyFailedKeys(wait) => {
            let (code, reason) = (Code::ResourceExhausted, Reason::TooManyFailedKeys);
            return retry_after(*wait, code, reason, &error.to_string());
        }
        ServiceError::ScopeRequired => (Code::PermissionDenied, Reason::ScopeRequired),
        ServiceError::DeploymentKeyRequired => (Code::PermissionDenied, Reason::DeploymentKeyRequired),
        ServiceError::NotFound(missing) => (Code::NotFound, missing_reason(*missing)),
        ServiceError::Conflict(conflict) => (Code::AlreadyExists, conflict_reason(*conflict)),
        ServiceError::Precondition(state) => (Code::FailedPrecondition, precondition_reason(*state)),
        ServiceError::VersionMismatch => (Code::Aborted, Reason::EtagMismatch),
        ServiceError::BeyondEnd(_) => (Code::OutOfRange, Reason::AfterSequenceBeyondEnd),
        ServiceError::Overloaded => (Code::ResourceExhausted, Reason::Overloaded),
        ServiceError::TooManyWatches => (Code::ResourceExhausted, Reason::TooManyWatches),
        ServiceError::ExpiresInThePast => {
            return invalid_argument(vec![FieldViolation::new("expires_at", IN_THE_FUTURE)]);
        }
        // The storage has told the log, once for all requests.
        ServiceError::Unavailable(cause) => {
            tracing::debug!(%cause, "the directory is not available");
            let (reason, message) = if error.may_have_happened() {
                let message = "not available, and the change may have been made; try again";
                (Reason::OutcomeUnknown, message)
            } else {
                (Reason::Unavailable, "not available, try again")
            };
            return retry(Code::Unavailable, reason, message);
        }
        ServiceError::Internal(cause) => {
            let request_id = request_id().map(tracing::field::display);
            tracing::error!(%cause, request_id, "a request failed");
            return status(Code::Internal, Reason::Internal, "internal error");
        }
    };
    let told = if code == Code::ResourceExhausted {
        retry
    } else {
        status
    };
    told(code, reason, &error.to_string())
}

/// Why a row of an import was rejected.
pub(super) fn flaw(rejection: Rejection) -> pb::ImportFlaw {
    let reason = match rejection {
        Rejection::Unidentified => Reason::InvalidArgument,
        Rejection::NotFound(missing) => missing_reason(missing),
        Rejection::Conflict(conflict) => conflict_reason(conflict),
        Rejection::Precondition(state) => precondition_reason(state),
    };
    pb::ImportFlaw {
        field: String::new(),
        description: rejection.to_string(),
        reason: reason.as_wire().to_owned(),
    }
}

const fn missing_reason(missing: Resource) -> Reason {
    match missing {
        Resource::Organization => Reason::OrganizationNotFound,
        Resource::User => Reason::UserNotFound,
        Resource::Member => Reason::MemberNotFound,
        Resource::Team => Reason::TeamNotFound,
        Resource::ApiKey => Reason::ApiKeyNotFound,
    }
}

const fn conflict_reason(conflict: Conflict) -> Reason {
    match conflict {
        Conflict::Slug => Reason::SlugAlreadyExists,
        Conflict::PublicKey => Reason::PublicKeyAlreadyExists,
        Conflict::Member => Reason::MemberAlreadyExists,
        Conflict::Team => Reason::TeamAlreadyExists,
    }
}

const fn precondition_reason(precondition: Precondition) -> Reason {
    match precondition {
        Precondition::LastOwner => Reason::LastOwner,
        Precondition::LastFacet => Reason::LastFacet,
        Precondition::RetentionPassed => Reason::RetentionPassed,
        Precondition::MemberErased => Reason::MemberErased,
        Precondition::MemberNotRevoked => Reason::MemberNotRevoked,
        Precondition::RootTeam => Reason::RootTeam,
        Precondition::PasswordTooCommon => Reason::PasswordTooCommon,
        Precondition::NoEmail => Reason::NoEmail,
        Precondition::IdempotencyKeyReused => Reason::IdempotencyKeyReused,
    }
}

/// The server has started but not opened its database yet.
pub(super) fn not_ready() -> Status {
    retry(Code::Unavailable, Reason::NotReady, "the server is starting")
}

/// The server stops. Another one, or this one after its start, has the rest.
pub(super) fn draining() -> Status {
    retry(Code::Unavailable, Reason::Draining, "the server is stopping")
}

/// The caller's deadline, or the server's own, has passed. What was asked for may have happened.
pub(super) fn deadline_exceeded() -> Status {
    status(
        Code::DeadlineExceeded,
        Reason::DeadlineExceeded,
        "deadline exceeded",
    )
}

/// The request has violations: each a field's name and what is wrong with it.
pub(super) fn invalid_argument(violations: Vec<FieldViolation>) -> Status {
    let mut details = details(Reason::InvalidArgument);
    details.set_bad_request(violations);
    Status::with_error_details(Code::InvalidArgument, "the request is not valid", details)
}

/// The message has more bytes than this, which the method has no use for.
pub(super) fn too_large(bytes: usize) -> Status {
    let message = format!("the message has more than {bytes} bytes");
    status(Code::OutOfRange, Reason::MessageTooLarge, &message)
}

/// There is no room for the message now.
pub(super) fn overloaded() -> Status {
    from_service(&ServiceError::Overloaded)
}

/// The caller has given up before its message was whole.
pub(super) fn broken_off() -> Status {
    status(Code::Cancelled, Reason::Cancelled, "the message ended early")
}

/// The code of an answer by its head. One that has a message was OK.
pub(super) fn code<B>(response: &Response<B>) -> Code {
    let code = response.headers().get(Status::GRPC_STATUS);
    code.map_or(Code::Ok, |code| Code::from_bytes(code.as_bytes()))
}

/// Whether this is an error that no method of ours has made, but the layers of tonic before it: it has no details.
pub(super) fn is_bare<B>(response: &Response<B>) -> bool {
    code(response) != Code::Ok && !response.headers().contains_key(Status::GRPC_STATUS_DETAILS)
}

/// The answer, with the reason that a bare error lacks.
pub(super) fn complete<B>(mut response: Response<B>) -> Response<B> {
    if is_bare(&response)
        && let Some(bare) = Status::from_header_map(response.headers())
    {
        // The names and values of a status made here are good for a header.
        let _ = completed(&bare).add_header(response.headers_mut());
    }
    response
}

/// A bare error, with the reason that it lacks.
pub(super) fn completed(bare: &Status) -> Status {
    let (reason, message) = match bare.code() {
        Code::Unimplemented => (Reason::Unimplemented, "there is no such method"),
        Code::Internal => (Reason::MalformedMessage, "the message can't be decoded"),
        Code::OutOfRange => (Reason::MessageTooLarge, "the message is too large"),
        Code::NotFound => (Reason::ServiceNotFound, "there is no such service"),
        _ => (Reason::Refused, "the call was refused"),
    };
    let message = Some(bare.message())
        .filter(|text| !text.is_empty())
        .unwrap_or(message);
    status(bare.code(), reason, message)
}

fn status(code: Code, reason: Reason, message: &str) -> Status {
    Status::with_error_details(code, message, details(reason))
}

fn retry(code: Code, reason: Reason, message: &str) -> Status {
    retry_after(RETRY_AFTER, code, reason, message)
}

fn retry_after(wait: Duration, code: Code, reason: Reason, message: &str) -> Status {
    let mut details = details(reason);
    details.set_retry_info(Some(wait));
    Status::with_error_details(code, message, details)
}

fn details(reason: Reason) -> ErrorDetails {
    let mut details = ErrorDetails::with_error_info(reason.as_wire(), DOMAIN, HashMap::new());
    if let Some(id) = request_id() {
        details.set_request_info(id.as_str(), "");
    }
    details
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Errors of the service, their code, and their reason as clients read it.
    fn errors() -> [(ServiceError, Code, &'static str); 34] {
        use Code::{
            Aborted, AlreadyExists, FailedPrecondition, Internal, InvalidArgument, NotFound, OutOfRange,
            PermissionDenied, ResourceExhausted, Unauthenticated, Unavailable,
        };
        use ServiceError as Error;
        let unavailable = crate::storage::StoreError::Closed;
        let unknown = crate::storage::StoreError::OutcomeUnknown(crate::domain::Outage::DiskFull);
        let reused = Precondition::IdempotencyKeyReused;
        [
            (Error::InvalidApiKey, Unauthenticated, "INVALID_API_KEY"),
            (Error::InvalidToken, Unauthenticated, "INVALID_TOKEN"),
            (Error::RoleRequired, PermissionDenied, "ROLE_REQUIRED"),
            (
                Error::TooManyAttempts(Duration::from_secs(7)),
                ResourceExhausted,
                "TOO_MANY_ATTEMPTS",
            ),
            (
                Error::RateLimited {
                    wait: Duration::from_secs(7),
                    limit: 1,
                },
                ResourceExhausted,
                "RATE_LIMITED",
            ),
            (
                Error::TooManyFailedKeys(Duration::from_secs(7)),
                ResourceExhausted,
                "TOO_MANY_FAILED_KEYS",
            ),
            (
                Precondition::PasswordTooCommon.into(),
                FailedPrecondition,
                "PASSWORD_TOO_COMMON",
            ),
            (Precondition::NoEmail.into(), FailedPrecondition, "NO_EMAIL"),
            (Error::ScopeRequired, PermissionDenied, "SCOPE_REQUIRED"),
            (
                Error::DeploymentKeyRequired,
                PermissionDenied,
                "DEPLOYMENT_KEY_REQUIRED",
            ),
            (Resource::Organization.into(), NotFound, "ORGANIZATION_NOT_FOUND"),
            (Resource::User.into(), NotFound, "USER_NOT_FOUND"),
            (Resource::Member.into(), NotFound, "MEMBER_NOT_FOUND"),
            (Resource::Team.into(), NotFound, "TEAM_NOT_FOUND"),
            (Resource::ApiKey.into(), NotFound, "API_KEY_NOT_FOUND"),
            (Conflict::Slug.into(), AlreadyExists, "SLUG_ALREADY_EXISTS"),
            (
                Conflict::PublicKey.into(),
                AlreadyExists,
                "PUBLIC_KEY_ALREADY_EXISTS",
            ),
            (Conflict::Member.into(), AlreadyExists, "MEMBER_ALREADY_EXISTS"),
            (Conflict::Team.into(), AlreadyExists, "TEAM_ALREADY_EXISTS"),
            (Precondition::LastOwner.into(), FailedPrecondition, "LAST_OWNER"),
            (Precondition::LastFacet.into(), FailedPrecondition, "LAST_FACET"),
            (
                Precondition::RetentionPassed.into(),
                FailedPrecondition,
                "RETENTION_PASSED",
            ),
            (
                Precondition::MemberErased.into(),
                FailedPrecondition,
                "MEMBER_ERASED",
            ),
            (
                Precondition::MemberNotRevoked.into(),
                FailedPrecondition,
                "MEMBER_NOT_REVOKED",
            ),
            (Precondition::RootTeam.into(), FailedPrecondition, "ROOT_TEAM"),
            (reused.into(), FailedPrecondition, "IDEMPOTENCY_KEY_REUSED"),
            (Error::ExpiresInThePast, InvalidArgument, "INVALID_ARGUMENT"),
            (Error::VersionMismatch, Aborted, "ETAG_MISMATCH"),
            (Error::Overloaded, ResourceExhausted, "OVERLOADED"),
            (Error::TooManyWatches, ResourceExhausted, "TOO_MANY_WATCHES"),
            (Error::BeyondEnd(7), OutOfRange, "AFTER_SEQUENCE_BEYOND_END"),
            (unavailable.into(), Unavailable, "UNAVAILABLE"),
            (unknown.into(), Unavailable, "OUTCOME_UNKNOWN"),
            (Error::Internal("disk".into()), Internal, "INTERNAL"),
        ]
    }

    /// What else is answered.
    fn others() -> [(Status, Code, &'static str); 9] {
        let bare = |code| {
            let response = complete(Status::new(code, "").into_http::<()>());
            Status::from_header_map(response.headers()).unwrap()
        };
        [
            (not_ready(), Code::Unavailable, "NOT_READY"),
            (draining(), Code::Unavailable, "DRAINING"),
            (deadline_exceeded(), Code::DeadlineExceeded, "DEADLINE_EXCEEDED"),
            (too_large(7), Code::OutOfRange, "MESSAGE_TOO_LARGE"),
            (broken_off(), Code::Cancelled, "CANCELLED"),
            (bare(Code::Unimplemented), Code::Unimplemented, "UNIMPLEMENTED"),
            (bare(Code::Internal), Code::Internal, "MALFORMED_MESSAGE"),
            (bare(Code::NotFound), Code::NotFound, "SERVICE_NOT_FOUND"),
            (bare(Code::Unknown), Code::Unknown, "REFUSED"),
        ]
    }

    #[test]
    fn every_reason_leaves_with_its_code_as_clients_know_it() {
        let errors = errors().map(|(error, code, reason)| (from_service(&error), code, reason));
        let mut sent = BTreeSet::new();
        for (status, code, reason) in errors.into_iter().chain(others()) {
            let info = status.get_details_error_info().unwrap();
            assert_eq!((status.code(), info.reason.as_str()), (code, reason));
            assert_eq!(info.domain, "userbridge");
            let passes = matches!(code, Code::ResourceExhausted | Code::Unavailable);
            assert_eq!(status.get_details_retry_info().is_some(), passes, "{reason}");
            sent.insert(reason);
        }
        let all = (1..).map_while(|number| Reason::try_from(number).ok());
        assert_eq!(sent, all.map(Reason::as_wire).collect());
    }
}
