//! What the directory keeps, behind traits; one folder for each engine, and only here sqlx. It stores and decides nothing:
//! the rules are in `service`.
//!
//! The organization is the first argument of every method that touches an organization's rows, and a row of another
//! organization is simply not found. Reads are methods of [`Storage`] and see every change that was acknowledged before
//! they begin. Changes are made by a rule on a [`Transaction`], which [`Storage::write`](trait.Storage.html) hands out:
//! they are on disk when it returns, all of them or none.
//!
//! To add an operation: (1) a method on the trait of its subject, with its errors; (2) its SQL in each engine's folder;
//! (3) a case in `tests/suite/storage/`, which every engine runs. To add an engine: a folder beside [`sqlite`], a line
//! in [`connect`], a line in the conformance suite. [`copy`] moves a directory from one to another.

mod api_keys;
pub mod backup;
pub mod check;
pub mod copy;
mod credentials;
mod error;
mod events;
mod fold;
mod from_row;
mod idempotency;
mod load;
mod mails;
mod members;
mod migrations;
mod organizations;
mod outages;
mod panics;
pub mod postgres;
pub(crate) mod shares;
pub mod sqlite;
mod teams;
mod transaction;
mod values;

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use tokio::{runtime::Handle, sync::watch};
use url::Url;

use crate::domain::{Condition, OrganizationId};

pub use api_keys::{ApiKeyStore, ApiKeyWrites};
pub use credentials::{CredentialStore, CredentialWrites, TokenHolder};
pub use error::{OpenError, Result, StoreError};
pub use events::{EventLog, EventWrites, MemberEvent};
pub use idempotency::{IdempotencyStore, IdempotencyWrites};
pub use load::{Batches, ConnectionLoad, Load, QueueLoad};
pub use mails::{MailStore, MailWrites};
pub use members::{AddressHolders, KeyAndMember, LiveLink, MemberStore, MemberWrites};
pub use organizations::{OrganizationStore, OrganizationWrites};
pub use teams::{TeamStore, TeamWrites};
pub use transaction::{Rule, Savepoints, Transaction, Verdict, Work};

/// All of it. What a server or a command works on.
#[async_trait]
pub trait Storage:
    OrganizationStore
    + ApiKeyStore
    + MemberStore
    + TeamStore
    + EventLog
    + IdempotencyStore
    + CredentialStore
    + MailStore
{
    /// Runs the work in a transaction of its own and commits it if the work says so. It may run more than once: only what
    /// its last run did has happened. Changes of one organization run one after the other; where there is none, they are of
    /// what belongs to no organization, or of many. `write` is the way to call it with a rule.
    ///
    /// # Errors
    ///
    /// [`StoreError::Overloaded`], [`StoreError::Unavailable`], [`StoreError::OutcomeUnknown`], [`StoreError::Closed`]:
    /// it was not committed, or may not have been. [`StoreError::Engine`]: it was not, because the engine failed or the work panicked.
    async fn transact(&self, organization: Option<OrganizationId>, work: Box<dyn Work>) -> Result<()>;

    /// Commits a change that changes nothing: it shows that changes can be made.
    ///
    /// # Errors
    ///
    /// As [`Self::transact`].
    async fn touch(&self) -> Result<()>;

    /// Removes what the engine keeps of earlier values of rows that were erased. As far as it can now; it goes on by
    /// itself.
    async fn purge(&self);

    /// Writes the database anew, without traces of what was removed. It takes as long as copying it; changes wait.
    ///
    /// # Errors
    ///
    /// [`StoreError::LogInUse`]: it was done, but traces are left.
    async fn compact(&self) -> Result<()>;

    /// What does not work at present. Changes when that does.
    fn condition(&self) -> watch::Receiver<Condition>;

    /// What waits and how it is used, now. It waits for nobody.
    fn load(&self) -> Load;

    /// Lets what was accepted finish, then closes the database. Later calls fail with [`StoreError::Closed`].
    async fn close(&self);
}

/// What to do about a database that is not there, or whose schema is older than this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Migrate {
    /// Create it, bring it up to date.
    Always,
    /// Create it, but refuse an older schema: a server of an older version may be running on it.
    OnlyEmpty,
    /// Refuse both.
    Never,
}

/// What a person calls the database at a URL: its file, or its server and its name. Never a password.
#[must_use]
pub fn name(url: &str) -> String {
    let name = match url.split_once(':') {
        Some(("sqlite", path)) => match path.trim_start_matches("//") {
            "" => Some(url.to_owned()),
            path => Some(path.to_owned()),
        },
        Some(("postgres" | "postgresql", _)) => postgres::name(url),
        _ => None,
    };
    name.unwrap_or_else(|| "the database".to_owned())
}

/// Whether a path, by whatever name, leads to the file of the database at a URL or to one that SQLite keeps beside it.
#[must_use]
pub fn is_file_of(url: &str, path: &Path) -> bool {
    matches!(url.split_once(':'), Some(("sqlite", _))) && sqlite::is_file_of(url, path)
}

/// The version of the schema that an open database has, the same on all engines.
#[must_use]
pub fn schema_version() -> i64 {
    sqlite::version()
}

/// A URL with the password of its user. None: it is none of an engine that has passwords.
#[must_use]
pub fn with_password(url: &str, password: &str) -> Option<String> {
    let mut url = Url::parse(url).ok()?;
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        return None;
    }
    url.query_pairs_mut().append_pair("password", password);
    Some(url.into())
}

/// Opens the database at a URL.
///
/// # Errors
///
/// As [`OpenError`] says.
pub async fn connect(url: &str, migrate: Migrate) -> Result<Arc<dyn Storage>, OpenError> {
    connect_with(url, None, migrate, Vec::new()).await
}

/// The same for a command that makes very many changes and nothing else.
///
/// # Errors
///
/// As [`OpenError`] says.
pub async fn connect_for_bulk(url: &str, migrate: Migrate) -> Result<Arc<dyn Storage>, OpenError> {
    match url.split_once(':') {
        Some(("sqlite", _)) => {
            let settings = sqlite::Settings::bulk();
            let opened = sqlite::SqliteStorage::open_with(url, migrate, settings);
            Ok(Arc::new(opened.await?))
        }
        _ => connect(url, migrate).await,
    }
}

/// The same, with the URL of a replica that may lag behind: lists of members are read from it, and nothing else; and with the
/// [runtimes that answer their own look-ups](sqlite::Settings::runtimes) if the database [`is_embedded`]. This,
/// [`connect_for_bulk`], [`bulk_rows`], `open_end`, [`check`] and [`backup`] name the engines.
///
/// # Errors
///
/// As [`OpenError`] says.
pub async fn connect_with(
    url: &str,
    replica_url: Option<&str>,
    migrate: Migrate,
    runtimes: Vec<Handle>,
) -> Result<Arc<dyn Storage>, OpenError> {
    match url.split_once(':') {
        Some(("sqlite", _)) if replica_url.is_some() => Err(OpenError::NoReplicas),
        Some(("sqlite", _)) => {
            let settings = sqlite::Settings {
                runtimes,
                ..sqlite::Settings::default()
            };
            let opened = sqlite::SqliteStorage::open_with(url, migrate, settings);
            Ok(Arc::new(opened.await?))
        }
        Some(("postgres" | "postgresql", _)) => {
            let settings = postgres::Settings {
                replica_url: replica_url.map(str::to_owned),
                ..postgres::Settings::default()
            };
            // Boxed, because it is large and waits for the network anyway.
            let opened = Box::pin(postgres::PostgresStorage::open_with(url, migrate, &settings));
            Ok(Arc::new(opened.await?))
        }
        _ => Err(OpenError::UnknownEngine),
    }
}

/// Whether the database at a URL is a file that is read in this process.
#[must_use]
pub fn is_embedded(url: &str) -> bool {
    url.starts_with("sqlite:")
}

/// How many rows of an import one transaction has, if it is to be quick and nobody waits longer than a second or two for it: in a
/// file more rows write fewer pages, in PostgreSQL a transaction holds locks that others want.
#[derive(Clone, Copy, Debug)]
pub struct BulkRows {
    pub imported: usize,
    /// All of them may have to be linked one by one.
    pub rehearsed: usize,
}

/// Of the database at a URL.
#[must_use]
pub fn bulk_rows(url: &str) -> BulkRows {
    match url.split_once(':') {
        Some(("sqlite", _)) => sqlite::BULK_ROWS,
        _ => postgres::BULK_ROWS,
    }
}

/// Opens the database at a URL as one end of a copy.
///
/// # Errors
///
/// As [`OpenError`] says.
async fn open_end(url: &str, side: copy::Side) -> Result<Box<dyn copy::End>, OpenError> {
    match url.split_once(':') {
        Some(("sqlite", _)) => sqlite::open_end(url, side).await,
        Some(("postgres" | "postgresql", _)) => postgres::open_end(url, side).await,
        _ => Err(OpenError::UnknownEngine),
    }
}
