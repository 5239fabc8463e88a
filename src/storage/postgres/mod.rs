//! PostgreSQL: one database, any number of servers that read and write it side by side.
//!
//! Ways to the database, each for its own kind of work and with connections of its own: `lookup` answers the hot path,
//! `revoke` ends the links that integrators delete, `writer` runs every rule, `reads` reads everything else. `commits` tells
//! the other servers what this one has written, and `monitor` looks whether the database is there.

#[path = "../sql/api_keys.rs"]
mod api_keys;
#[path = "../sql/check.rs"]
mod check;
mod checks;
#[path = "../sql/columns.rs"]
mod columns;
mod commits;
mod connect;
mod copied;
#[path = "../sql/copy.rs"]
mod copy;
#[path = "../sql/credentials.rs"]
mod credentials;
mod dialect;
mod error;
#[path = "../sql/events.rs"]
mod events;
#[path = "../sql/idempotency.rs"]
mod idempotency;
mod lookup;
#[path = "../sql/mails.rs"]
mod mails;
mod many;
mod members;
mod migrate;
mod monitor;
#[path = "../sql/organizations.rs"]
mod organizations;
mod pooler;
mod reads;
mod replica;
mod revoke;
mod settings;
mod shards;
#[path = "../sql/teams.rs"]
mod teams;
mod transaction;
mod writer;

use async_trait::async_trait;
use tokio::sync::watch;

use self::{
    commits::{Commits, Telling},
    lookup::LookupQueue,
    monitor::Monitor,
    reads::Reads,
    replica::Replica,
    revoke::RevokeQueue,
    writer::Writer,
};
use super::{BulkRows, Load, Migrate, OpenError, Result, Storage, Work, copy::Contents};
use crate::domain::{Condition, OrganizationId};

pub use self::settings::Settings;
pub(super) use self::{checks::open as check, copied::open as open_end};

// What the files of `sql/` are about here.
use self::{PostgresStorage as Engine, transaction::PostgresTransaction as EngineTransaction};
use sqlx::{
    Postgres as Db,
    postgres::{PgArguments as Arguments, PgRow as Row},
};

/// See [`super::bulk_rows`].
pub(super) const BULK_ROWS: BulkRows = BulkRows {
    imported: 8_000,
    rehearsed: 1_000,
};

/// A directory in a PostgreSQL database.
pub struct PostgresStorage {
    lookups: LookupQueue,
    revocations: RevokeQueue,
    writer: Writer,
    reads: Reads,
    replica: Option<Replica>,
    commits: Commits,
    telling: Telling,
    monitor: Monitor,
    condition: watch::Receiver<Condition>,
    /// Whether the rows of one organization are on one node and those of another elsewhere.
    is_sharded: bool,
}

impl PostgresStorage {
    /// Opens the database of a `postgres:` URL, whose tables are made if need be.
    ///
    /// # Errors
    ///
    /// As [`super::connect`] says.
    pub async fn open(url: &str, migrate: Migrate) -> Result<Self, OpenError> {
        Self::open_with(url, migrate, &Settings::default()).await
    }

    /// As [`Self::open`], with other settings.
    ///
    /// # Errors
    ///
    /// As [`super::connect_with`] says.
    pub async fn open_with(url: &str, migrate: Migrate, settings: &Settings) -> Result<Self, OpenError> {
        let options = connect::parse(url)?;
        pooler::check(&options, settings.patience).await?;
        let is_sharded = migrate::run(&options, migrate, Contents::Whole, settings.patience).await?;
        let (sender, condition) = watch::channel(Condition::default());
        let (monitor, failures) = Monitor::start(&options, &sender);
        let (telling, commits) = Telling::start(&options, settings);
        let writer = Writer::new(&options, settings, &condition, &failures, &commits);
        Ok(Self {
            lookups: LookupQueue::start(&options, settings, &condition, &failures, is_sharded),
            revocations: RevokeQueue::start(&options, settings, &condition, &failures, &commits, &writer),
            writer,
            is_sharded,
            reads: Reads::new(&options, settings, settings.patience, &condition, &failures),
            replica: Replica::open(settings).await?,
            commits,
            telling,
            monitor,
            condition,
        })
    }
}

impl PostgresStorage {
    fn watch_commits(&self) -> watch::Receiver<u64> {
        self.commits.watch()
    }
}

/// What a person calls the database of a URL: where it is, without a password.
pub(super) fn name(url: &str) -> Option<String> {
    connect::parse(url).ok().map(|options| connect::name(&options))
}

#[async_trait]
impl Storage for PostgresStorage {
    async fn transact(&self, organization: Option<OrganizationId>, work: Box<dyn Work>) -> Result<()> {
        self.writer.transact(organization, work).await
    }

    async fn touch(&self) -> Result<()> {
        self.writer.touch().await
    }

    async fn purge(&self) {
        // Autovacuum removes earlier versions of rows. What is left in the write-ahead log and in its archive is the
        // operator's to keep or to remove.
    }

    async fn compact(&self) -> Result<()> {
        self.writer.vacuum().await
    }

    fn condition(&self) -> watch::Receiver<Condition> {
        self.condition.clone()
    }

    fn load(&self) -> Load {
        let mut load = Load::default();
        self.lookups.load(&mut load);
        self.revocations.load(&mut load);
        self.writer.load(&mut load);
        self.reads.load(["short_reads", "long_reads"], &mut load);
        if let Some(replica) = &self.replica {
            replica.load(&mut load);
        }
        load
    }

    async fn close(&self) {
        self.lookups.close().await;
        self.reads.close().await;
        if let Some(replica) = &self.replica {
            replica.close().await;
        }
        self.revocations.close().await;
        self.writer.close().await;
        self.telling.close().await;
        self.monitor.close().await;
    }
}
