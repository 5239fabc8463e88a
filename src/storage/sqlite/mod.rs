//! SQLite, embedded: one file, one process that writes at a time, any number that read.
//!
//! Ways into the file, each for its own kind of work: `lookup` answers the hot path, `writer` makes every change, `reads`
//! reads everything else, and `checkpoint` moves what was written to where it stays.

#[path = "../sql/api_keys.rs"]
mod api_keys;
mod backup;
mod batch;
#[path = "../sql/check.rs"]
mod check;
mod checkpoint;
mod checks;
mod close;
#[path = "../sql/columns.rs"]
mod columns;
mod copied;
#[path = "../sql/copy.rs"]
mod copy;
#[path = "../sql/credentials.rs"]
mod credentials;
mod dialect;
mod error;
#[path = "../sql/events.rs"]
mod events;
mod files;
#[path = "../sql/idempotency.rs"]
mod idempotency;
mod identity;
mod job;
mod lookup;
#[path = "../sql/mails.rs"]
mod mails;
mod many;
mod members;
mod migrate;
#[path = "../sql/organizations.rs"]
mod organizations;
mod placeholders;
mod reads;
mod revoke;
mod rows;
mod settings;
#[path = "../sql/teams.rs"]
mod teams;
mod touch;
mod transaction;
mod turns;
mod writer;

use async_trait::async_trait;
use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::{
    sync::{Mutex, watch},
    time::{Duration, Instant, sleep},
};

use self::{
    checkpoint::Checkpointer, close::close_well, error::store_error, lookup::Lookups, members::KeptTexts,
    reads::Reads, writer::WriteQueue,
};
use super::{BulkRows, Load, Migrate, OpenError, Result, Storage, StoreError, Work, copy::Contents};
use crate::domain::{Condition, OrganizationId};

pub use self::settings::Settings;
pub(super) use self::{
    backup::{Place, back_up, fold, inspect},
    checks::open as check,
    copied::open as open_end,
    files::is_file_of,
    migrate::version,
};

// What the files of `sql/` are about here.
use self::{SqliteStorage as Engine, transaction::SqliteTransaction as EngineTransaction};
use sqlx::{
    Sqlite as Db,
    sqlite::{SqliteArguments as Arguments, SqliteRow as Row},
};

/// See [`super::bulk_rows`].
pub(super) const BULK_ROWS: BulkRows = BulkRows {
    imported: 20_000,
    rehearsed: 16_000,
};

/// How long to wait before it is tried again to empty the log after the file was compacted.
const COMPACT_PAUSE: Duration = Duration::from_millis(50);

/// A directory in an SQLite file.
pub struct SqliteStorage {
    lookups: Lookups,
    writes: WriteQueue,
    checkpoints: Checkpointer,
    reads: Reads,
    texts: KeptTexts,
    condition: watch::Receiver<Condition>,
    settings: Settings,
    /// Does nothing but be open: should all others fail at once, the last of them would take the write-ahead log with it,
    /// and the new ones would make another, which is not the file that the writer knows.
    anchor: Mutex<Option<SqliteConnection>>,
}

impl SqliteStorage {
    /// Opens the file of a `sqlite:` URL, which is created if need be.
    ///
    /// # Errors
    ///
    /// As [`super::connect`] says.
    pub async fn open(url: &str, migrate: Migrate) -> Result<Self, OpenError> {
        Self::open_with(url, migrate, Settings::default()).await
    }

    /// As [`Self::open`], with other settings.
    ///
    /// # Errors
    ///
    /// As [`super::connect`] says.
    pub async fn open_with(url: &str, migrate: Migrate, settings: Settings) -> Result<Self, OpenError> {
        let options = files::prepare(url, migrate, &settings).await?;
        migrate::run(&options, migrate, Contents::Whole).await?;
        let (sender, condition) = watch::channel(Condition::default());
        let writes = WriteQueue::start(options.clone(), &settings, sender.clone()).await?;
        let readers = options.clone().read_only(true);
        let anchor = anchor(&readers).await.map_err(store_error)?;
        let reads = Reads::new(&readers, &condition);
        Ok(Self {
            lookups: Lookups::start(&readers, &settings, sender)?,
            checkpoints: Checkpointer::start(
                options,
                writes.commits(),
                writes.truncation(),
                settings.log_pages,
            )
            .await?,
            writes,
            reads,
            texts: KeptTexts::default(),
            condition,
            settings,
            anchor: Mutex::new(Some(anchor)),
        })
    }
}

impl SqliteStorage {
    fn watch_commits(&self) -> watch::Receiver<u64> {
        self.writes.commits()
    }
}

/// A connection that has read the file once, and so holds SQLite's lock of those who use it.
async fn anchor(options: &SqliteConnectOptions) -> Result<SqliteConnection, sqlx::Error> {
    let mut connection = SqliteConnection::connect_with(options).await?;
    sqlx::query("PRAGMA schema_version")
        .execute(&mut connection)
        .await?;
    Ok(connection)
}

#[async_trait]
impl Storage for SqliteStorage {
    async fn transact(&self, organization: Option<OrganizationId>, work: Box<dyn Work>) -> Result<()> {
        self.writes.transact(organization, work).await
    }

    async fn touch(&self) -> Result<()> {
        self.writes.touch().await
    }

    async fn purge(&self) {
        // What was overwritten in the file is still in the write-ahead log until it is emptied.
        self.checkpoints.empty().await;
    }

    async fn compact(&self) -> Result<()> {
        let _turn = self.checkpoints.turn().await;
        self.writes.vacuum().await?;
        let truncation = self.writes.truncation();
        let begin = Instant::now();
        while !truncation.run().await? {
            if begin.elapsed() >= self.settings.log_patience {
                return Err(StoreError::LogInUse);
            }
            sleep(COMPACT_PAUSE).await;
        }
        Ok(())
    }

    fn condition(&self) -> watch::Receiver<Condition> {
        self.condition.clone()
    }

    fn load(&self) -> Load {
        let mut load = Load::default();
        self.lookups.load(&mut load);
        self.writes.load(&mut load);
        self.reads.load(&mut load);
        load
    }

    async fn close(&self) {
        self.lookups.close().await;
        self.reads.close().await;
        self.checkpoints.close().await;
        close_well(self.anchor.lock().await.take()).await;
        // Last, so that the writer is the one that folds the write-ahead log into the file.
        self.writes.close().await;
    }
}
