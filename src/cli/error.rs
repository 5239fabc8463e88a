//! What a command says when it fails, in one line, and its exit code.

use std::{error::Error, io, path::PathBuf, process::ExitCode};

use thiserror::Error;
use userbridge_gateway::config_file::ConfigError;

use crate::{
    rpc::TransferClientError,
    server::ServerError,
    service::ServiceError,
    storage::{self, OpenError, backup::BackupError, copy::CopyError},
    transfer::FileError,
};

/// Printed in one line, with an exit code that scripts can tell apart.
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
    /// The file with settings has something that is none. Exit code 2.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The server does not serve. Exit code 1.
    #[error("{0}")]
    NotServing(String),
    /// `serve` could not start or stop. Exit code 1.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The database can't be used. Exit code 1.
    #[error("{database}: {error}")]
    Store {
        /// The name of its file, or what takes its place in a message.
        database: String,
        /// What the storage says of it.
        #[source]
        error: OpenError,
    },
    /// The directory was not copied, or the copy is not the same. Exit code 1, and 4 where a database is not to be copied
    /// from or into.
    #[error(transparent)]
    Copy(CopyError),
    /// A backup was not made, or not restored. Exit code 1, and 4 where the database is in use or has something in it.
    #[error("{database}: {error}")]
    Backup {
        /// The name of its file, or what takes its place in a message.
        database: String,
        /// What the storage says of it.
        #[source]
        error: BackupError,
    },
    /// The check has found something. Exit code 1.
    #[error("{0}")]
    Found(String),
    /// Members were not imported to the end. Exit code 1.
    #[error("{file}: {error}")]
    Import {
        /// The file that was read.
        file: String,
        /// What is wrong with it, or with where it went.
        #[source]
        error: ImportError,
    },
    /// A server was not asked, or did not send its members to the end. Exit code 1.
    #[error("{}", with_cause(.0))]
    Transfer(#[from] TransferClientError),
    /// Rows of a file were not taken. Exit code 5.
    #[error("{0}")]
    Rejected(String),
    /// A signal has ended the command before its end. Exit code 1.
    #[error("told to end before it was done")]
    Interrupted,
    /// What none of the others is. Exit code 1.
    #[error(transparent)]
    Service(ServiceError),
    /// Most often standard output, which nobody reads any more. Exit code 1.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The same, in the middle of JSON. Exit code 1.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// Why an import has ended before its end.
#[derive(Debug, Error)]
pub enum ImportError {
    #[error("{}", with_cause(.0))]
    File(#[from] FileError),
    /// What was seen in it can't be kept.
    #[error("there is no room to remember who was in it: {0}")]
    Repeats(#[from] rusqlite::Error),
    /// Rows that are not taken can't be listed.
    #[error("{}: {error}", path.display())]
    List {
        /// The list.
        path: PathBuf,
        /// Why not.
        #[source]
        error: io::Error,
    },
    #[error(transparent)]
    Service(#[from] ServiceError),
    #[error("{}", with_cause(.0))]
    Server(#[from] TransferClientError),
    /// The thread that reads it is gone.
    #[error("reading has ended in an unexpected way")]
    Broken,
}

/// The error and what caused it.
fn with_cause(error: &dyn Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

impl ImportError {
    /// Says which file was being read.
    pub(super) fn of_file(self, file: &str) -> CliError {
        match self {
            Self::Service(error) => error.into(),
            error => CliError::Import {
                file: file.to_owned(),
                error,
            },
        }
    }
}

impl From<OpenError> for CliError {
    fn from(error: OpenError) -> Self {
        let database = "the database".to_owned();
        Self::Store { database, error }
    }
}

impl From<BackupError> for CliError {
    fn from(error: BackupError) -> Self {
        let database = "the database".to_owned();
        Self::Backup { database, error }
    }
}

impl From<ServiceError> for CliError {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::NotFound(_) => Self::NotFound(error.to_string()),
            ServiceError::Conflict(_) | ServiceError::Precondition(_) | ServiceError::VersionMismatch => {
                Self::Conflict(error.to_string())
            }
            ServiceError::Unavailable(error) => OpenError::from(error).into(),
            ServiceError::InvalidApiKey
            | ServiceError::InvalidToken
            | ServiceError::RoleRequired
            | ServiceError::TooManyAttempts(_)
            | ServiceError::RateLimited { .. }
            | ServiceError::TooManyFailedKeys(_)
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
            Self::Backup { error, .. } => Self::Backup {
                database: storage::name(url),
                error,
            },
            other => other,
        }
    }

    /// 1: it failed; 2: the command line was not understood, as clap has it; 3: not found; 4: there already, or not
    /// allowed in this state; 5: rows of a file were not taken.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) | Self::Config(_) => ExitCode::from(2),
            Self::NotFound(_) => ExitCode::from(3),
            Self::Rejected(_) => ExitCode::from(5),
            Self::Conflict(_)
            | Self::Copy(CopyError::NothingToCopy | CopyError::NotEmpty | CopyError::OtherCopy)
            | Self::Backup {
                error:
                    BackupError::InUse
                    | BackupError::Copy(CopyError::NothingToCopy | CopyError::NotEmpty | CopyError::OtherCopy),
                ..
            } => ExitCode::from(4),
            Self::NotServing(_)
            | Self::Server(_)
            | Self::Store { .. }
            | Self::Copy(_)
            | Self::Backup { .. }
            | Self::Found(_)
            | Self::Import { .. }
            | Self::Transfer(_)
            | Self::Interrupted
            | Self::Service(_)
            | Self::Io(_)
            | Self::Json(_) => ExitCode::FAILURE,
        }
    }
}
