//! What can go wrong in storage.

use std::{io, path::PathBuf};

use thiserror::Error;

use crate::domain::{Conflict, Outage};

/// Why storage did not do what it was asked.
#[derive(Debug, Error)]
pub enum StoreError {
    /// It would break a rule of uniqueness. Nothing changed.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// Too much is waiting already. Nothing changed; try again later.
    #[error("too many requests are waiting")]
    Overloaded,
    /// The database can't be written or read at present. Nothing changed; try again later.
    #[error("{0}")]
    Unavailable(Outage),
    /// The database failed while it committed the change, which may have happened.
    #[error("{0}; the change may have been made")]
    OutcomeUnknown(Outage),
    /// The file was written anew, but its write-ahead log could not be emptied, and still has what was removed.
    #[error(
        "the file was written anew, but another program is reading it, so its write-ahead log still has what was erased: \
         end that program and run `userbridge compact` again"
    )]
    LogInUse,
    /// The database is closed, or closing.
    #[error("the database is closed")]
    Closed,
    /// A stored value is none that this program could have written.
    #[error("a stored {0} is not valid")]
    Corrupt(String),
    /// The engine failed. For the log, not for a client.
    #[error("the database failed: {0}")]
    Engine(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What was asked of the storage, or why it was not done.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Why a database was not opened. For the operator.
#[derive(Debug, Error)]
pub enum OpenError {
    /// No engine of this program speaks this kind of URL.
    #[error("the database URL must begin with sqlite: or postgres:")]
    UnknownEngine,
    /// The URL names no file that can be written, such as a database in memory.
    #[error(
        "the database URL must name a file that can be written, as in sqlite:/var/lib/userbridge/users.db"
    )]
    NoFile,
    /// The URL is none of PostgreSQL's.
    #[error("the database URL must look like postgres://user@host:5432/database?sslmode=verify-full")]
    BadUrl,
    /// Only PostgreSQL has replicas.
    #[error("a replica's URL goes with a database URL that begins with postgres:")]
    NoReplicas,
    /// No connection to the server was made: it is not there, or turns us away.
    #[error("no connection: {0}")]
    NoConnection(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What is said on one connection may be answered by another one of the server.
    #[error(
        "a pooler is in between that mixes up prepared statements: connect to the server itself, or by a pooler in session \
         mode, or by pgbouncer 1.21 or later with max_prepared_statements set"
    )]
    Pooler,
    /// The database can't keep every text.
    #[error(
        "the database has the encoding {0}, and has to have UTF8: create another one, with ENCODING 'UTF8'"
    )]
    Encoding(String),
    /// Another server has been migrating the database for too long.
    #[error("another server is migrating the database, or its connection was never closed: try again later")]
    Migrating,
    /// A file can't be opened or made, or not to be written.
    #[error("{} can't be opened for writing: {source}", .path.display())]
    CannotOpen {
        /// The database, a file beside it, or their folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file is not a database.
    #[error("it is not an SQLite database")]
    NotADatabase,
    /// The file is a database of another program.
    #[error("it is an SQLite database of another program")]
    Foreign,
    /// There is no such database, and it was not to be made.
    #[error("there is no database there yet: create it with `userbridge migrate`")]
    NoDatabase,
    /// A newer program has migrated the database.
    #[error(
        "the database has schema version {found}, and this program knows versions up to {known}: run a newer userbridge"
    )]
    SchemaTooNew {
        /// The database's.
        found: i64,
        /// The newest of this program.
        known: i64,
    },
    /// The database has not been migrated, or not to the end.
    #[error("the database has an older schema, or its migration was cut off: run `userbridge migrate`")]
    SchemaTooOld,
    /// The database was made by a program with other migrations.
    #[error("migration {0} of the database is not the one of this program")]
    SchemaChanged(i64),
    /// A directory is being copied into it.
    #[error("a copy into it is not finished: run `userbridge copy` again, or copy into a new database")]
    UnfinishedCopy,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
