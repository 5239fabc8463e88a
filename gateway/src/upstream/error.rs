//! Why a call failed: the one place that reads a [`Status`].

use std::{error::Error as _, time::Duration};

use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use userbridge_wire::ErrorReason;

/// A failed call, as every dialect understands it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UpstreamError {
    /// The key is missing, unknown or dead, or lacks every scope of the service.
    Unauthenticated,
    /// The token of a link, a code, an access token or a session is unknown, used up, over, or of another kind.
    InvalidToken,
    /// The key may read, and the call changes something.
    PermissionDenied,
    /// The call takes an enabled owner or admin, and an owner where it is about one.
    RoleRequired,
    /// The directory refuses a value that the dialect let through.
    InvalidArgument,
    /// The key's organization has no such resource.
    NotFound(Resource),
    /// Another one has what must be unique.
    AlreadyExists(Resource),
    /// Not in this state.
    FailedPrecondition(Precondition),
    /// The member was changed since it was read: the caller reads it again.
    Changed,
    /// Too much at once. Try again after this time.
    RateLimited(Duration),
    /// Too many passwords were tried. Try again after this time.
    TooManyAttempts(Duration),
    /// Not now. Try again after this time.
    Unavailable(Duration),
    /// It broke off, and what was asked for may have happened. Try again after this time.
    OutcomeUnknown(Duration),
    /// It took too long. What was asked for may have happened.
    DeadlineExceeded,
    /// Anything else. The log has it.
    Internal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resource {
    /// None was named, or it is not the key's.
    Organization,
    User,
    Member,
    Team,
    /// No dialect asks for it.
    Other,
}

/// Why a change is not allowed now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Precondition {
    /// An organization keeps its last enabled owner.
    LastOwner,
    /// The password is one of those that are tried first.
    PasswordTooCommon,
    /// The member has no address to write to.
    NoEmail,
    /// The member was revoked too long ago to be restored.
    RetentionPassed,
    /// Nothing is left of the member.
    MemberErased,
    /// No dialect tells it apart.
    Other,
}

/// When to try again if upstream does not say.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl UpstreamError {
    /// The gateway itself has no room for the request now.
    pub(crate) const OVERLOADED: Self = Self::RateLimited(RETRY_AFTER);
}

impl From<Status> for UpstreamError {
    fn from(status: Status) -> Self {
        let retry_after = || {
            let info = status.get_details_retry_info();
            info.and_then(|info| info.retry_delay).unwrap_or(RETRY_AFTER)
        };
        let reason = || {
            let info = status.get_details_error_info();
            info.map_or(ErrorReason::Unspecified, |info| {
                ErrorReason::from_wire(&info.reason)
            })
        };
        match status.code() {
            Code::Unauthenticated => match reason() {
                ErrorReason::InvalidToken => Self::InvalidToken,
                _ => Self::Unauthenticated,
            },
            Code::PermissionDenied => match reason() {
                ErrorReason::RoleRequired => Self::RoleRequired,
                _ => Self::PermissionDenied,
            },
            Code::InvalidArgument => {
                tracing::debug!(message = status.message(), "the directory refused a value");
                Self::InvalidArgument
            }
            Code::NotFound => Self::NotFound(match reason() {
                ErrorReason::OrganizationNotFound => Resource::Organization,
                ErrorReason::UserNotFound => Resource::User,
                ErrorReason::MemberNotFound => Resource::Member,
                ErrorReason::TeamNotFound => Resource::Team,
                _ => Resource::Other,
            }),
            Code::AlreadyExists => Self::AlreadyExists(match reason() {
                ErrorReason::MemberAlreadyExists => Resource::Member,
                ErrorReason::TeamAlreadyExists => Resource::Team,
                _ => Resource::Other,
            }),
            Code::FailedPrecondition => Self::FailedPrecondition(match reason() {
                ErrorReason::LastOwner => Precondition::LastOwner,
                ErrorReason::PasswordTooCommon => Precondition::PasswordTooCommon,
                ErrorReason::NoEmail => Precondition::NoEmail,
                ErrorReason::RetentionPassed => Precondition::RetentionPassed,
                ErrorReason::MemberErased => Precondition::MemberErased,
                _ => Precondition::Other,
            }),
            Code::Aborted => Self::Changed,
            Code::ResourceExhausted => match reason() {
                ErrorReason::TooManyAttempts => Self::TooManyAttempts(retry_after()),
                _ => Self::RateLimited(retry_after()),
            },
            Code::Unavailable => match reason() {
                ErrorReason::OutcomeUnknown => Self::OutcomeUnknown(retry_after()),
                _ => Self::Unavailable(retry_after()),
            },
            // CANCELLED is what tonic's own timer says.
            Code::DeadlineExceeded | Code::Cancelled => Self::DeadlineExceeded,
            // Not the directory has said that: the connection to it broke in the middle of the call.
            Code::Unknown if status.source().is_some() => Self::OutcomeUnknown(RETRY_AFTER),
            code => {
                tracing::error!(
                    ?code,
                    message = status.message(),
                    "a call to the directory failed"
                );
                Self::Internal
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, io};

    use tonic_types::ErrorDetails;

    use super::*;

    fn error(code: Code, reason: &str, retry_delay: Option<Duration>) -> UpstreamError {
        let mut details = ErrorDetails::with_error_info(reason, "userbridge", HashMap::new());
        details.set_retry_info(retry_delay);
        Status::with_error_details(code, "message", details).into()
    }

    #[test]
    fn what_was_asked_for_may_have_happened_where_the_connection_breaks_or_the_directory_says_so() {
        let broken = io::Error::from(io::ErrorKind::BrokenPipe);
        let broken = UpstreamError::from(Status::from_error(Box::new(broken)));
        assert_eq!(broken, UpstreamError::OutcomeUnknown(RETRY_AFTER));
        let said = error(Code::Unavailable, "OUTCOME_UNKNOWN", None);
        assert_eq!(said, UpstreamError::OutcomeUnknown(RETRY_AFTER));
        assert_eq!(UpstreamError::from(Status::unknown("")), UpstreamError::Internal);
    }

    #[test]
    fn the_reason_tells_what_an_error_is_about() {
        use UpstreamError::{AlreadyExists, FailedPrecondition, NotFound};
        for (code, reason, expected) in [
            (
                Code::NotFound,
                "ORGANIZATION_NOT_FOUND",
                NotFound(Resource::Organization),
            ),
            (Code::NotFound, "USER_NOT_FOUND", NotFound(Resource::User)),
            (Code::NotFound, "MEMBER_NOT_FOUND", NotFound(Resource::Member)),
            (Code::NotFound, "TEAM_NOT_FOUND", NotFound(Resource::Team)),
            (Code::NotFound, "SOMETHING_NEW", NotFound(Resource::Other)),
            (
                Code::AlreadyExists,
                "MEMBER_ALREADY_EXISTS",
                AlreadyExists(Resource::Member),
            ),
            (
                Code::AlreadyExists,
                "TEAM_ALREADY_EXISTS",
                AlreadyExists(Resource::Team),
            ),
            (
                Code::AlreadyExists,
                "SLUG_ALREADY_EXISTS",
                AlreadyExists(Resource::Other),
            ),
            (
                Code::FailedPrecondition,
                "LAST_OWNER",
                FailedPrecondition(Precondition::LastOwner),
            ),
            (
                Code::FailedPrecondition,
                "LAST_FACET",
                FailedPrecondition(Precondition::Other),
            ),
            (
                Code::FailedPrecondition,
                "PASSWORD_TOO_COMMON",
                FailedPrecondition(Precondition::PasswordTooCommon),
            ),
            (
                Code::FailedPrecondition,
                "NO_EMAIL",
                FailedPrecondition(Precondition::NoEmail),
            ),
            (
                Code::FailedPrecondition,
                "RETENTION_PASSED",
                FailedPrecondition(Precondition::RetentionPassed),
            ),
            (
                Code::FailedPrecondition,
                "MEMBER_ERASED",
                FailedPrecondition(Precondition::MemberErased),
            ),
            (
                Code::Unauthenticated,
                "INVALID_API_KEY",
                UpstreamError::Unauthenticated,
            ),
            (
                Code::Unauthenticated,
                "INVALID_TOKEN",
                UpstreamError::InvalidToken,
            ),
            (
                Code::PermissionDenied,
                "SCOPE_REQUIRED",
                UpstreamError::PermissionDenied,
            ),
            (
                Code::PermissionDenied,
                "ROLE_REQUIRED",
                UpstreamError::RoleRequired,
            ),
        ] {
            assert_eq!(error(code, reason, None), expected, "{reason}");
        }
    }

    #[test]
    fn when_to_try_again_is_what_upstream_says() {
        let wait = Duration::from_secs(7);
        for (said, expected) in [(Some(wait), wait), (None, RETRY_AFTER)] {
            let unavailable = error(Code::Unavailable, "UNAVAILABLE", said);
            assert_eq!(unavailable, UpstreamError::Unavailable(expected));
            let overloaded = error(Code::ResourceExhausted, "OVERLOADED", said);
            assert_eq!(overloaded, UpstreamError::RateLimited(expected));
            let tried = error(Code::ResourceExhausted, "TOO_MANY_ATTEMPTS", said);
            assert_eq!(tried, UpstreamError::TooManyAttempts(expected));
        }
    }
}
