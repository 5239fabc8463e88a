//! What went wrong upstream: the one place that reads a [`Status`].

use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// A failed call, as every dialect understands it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The key does not open this.
    Unauthenticated,
    /// There is no such thing in the key's organization.
    NotFound,
    /// Too much at once. Try again after this time.
    RateLimited(Duration),
    /// Not now. Try again after this time.
    Unavailable(Duration),
    /// It took too long. What was asked for may have happened.
    DeadlineExceeded,
    /// Anything else. The log has it.
    Internal,
}

/// When to try again if upstream does not say.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl From<Status> for Fault {
    fn from(status: Status) -> Self {
        let retry_after = || {
            let info = status.get_details_retry_info();
            info.and_then(|info| info.retry_delay).unwrap_or(RETRY_AFTER)
        };
        match status.code() {
            Code::Unauthenticated => Self::Unauthenticated,
            Code::NotFound => Self::NotFound,
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
