//! SQLite, embedded: one file, one process that writes at a time, any number that read.
//!
//! Ways into the file, each for its own kind of work: `lookup` answers the hot path, `writer` makes every change, a small
//! pool reads everything else, and `checkpoint` moves what was written to where it stays.

mod answers;
mod api_keys;
mod checkpoint;
mod error;
mod events;
mod found;
mod lookup;
mod members;
mod migrate;
mod organizations;
mod revoke;
mod row;
mod slots;
mod teams;
mod writer;

use std::{str::FromStr as _, time::Duration};

use async_trait::async_trait;
use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use self::{checkpoint::Checkpointer, error::engine, lookup::LookupQueue, writer::WriteQueue};
use super::{Migrate, Storage, StoreError};

/// How long a connection waits for another process's lock before it gives up with [`StoreError::Busy`].
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Connections for reads off the hot path. They are opened when needed.
const POOL_SIZE: u32 = 2;

/// A directory in an SQLite file.
pub struct SqliteStorage {
    lookups: LookupQueue,
    writes: WriteQueue,
    checkpoints: Checkpointer,
    reads: SqlitePool,
}

impl SqliteStorage {
    /// Opens the file of a `sqlite:` URL, which is created if need be.
    ///
    /// # Errors
    ///
    /// As [`super::connect`] says.
    pub async fn open(url: &str, migrate: Migrate) -> Result<Self, StoreError> {
        let options = options(url)?.create_if_missing(migrate != Migrate::Never);
        migrate::run(&options, migrate).await?;
        let reads = SqlitePoolOptions::new()
            .max_connections(POOL_SIZE)
            .connect_lazy_with(options.clone().create_if_missing(false).read_only(true));
        let writes = WriteQueue::start(options.clone()).await?;
        Ok(Self {
            lookups: LookupQueue::start(options.clone().read_only(true).create_if_missing(false)).await?,
            checkpoints: Checkpointer::start(options, writes.commits()).await?,
            writes,
            reads,
        })
    }
}

#[async_trait]
impl Storage for SqliteStorage {
    async fn compact(&self) -> Result<(), StoreError> {
        let _turn = self.checkpoints.turn().await;
        self.writes.compact().await
    }

    async fn close(&self) {
        self.lookups.close().await;
        self.reads.close().await;
        self.checkpoints.close().await;
        // Last, so that the writer is the one that folds the write-ahead log into the file.
        self.writes.close().await;
    }
}

/// The settings of every connection. FULL makes a commit wait for the disk: an acknowledged write survives power loss.
fn options(url: &str) -> Result<SqliteConnectOptions, StoreError> {
    Ok(SqliteConnectOptions::from_str(url)
        .map_err(engine)?
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        // What is removed is overwritten. Copies that SQLite left behind when it moved rows from one page to another stay
        // in the unused parts of pages until those are used again, or the file is compacted (VACUUM).
        .pragma("secure_delete", "ON")
        .busy_timeout(BUSY_TIMEOUT))
}
