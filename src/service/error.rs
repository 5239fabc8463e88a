//! What a use case answers when it does not do what it was asked.

use std::time::Duration;

use thiserror::Error;

use super::Allowance;
use crate::{
    domain::{Conflict, Precondition, Resource},
    storage::StoreError,
};

#[derive(Debug, Error)]
pub enum ServiceError {
    /// The key is missing, unknown, revoked, expired, or lacks the scope. Which of these is nobody's business.
    #[error("invalid API key")]
    InvalidApiKey,
    /// The token is unknown, used up, over, or of another kind than this takes; or the member's role does not carry it any
    /// more. Which of these is nobody's business.
    #[error("invalid token")]
    InvalidToken,
    /// The member who acts, or for whom it is, has not the role that this takes. Nothing changed.
    #[error("the member's role does not allow this")]
    RoleRequired,
    /// Too many passwords were tried; the next one may be after this time.
    #[error("too many attempts")]
    TooManyAttempts(Duration),
    /// The key has called as often as it may; the next call may be after this time.
    #[error("the key has called too often")]
    RateLimited {
        wait: Duration,
        /// How many calls it may make at once.
        limit: u32,
    },
    /// The caller's address has shown too many keys that open nothing; the next one may be after this time.
    #[error("too many keys from this address have opened nothing")]
    TooManyFailedKeys(Duration),
    /// The key may read here, but not change.
    #[error("the key lacks the scope directory.write")]
    ScopeRequired,
    /// The key speaks for one organization, and this takes one that speaks for all.
    #[error("this takes a key that is bound to no organization")]
    DeploymentKeyRequired,
    /// No such thing in the caller's organization. Nothing changed.
    #[error(transparent)]
    NotFound(#[from] Resource),
    /// It would break a rule of uniqueness. Nothing changed.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// Not in this state. Nothing changed.
    #[error(transparent)]
    Precondition(#[from] Precondition),
    /// A key would have expired before it was made.
    #[error("the key would have expired already")]
    ExpiresInThePast,
    /// The member has changed since the caller read it. Nothing changed.
    #[error("the member has changed in the meantime")]
    VersionMismatch,
    /// Too much is waiting. Nothing changed; try again soon.
    #[error("too many requests are waiting")]
    Overloaded,
    /// The organization, or all together, follow events as often as may be.
    #[error("too many watches of events are open")]
    TooManyWatches,
    /// The log of events ends before the place that was named, with this one.
    #[error("the log ends with event {0}")]
    BeyondEnd(i64),
    /// Not now. Try again soon.
    #[error("the directory is not available: {0}")]
    Unavailable(#[source] StoreError),
    /// No fault of the caller. For the log, not for a client.
    #[error("{0}")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What was asked of the directory, or why it was not done.
pub type Result<T, E = ServiceError> = std::result::Result<T, E>;

impl ServiceError {
    /// What is left to a key that has called too often.
    #[must_use]
    pub const fn allowance(&self) -> Option<Allowance> {
        match self {
            Self::RateLimited { limit, .. } => Some(Allowance {
                limit: *limit,
                remaining: 0,
            }),
            _ => None,
        }
    }

    /// Whether the change may have been made nevertheless.
    #[must_use]
    pub const fn may_have_happened(&self) -> bool {
        matches!(self, Self::Unavailable(StoreError::OutcomeUnknown(_)))
    }
}

impl From<StoreError> for ServiceError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict(conflict) => Self::Conflict(conflict),
            StoreError::Overloaded => Self::Overloaded,
            StoreError::Unavailable(_) | StoreError::OutcomeUnknown(_) | StoreError::Closed => {
                Self::Unavailable(error)
            }
            StoreError::LogInUse | StoreError::Corrupt(_) | StoreError::Engine(_) => {
                Self::Internal(Box::new(error))
            }
        }
    }
}

/// There was no randomness to be had.
impl From<std::io::Error> for ServiceError {
    fn from(error: std::io::Error) -> Self {
        Self::Internal(Box::new(error))
    }
}
