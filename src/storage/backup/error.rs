//! Why a backup was not made or not restored.

use std::{io, path::PathBuf};

use thiserror::Error;

use crate::storage::{OpenError, copy::CopyError};

/// Why a backup was not made, or not put in its place. What was there before is there as it was.
#[derive(Debug, Error)]
pub enum BackupError {
    /// The database can't be read, or not be replaced.
    #[error(transparent)]
    Database(#[from] OpenError),
    /// A server, a command or another program has the database open.
    #[error("it is in use: stop every server and program that has it open, and restore again")]
    InUse,
    /// What is to be restored can't be used.
    #[error("the backup: {0}")]
    Backup(#[source] OpenError),
    /// There is no directory in the file.
    #[error("the backup is empty")]
    Empty,
    /// A database that somebody has open, or had open to the end, has changes in the file beside it.
    #[error("{} is beside the backup, so it is a database in use, of which `userbridge backup` makes a copy", .0.display())]
    NoBackup(PathBuf),
    /// SQLite has found what is wrong with it.
    #[error("the backup is damaged: {0}")]
    Damaged(String),
    /// Rows did not go from PostgreSQL to the file, or back.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// A file can't be read or written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

impl BackupError {
    /// About a file.
    pub(in crate::storage) fn of(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        |source| Self::Io { path, source }
    }
}
