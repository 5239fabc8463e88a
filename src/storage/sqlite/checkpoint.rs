//! Moving the write-ahead log into the file, beside the writer: a commit need not wait for it.

use std::{sync::Arc, time::Duration};

use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::{
    sync::{Mutex, OwnedMutexGuard, watch},
    task::JoinHandle,
    time::sleep,
};

use super::error::engine;
use crate::storage::StoreError;

/// How many pages of 4 KiB wait in the log until they are moved: SQLite's own default.
const PAGES: i64 = 1_000;

/// The writer itself moves the log when it has become this long, so that it does not grow for ever while changes come
/// without a pause. It is 40 MB that a start after a crash reads back.
pub(super) const MOST_PAGES: i64 = 10 * PAGES;

/// How long to wait before the next look at the log.
const PACE: Duration = Duration::from_millis(50);

/// The task that moves the log.
pub(super) struct Checkpointer {
    /// SQLite lets only one connection at a time move the log, and tells others to go away.
    turn: Arc<Mutex<()>>,
    close: watch::Sender<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Checkpointer {
    /// Opens a connection and starts the task that owns it. It looks at the log after each of the `commits`.
    pub(super) async fn start(
        options: SqliteConnectOptions,
        commits: watch::Receiver<u64>,
    ) -> Result<Self, StoreError> {
        let options = options
            .pragma("wal_autocheckpoint", "0")
            .disable_statement_logging();
        let connection = SqliteConnection::connect_with(&options).await.map_err(engine)?;
        let turn = Arc::new(Mutex::new(()));
        let (close, closing) = watch::channel(false);
        let task = tokio::spawn(run(connection, turn.clone(), commits, closing));
        Ok(Self {
            turn,
            close,
            task: Mutex::new(Some(task)),
        })
    }

    /// Leave to move the log oneself.
    pub(super) async fn turn(&self) -> OwnedMutexGuard<()> {
        self.turn.clone().lock_owned().await
    }

    /// Ends the task and closes its connection.
    pub(super) async fn close(&self) {
        if let Some(task) = self.task.lock().await.take() {
            self.close.send_replace(true);
            // It fails if the task has ended: then there is nothing left to wait for.
            let _ = task.await;
        }
    }
}

async fn run(
    mut connection: SqliteConnection,
    turn: Arc<Mutex<()>>,
    mut commits: watch::Receiver<u64>,
    mut closing: watch::Receiver<bool>,
) {
    loop {
        let changed = async {
            sleep(PACE).await;
            commits.changed().await
        };
        tokio::select! {
            changed = changed => if changed.is_err() { break },
            _ = closing.wait_for(|closing| *closing) => break,
        }
        let _turn = turn.lock().await;
        if let Err(error) = move_if_long(&mut connection).await {
            tracing::warn!(%error, "the write-ahead log was not moved into the file; the writer will do it");
        }
    }
    if let Err(error) = connection.close().await {
        tracing::error!(%error, "closing the database failed");
    }
}

async fn move_if_long(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    // Whether it failed for want of a lock, pages in the log, pages of them that are in the file
    // (sqlite.org/pragma.html#pragma_wal_checkpoint).
    let (_, log, moved): (i64, i64, i64) = sqlx::query_as("PRAGMA wal_checkpoint (NOOP)")
        .fetch_one(&mut *connection)
        .await?;
    if log - moved >= PAGES {
        sqlx::query("PRAGMA wal_checkpoint (PASSIVE)")
            .execute(connection)
            .await?;
    }
    Ok(())
}
