//! What a use case answers when it does not do what it was asked.

use thiserror::Error;

use crate::storage::{Conflict, StoreError};

/// Why not.
#[derive(Debug, Error)]
pub enum ServiceError {
    /// The key is missing, unknown, revoked, expired, or lacks the scope. Which of these is nobody's business.
    #[error("invalid API key")]
    InvalidApiKey,
    /// No live member of this organization.
    #[error("user not found")]
    UserNotFound,
    /// No live organization.
    #[error("organization not found")]
    OrganizationNotFound,
    /// No such key in this organization, or one that can't be used for this any more.
    #[error("API key not found")]
    ApiKeyNotFound,
    /// It would break a rule of uniqueness.
    #[error(transparent)]
    Conflict(Conflict),
    /// Too much is waiting. Try again soon.
    #[error("too many requests")]
    Overloaded,
    /// Not now. Try again soon.
    #[error("the directory is not available: {0}")]
    Unavailable(#[source] StoreError),
    /// No fault of the caller. For the log, not for a client.
    #[error("{0}")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl ServiceError {
    /// What a storage error means where a thing that is not found is `missing`.
    pub(super) fn from_store(error: StoreError, missing: Self) -> Self {
        match error {
            StoreError::NotFound => missing,
            other => other.into(),
        }
    }
}

impl From<StoreError> for ServiceError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict(conflict) => Self::Conflict(conflict),
            StoreError::Overloaded => Self::Overloaded,
            StoreError::Busy | StoreError::Closed => Self::Unavailable(error),
            StoreError::NotFound
            | StoreError::UnknownEngine
            | StoreError::NoDatabase
            | StoreError::SchemaTooNew { .. }
            | StoreError::SchemaTooOld
            | StoreError::SchemaChanged(_)
            | StoreError::Corrupt(_)
            | StoreError::Engine(_) => Self::Internal(Box::new(error)),
        }
    }
}

/// There was no randomness to be had.
impl From<std::io::Error> for ServiceError {
    fn from(error: std::io::Error) -> Self {
        Self::Internal(Box::new(error))
    }
}
