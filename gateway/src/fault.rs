//! What went wrong upstream: the one place that reads a [`Status`].

use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// A failed call, as every dialect understands it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The key does not open this.
    Unauthenticated,
    /// The key opens this, but not for changing.
    PermissionDenied,
    /// The directory does not take a value that the dialect let through.
    InvalidArgument,
    /// There is no such thing in the key's organization.
    NotFound(Thing),
    /// Another one has what must be unique.
    AlreadyExists(Thing),
    /// Not in this state.
    FailedPrecondition(Rule),
    /// It was changed since it was read. Read it again.
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

/// What a fault is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Thing {
    /// An organization: none was named, or it is not the key's.
    Organization,
    /// A user.
    User,
    /// A member.
    Member,
    /// A team.
    Team,
    /// Something that no dialect knows.
    Other,
}

/// Why a change is not allowed now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// An organization keeps its last enabled owner.
    LastOwner,
    /// A rule that no dialect knows.
    Other,
}

/// When to try again if upstream does not say.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl Fault {
    /// There is no room for the request now.
    pub(crate) const NO_ROOM: Self = Self::RateLimited(RETRY_AFTER);
}

impl From<Status> for Fault {
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
                "ORGANIZATION_NOT_FOUND" => Thing::Organization,
                "USER_NOT_FOUND" => Thing::User,
                "MEMBER_NOT_FOUND" => Thing::Member,
                "TEAM_NOT_FOUND" => Thing::Team,
                _ => Thing::Other,
            }),
            Code::AlreadyExists => Self::AlreadyExists(match reason().as_str() {
                "MEMBER_ALREADY_EXISTS" => Thing::Member,
                "TEAM_ALREADY_EXISTS" => Thing::Team,
                _ => Thing::Other,
            }),
            Code::FailedPrecondition => Self::FailedPrecondition(match reason().as_str() {
                "LAST_OWNER" => Rule::LastOwner,
                _ => Rule::Other,
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
