//! Moving the write-ahead log into the file, beside the writer: a commit need not wait for it.
//!
//! What is erased is overwritten in the file, but stays in the log until that is emptied. Somebody who reads the log keeps
//! it from that, so it is tried until it succeeds.

use std::{sync::Arc, time::Duration};

use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::{
    sync::{Mutex, OwnedMutexGuard, mpsc, oneshot, watch},
    task::JoinHandle,
    time::{Instant, sleep, sleep_until},
};

use super::{
    close::{close, close_well},
    error::store_error,
    writer::Truncation,
};
use crate::storage::{Result, StoreError};

/// How long to wait before the next look at the log.
const PACE: Duration = Duration::from_millis(50);

/// The same for a log that the writer is about to move itself, and how many pages have to wait in it then.
const HURRY: Duration = Duration::from_millis(2);
const FEW: i64 = 100;

/// The first pause before it is tried again to empty the log, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How often the log is emptied without being asked: what another process erased, or this one before it was killed, is
/// gone after this time, too.
const EMPTY_EVERY: Duration = Duration::from_secs(30);

/// The log hears of a log that can't be emptied this often.
const SAID_EVERY: Duration = Duration::from_secs(30);

/// The task that moves the log.
pub(super) struct Checkpointer {
    /// SQLite lets only one connection at a time move the log, and tells others to go away.
    turn: Arc<Mutex<()>>,
    empty: mpsc::UnboundedSender<oneshot::Sender<()>>,
    close: watch::Sender<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Checkpointer {
    /// Opens a connection and starts the task that owns it. It looks at the log after each of the `commits`. From so many `pages` on
    /// the writer moves the log itself.
    pub(super) async fn start(
        options: SqliteConnectOptions,
        commits: watch::Receiver<u64>,
        truncation: Truncation,
        pages: u32,
    ) -> Result<Self> {
        let options = options
            .pragma("wal_autocheckpoint", "0")
            // As the writer has it.
            .command_buffer_size(0)
            .disable_statement_logging();
        let connection = SqliteConnection::connect_with(&options)
            .await
            .map_err(store_error)?;
        let turn = Arc::new(Mutex::new(()));
        let (close, closing) = watch::channel(false);
        let (empty, requests) = mpsc::unbounded_channel();
        let log = Log {
            options,
            connection: Some(connection),
            truncation,
            turn: turn.clone(),
            pages: pages.into(),
            is_long: false,
            wanted: None,
            said_at: None,
        };
        let task = tokio::spawn(log.run(commits, requests, closing));
        Ok(Self {
            turn,
            empty,
            close,
            task: Mutex::new(Some(task)),
        })
    }

    /// Empties the log. When it returns, that was tried once; until it succeeds, the task goes on trying.
    pub(super) async fn empty(&self) {
        let (reply, done) = oneshot::channel();
        // An error means that the storage is closing: who leaves last empties the log.
        if self.empty.send(reply).is_ok() {
            let _ = done.await;
        }
    }

    /// Keeps this task from moving the log until it is dropped.
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

struct Log {
    options: SqliteConnectOptions,
    /// None after a failure, until it is needed.
    connection: Option<SqliteConnection>,
    truncation: Truncation,
    turn: Arc<Mutex<()>>,
    /// The length from which on the writer moves it.
    pages: i64,
    is_long: bool,
    wanted: Option<Wanted>,
    said_at: Option<Instant>,
}

/// The log is to be emptied.
struct Wanted {
    since: Instant,
    next: Instant,
    pause: Duration,
}

impl Log {
    async fn run(
        mut self,
        mut commits: watch::Receiver<u64>,
        mut requests: mpsc::UnboundedReceiver<oneshot::Sender<()>>,
        mut closing: watch::Receiver<bool>,
    ) {
        let mut waiting = Vec::new();
        let mut every = tokio::time::interval_at(Instant::now() + EMPTY_EVERY, EMPTY_EVERY);
        loop {
            let pace = if self.is_long { HURRY } else { PACE };
            let changed = async {
                sleep(pace).await;
                commits.changed().await
            };
            let next = self.wanted.as_ref().map(|wanted| wanted.next);
            let due = async {
                match next {
                    Some(next) => sleep_until(next).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = changed => if changed.is_ok() { self.move_if_long().await } else { break },
                () = due => self.empty().await,
                _ = every.tick() => self.want_if_any().await,
                count = requests.recv_many(&mut waiting, usize::MAX) => if count > 0 {
                    self.want();
                    self.empty().await;
                    for reply in waiting.drain(..) {
                        // A caller that went away does not mind.
                        let _ = reply.send(());
                    }
                },
                () = async { drop(closing.wait_for(|closing| *closing).await) } => break,
            }
        }
        close_well(self.connection).await;
    }

    fn want(&mut self) {
        let now = Instant::now();
        self.wanted.get_or_insert(Wanted {
            since: now,
            next: now,
            pause: FIRST_PAUSE,
        });
    }

    async fn want_if_any(&mut self) {
        match self.length().await {
            Ok((0, _)) => {}
            Ok(_) => self.want(),
            Err(error) => self.failed(&error).await,
        }
    }

    /// Seldom, as each time takes disk and processor from those who write, until the writer is about to do it: all that waits for it
    /// waits then, so next to nothing is to be left.
    async fn move_if_long(&mut self) {
        let turn = self.turn.clone().lock_owned().await;
        let moved = self.move_what_waits().await;
        drop(turn);
        if let Err(error) = moved {
            self.failed(&error).await;
        }
    }

    async fn move_what_waits(&mut self) -> Result<(), sqlx::Error> {
        let (log, moved) = self.length().await?;
        self.is_long = log >= self.pages / 4 * 3;
        let most = if self.is_long { FEW } else { self.pages / 5 };
        if log - moved >= most {
            let (_, now) = self.move_now().await?;
            // Of what somebody still reads nothing can be moved.
            self.is_long &= now > moved;
        }
        Ok(())
    }

    async fn empty(&mut self) {
        let turn = self.turn.clone().lock_owned().await;
        // First beside the writer, so that little is left to be done while it waits.
        let moved = self.move_now().await;
        let emptied = self.truncation.run().await;
        drop(turn);
        if let Err(error) = moved {
            self.failed(&error).await;
        }
        let Some(wanted) = &mut self.wanted else { return };
        if matches!(emptied, Ok(true)) {
            self.wanted = None;
            return;
        }
        wanted.next = Instant::now() + wanted.pause;
        wanted.pause = (wanted.pause * 2).min(LONGEST_PAUSE);
        let seconds = wanted.since.elapsed().as_secs();
        match emptied {
            // It is no news while it is about to end.
            Ok(_) if seconds < LONGEST_PAUSE.as_secs() => {}
            Ok(_) => self.say(&format_args!("it is being read since {seconds} s")),
            Err(StoreError::Unavailable(_) | StoreError::Closed) => {}
            Err(error) => self.say(&error),
        }
    }

    /// Pages in the log, and how many of them are in the file.
    async fn length(&mut self) -> Result<(i64, i64), sqlx::Error> {
        self.checkpoint("PRAGMA wal_checkpoint (NOOP)").await
    }

    /// The same afterwards.
    async fn move_now(&mut self) -> Result<(i64, i64), sqlx::Error> {
        self.checkpoint("PRAGMA wal_checkpoint (PASSIVE)").await
    }

    async fn checkpoint(&mut self, sql: &'static str) -> Result<(i64, i64), sqlx::Error> {
        // The first column is whether it failed for want of a lock (sqlite.org/pragma.html#pragma_wal_checkpoint).
        let (_, log, moved): (i64, i64, i64) =
            sqlx::query_as(sql).fetch_one(self.connection().await?).await?;
        Ok((log, moved))
    }

    async fn connection(&mut self) -> Result<&mut SqliteConnection, sqlx::Error> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => SqliteConnection::connect_with(&self.options).await?,
        };
        Ok(self.connection.insert(connection))
    }

    /// Gives up a connection that failed. The writer moves the log when it has become too long.
    async fn failed(&mut self, error: &sqlx::Error) {
        self.say(error);
        if let Some(connection) = self.connection.take() {
            // It is given up because it is broken.
            let _ = close(connection).await;
        }
    }

    fn say(&mut self, reason: &dyn std::fmt::Display) {
        if self.said_at.is_none_or(|at| at.elapsed() >= SAID_EVERY) {
            self.said_at = Some(Instant::now());
            tracing::warn!(%reason, "the write-ahead log was not moved into the file and emptied; it is tried again");
        }
    }
}
