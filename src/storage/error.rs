//! What can go wrong in storage.

use thiserror::Error;

/// A rule of uniqueness that a write would have broken.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Conflict {
    /// A live organization has the slug.
    #[error("an organization with this slug exists already")]
    Slug,
    /// The organization has a current key with the scope `public_api`.
    #[error("the organization has a public API key already; rotate or revoke it")]
    PublicKey,
    /// A live member of the organization has the user or the address.
    #[error("the user is a member of the organization already")]
    Member,
}

/// Why storage did not do what it was asked.
#[derive(Debug, Error)]
pub enum StoreError {
    /// It would break a rule of uniqueness. Nothing changed.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// Something that the change refers to is not there. Nothing changed.
    #[error("not found")]
    NotFound,
    /// Too much is waiting already. Nothing changed; try again later.
    #[error("too many requests are waiting")]
    Overloaded,
    /// Another process held the database for too long. Nothing changed; try again.
    #[error("the database is locked by another process")]
    Busy,
    /// The database is closed, or closing.
    #[error("the database is closed")]
    Closed,
    /// No engine of this program speaks this kind of URL.
    #[error("the database URL must begin with sqlite:")]
    UnknownEngine,
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
    /// The database has not been migrated.
    #[error("the database has an older schema: run `userbridge migrate`")]
    SchemaTooOld,
    /// The database was made by a program with other migrations.
    #[error("migration {0} of the database is not the one of this program")]
    SchemaChanged(i64),
    /// A stored value is none that this program could have written.
    #[error("a stored {0} is not valid")]
    Corrupt(&'static str),
    /// The engine failed. For the log, not for a client.
    #[error("the database failed: {0}")]
    Engine(#[source] Box<dyn std::error::Error + Send + Sync>),
}
