//! Why a call failed: the one place that reads a [`Status`].

use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// A failed call, as every dialect understands it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UpstreamError {
    /// The key is missing, unknown or dead, or lacks every scope of the service.
    Unauthenticated,
    /// The key may read, and the call changes something.
    PermissionDenied,
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
    /// Not now. Try again after this time.
    Unavailable(Duration),
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
            status
                .get_details_error_info()
                .map(|info| info.reason)
                .unwrap_or_default()
        };
        match status.code() {
            Code::Unauthenticated => Self::Unauthenticated,
            Code::PermissionDenied => Self::PermissionDenied,
            Code::InvalidArgument => {
                tracing::debug!(message = status.message(), "the directory refused a value");
                Self::InvalidArgument
            }
            Code::NotFound => Self::NotFound(match reason().as_str() {
                "ORGANIZATION_NOT_FOUND" => Resource::Organization,
                "USER_NOT_FOUND" => Resource::User,
                "MEMBER_NOT_FOUND" => Resource::Member,
                "TEAM_NOT_FOUND" => Resource::Team,
                _ => Resource::Other,
            }),
            Code::AlreadyExists => Self::AlreadyExists(match reason().as_str() {
                "MEMBER_ALREADY_EXISTS" => Resource::Member,
                "TEAM_ALREADY_EXISTS" => Resource::Team,
                _ => Resource::Other,
            }),
            Code::FailedPrecondition => Self::FailedPrecondition(match reason().as_str() {
                "LAST_OWNER" => Precondition::LastOwner,
                _ => Precondition::Other,
            }),
            Code::Aborted => Self::Changed,
            Code::ResourceExhausted => Self::RateLimited(retry_after()),
            Code::Unavailable => Self::Unavailable(retry_after()),
            // CANCELLED is what tonic's own timer says.
            Code::DeadlineExceeded | Code::Cancelled => Self::DeadlineExceeded,
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
