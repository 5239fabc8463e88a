//! What can go wrong in storage.

use std::{io, path::PathBuf};

use thiserror::Error;

use super::Outage;

/// A rule of uniqueness that a write would have broken.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Conflict {
    /// A live organization has the slug.
    #[error("an organization with this slug exists already")]
    Slug,
    /// The organization has a current key with the scope `public_api`.
    #[error("the organization has a public API key already; rotate or revoke it")]
    PublicKey,
    /// A live member of the organization has the user, the address or the external id.
    #[error("the user, the address or the external id belongs to another member already")]
    Member,
    /// A team of the organization has the key.
    #[error("a team with this key exists already")]
    Team,
}

/// What was not found where it was looked for.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Missing {
    /// No live organization.
    #[error("organization not found")]
    Organization,
    /// No user, or no live member that is this user.
    #[error("user not found")]
    User,
    /// No such member.
    #[error("member not found")]
    Member,
    /// No such team.
    #[error("team not found")]
    Team,
    /// No such key, or one that can't be used for this any more.
    #[error("API key not found")]
    ApiKey,
}

/// A state in which a change is not allowed.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Precondition {
    /// It is the last enabled owner of its organization.
    #[error("the last enabled owner of an organization stays")]
    LastOwner,
    /// It is an end user or staff, and would be neither.
    #[error("a live member has a portal role or a role")]
    LastFacet,
    /// It was revoked longer ago than the organization keeps.
    #[error("the time in which the member could be restored has passed")]
    RetentionPassed,
    /// Its personal data was removed.
    #[error("the member's data has been erased")]
    MemberErased,
    /// It is live.
    #[error("the member is not revoked")]
    MemberNotRevoked,
    /// The root team can't be removed.
    #[error("the root team can't be removed")]
    RootTeam,
    /// The idempotency key was used for another request.
    #[error("the idempotency key was used for another request")]
    IdempotencyKeyReused,
}

/// Why storage did not do what it was asked.
#[derive(Debug, Error)]
pub enum StoreError {
    /// It would break a rule of uniqueness. Nothing changed.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// Something that the change refers to is not there. Nothing changed.
    #[error(transparent)]
    NotFound(#[from] Missing),
    /// It is not allowed in this state. Nothing changed.
    #[error(transparent)]
    Precondition(#[from] Precondition),
    /// The member has changed since it was read. Nothing changed.
    #[error("the member has changed in the meantime")]
    VersionMismatch,
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
    /// No engine of this program speaks this kind of URL.
    #[error("the database URL must begin with sqlite:")]
    UnknownEngine,
    /// The URL names no file that can be written, such as a database in memory.
    #[error(
        "the database URL must name a file that can be written, as in sqlite:/var/lib/userbridge/users.db"
    )]
    NoFile,
    /// A file can't be opened or made, or not to be written.
    #[error("{} can't be opened for writing: {source}", .path.display())]
    CannotOpen {
        /// Which one: the database, one beside it, or their folder.
        path: PathBuf,
        /// Why not.
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
