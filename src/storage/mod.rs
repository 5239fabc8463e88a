//! What the directory keeps, behind traits; one folder for each engine, and only here sqlx.
//!
//! The organization is the first argument of every method that touches an organization's rows, and a row of another
//! organization is simply not found. A write is on disk when its method returns, together with its row in the event
//! log, and every read that begins later sees it.
//!
//! To add an operation: (1) a method on the trait of its subject, with its errors; (2) its SQL in each engine's folder;
//! (3) a case in `tests/suite/storage/`, which every engine runs. To add an engine: a folder beside [`sqlite`], a line
//! in [`connect`], a line in the conformance suite.

mod answers;
mod api_keys;
mod condition;
mod error;
mod events;
mod members;
mod organizations;
pub mod sqlite;
mod teams;

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;

use crate::domain::{Actor, ApiKeyId, Source, Timestamp};

pub use answers::{ANSWER_KEPT, AnswerStore};
pub use api_keys::{ApiKeyStore, NewApiKey};
pub use condition::{Condition, Outage};
pub use error::{Conflict, Missing, Precondition, StoreError};
pub use events::{EventLog, EventQuery};
pub use members::{
    Association, Cursor, Erasure, Found, LinkMember, LinkOutcome, Linked, MemberFilter, MemberKey,
    MemberOrder, MemberQuery, MemberStore, TimeRange,
};
pub use organizations::{OrganizationPatch, OrganizationStore};
pub use teams::TeamStore;

/// All of it. What a server or a command works on.
#[async_trait]
pub trait Storage:
    OrganizationStore + ApiKeyStore + MemberStore + TeamStore + EventLog + AnswerStore
{
    /// Writes the database anew, without traces of what was removed. It takes as long as copying it; changes wait.
    ///
    /// # Errors
    ///
    /// [`StoreError::LogInUse`]: it was done, but traces are left.
    async fn compact(&self) -> Result<(), StoreError>;

    /// What does not work at present. Changes when that does.
    fn condition(&self) -> watch::Receiver<Condition>;

    /// Lets what was accepted finish, then closes the database. Later calls fail with [`StoreError::Closed`].
    async fn close(&self);
}

/// Who does something, when, and on whose behalf: what the event log says of every change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Who.
    pub actor: Actor,
    /// When. It is also the time that the changed row gets.
    pub at: Timestamp,
    /// What it came from, if that was said.
    pub source: Option<Source>,
}

/// Makes a repeated request get the first answer. The answer is kept in the transaction of the change.
#[derive(Clone, Debug)]
pub struct Once<T> {
    /// None: the request is not to be repeated.
    pub token: Option<Token>,
    /// Writes the answer down.
    pub encode: fn(&T) -> Vec<u8>,
}

impl<T> Once<T> {
    /// For a request that nobody repeats.
    #[must_use]
    pub fn never() -> Self {
        Self {
            token: None,
            encode: |_| Vec::new(),
        }
    }
}

/// What tells a repeated request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The caller.
    pub api_key: ApiKeyId,
    /// What the caller says of the request.
    pub key: String,
    /// Digest of the request, its method included.
    pub request: [u8; 32],
}

/// The answer to a request that may be a repetition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer<T> {
    /// It was done now.
    New(T),
    /// It was done before. What [`Once::encode`] wrote then.
    Repeated(Vec<u8>),
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

/// What a person calls the database at a URL: its file. Other URLs are not repeated: there may be a password in them.
#[must_use]
pub fn name(url: &str) -> String {
    match url
        .strip_prefix("sqlite:")
        .map(|path| path.trim_start_matches("//"))
    {
        Some("") => url.to_owned(),
        Some(path) => path.to_owned(),
        None => "the database".to_owned(),
    }
}

/// Opens the database at a URL. The one place that names the engines.
///
/// # Errors
///
/// [`StoreError::UnknownEngine`], [`StoreError::NoFile`], [`StoreError::NoDatabase`], [`StoreError::CannotOpen`],
/// [`StoreError::NotADatabase`], [`StoreError::Foreign`], [`StoreError::SchemaTooNew`], [`StoreError::SchemaTooOld`],
/// [`StoreError::SchemaChanged`], or what the engine says.
pub async fn connect(url: &str, migrate: Migrate) -> Result<Arc<dyn Storage>, StoreError> {
    match url.split_once(':') {
        Some(("sqlite", _)) => Ok(Arc::new(sqlite::SqliteStorage::open(url, migrate).await?)),
        _ => Err(StoreError::UnknownEngine),
    }
}
