//! What a command says when it fails, in one line, and its exit code.

use std::{io, process::ExitCode};

use thiserror::Error;

use crate::{
    server::ServerError,
    service::ServiceError,
    storage::{self, OpenError},
};

/// Why a command failed.
#[derive(Debug, Error)]
pub enum CliError {
    /// What was named is not there. Exit code 3.
    #[error("{0}")]
    NotFound(String),
    /// It is there already, or not allowed in this state. Exit code 4.
    #[error("{0}")]
    Conflict(String),
    /// Options that don't go together. Exit code 2.
    #[error("{0}")]
    Usage(String),
    /// The server does not serve. Exit code 1.
    #[error("{0}")]
    NotServing(String),
    /// Exit code 1.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The database can't be used. Exit code 1.
    #[error("{database}: {error}")]
    Store {
        /// Which one.
        database: String,
        /// Why not.
        #[source]
        error: OpenError,
    },
    /// Exit code 1.
    #[error(transparent)]
    Service(ServiceError),
    /// Exit code 1.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Exit code 1.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

impl From<ServiceError> for CliError {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::NotFound(_) => Self::NotFound(error.to_string()),
            ServiceError::Conflict(_) | ServiceError::Precondition(_) | ServiceError::VersionMismatch => {
                Self::Conflict(error.to_string())
            }
            ServiceError::Unavailable(error) => Self::Store {
                database: "the database".to_owned(),
                error: error.into(),
            },
            ServiceError::InvalidApiKey
            | ServiceError::ScopeRequired
            | ServiceError::DeploymentKeyRequired
            | ServiceError::ExpiresInThePast
            | ServiceError::Overloaded
            | ServiceError::TooManyWatches
            | ServiceError::BeyondEnd(_)
            | ServiceError::Internal(_) => Self::Service(error),
        }
    }
}

impl CliError {
    /// Says which database it is about, if it is about one.
    pub(super) fn about(self, url: &str) -> Self {
        match self {
            Self::Store { error, .. } => Self::Store {
                database: storage::name(url),
                error,
            },
            other => other,
        }
    }

    /// 1: it failed; 3: not found; 4: there already, or not allowed in this state. (2 is clap's, for a command line that is not understood.)
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            Self::NotFound(_) => ExitCode::from(3),
            Self::Conflict(_) => ExitCode::from(4),
            Self::NotServing(_)
            | Self::Server(_)
            | Self::Store { .. }
            | Self::Service(_)
            | Self::Io(_)
            | Self::Json(_) => ExitCode::FAILURE,
        }
    }
}
