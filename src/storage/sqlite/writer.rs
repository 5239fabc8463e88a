//! Group commit: one connection makes every change, and changes that wait together share one transaction and so one
//! wait for the disk.
//!
//! Each change runs in a savepoint of its own: one that fails is undone alone. Nobody is told of success before the
//! commit is on disk. A caller that went away harms nobody: its change is made or not, whole.

use std::pin::Pin;

use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::{
    sync::{Mutex, mpsc, oneshot, watch},
    task::JoinHandle,
};

use super::{
    checkpoint::MOST_PAGES,
    error::{engine, is_busy},
    revoke::{Revocation, Revocations},
    slots::MAX_SLOTS,
};
use crate::{
    domain::{OrganizationId, UserId},
    storage::{Change, StoreError},
};

/// Changes that may wait. One more is refused at once with [`StoreError::Overloaded`].
const QUEUE: usize = 1024;

/// How much of the file this connection keeps in memory, once it has read it.
const CACHE_KIB: u32 = 16 * 1024;

/// Work inside a transaction.
pub(super) type Work<'c, T> = Pin<Box<dyn Future<Output = T> + Send + 'c>>;

/// The way to the writer.
pub(super) struct WriteQueue {
    queue: mpsc::Sender<Message>,
    commits: watch::Receiver<u64>,
    task: Mutex<Option<JoinHandle<()>>>,
}

enum Message {
    Change(Box<dyn Job>),
    Revoke(Revocation),
    Care(Care, oneshot::Sender<Result<(), StoreError>>),
    Close,
}

/// What is done for the file between transactions.
enum Care {
    Checkpoint,
    Compact,
}

/// A change that waits. It runs inside the transaction of its batch and hears how that ended.
pub(super) trait Job: Send {
    /// Whether the caller has gone away. Then nobody needs the change.
    fn is_abandoned(&self) -> bool;

    /// Makes the change and keeps its result. False: it failed, and is to be undone.
    fn run<'a>(&'a mut self, connection: &'a mut SqliteConnection) -> Work<'a, bool>;

    /// After a failure, the changes that failed together as jobs of their own, to be tried again: most may not fail alone.
    fn split(&mut self) -> Vec<Box<dyn Job>> {
        Vec::new()
    }

    /// Tells the caller; `failure` if the batch was not committed.
    fn finish(self: Box<Self>, failure: Option<StoreError>);
}

struct Pending<F, T> {
    work: Option<F>,
    result: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<F, T> Job for Pending<F, T>
where
    F: for<'c> FnOnce(&'c mut SqliteConnection) -> Work<'c, Result<T, StoreError>> + Send,
    T: Send,
{
    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn run<'a>(&'a mut self, connection: &'a mut SqliteConnection) -> Work<'a, bool> {
        Box::pin(async move {
            let Some(work) = self.work.take() else {
                return false;
            };
            let result = work(connection).await;
            let ok = result.is_ok();
            self.result = Some(result);
            ok
        })
    }

    fn finish(self: Box<Self>, failure: Option<StoreError>) {
        let result = match (self.result, failure) {
            // It failed by itself: that says more than how the batch ended.
            (Some(Err(error)), _) => Err(error),
            (Some(Ok(value)), None) => Ok(value),
            (_, failure) => Err(failure.unwrap_or(StoreError::Closed)),
        };
        // A caller that went away does not mind.
        let _ = self.reply.send(result);
    }
}

impl WriteQueue {
    /// Opens the connection and starts the task that owns it.
    pub(super) async fn start(options: SqliteConnectOptions) -> Result<Self, StoreError> {
        let options = options
            .pragma("cache_size", format!("-{CACHE_KIB}"))
            .pragma("wal_autocheckpoint", MOST_PAGES.to_string())
            .disable_statement_logging();
        let connection = SqliteConnection::connect_with(&options).await.map_err(engine)?;
        let (queue, messages) = mpsc::channel(QUEUE);
        let (count, commits) = watch::channel(0);
        let writer = Writer {
            options,
            connection,
            commits: count,
        };
        let task = tokio::spawn(writer.run(messages));
        Ok(Self {
            queue,
            commits,
            task: Mutex::new(Some(task)),
        })
    }

    /// Makes a change in a transaction and returns when it is on disk. If `work` fails, nothing of it has happened.
    pub(super) async fn submit<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> Work<'c, Result<T, StoreError>> + Send + 'static,
        T: Send + 'static,
    {
        let (reply, result) = oneshot::channel();
        let job = Box::new(Pending {
            work: Some(work),
            result: None,
            reply,
        });
        self.send(Message::Change(job))?;
        result.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Ends a user's live link and returns when that is on disk. False: there is none.
    pub(super) async fn revoke(
        &self,
        organization: OrganizationId,
        user: UserId,
        change: Change,
    ) -> Result<bool, StoreError> {
        let (reply, result) = oneshot::channel();
        self.send(Message::Revoke(Revocation {
            organization,
            user,
            change,
            reply,
        }))?;
        result.await.unwrap_or(Err(StoreError::Closed))
    }

    fn send(&self, message: Message) -> Result<(), StoreError> {
        self.queue.try_send(message).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
        })
    }

    /// Counts the commits.
    pub(super) fn commits(&self) -> watch::Receiver<u64> {
        self.commits.clone()
    }

    /// Empties the write-ahead log, so that nothing is left in it of what was removed.
    pub(super) async fn checkpoint(&self) -> Result<(), StoreError> {
        self.care(Care::Checkpoint).await
    }

    /// Writes the file anew, without anything that was removed. Changes wait until it is done.
    pub(super) async fn compact(&self) -> Result<(), StoreError> {
        self.care(Care::Compact).await
    }

    async fn care(&self, care: Care) -> Result<(), StoreError> {
        let (reply, done) = oneshot::channel();
        self.queue
            .send(Message::Care(care, reply))
            .await
            .map_err(|_| StoreError::Closed)?;
        done.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Refuses new changes, makes those that wait, and closes the connection.
    pub(super) async fn close(&self) {
        if let Some(task) = self.task.lock().await.take() {
            // It fails if the task has ended: then there is nothing left to wait for.
            let _ = self.queue.send(Message::Close).await;
            let _ = task.await;
        }
    }
}

struct Writer {
    options: SqliteConnectOptions,
    connection: SqliteConnection,
    commits: watch::Sender<u64>,
}

impl Writer {
    async fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        let mut batch = Vec::with_capacity(MAX_SLOTS);
        while messages.recv_many(&mut batch, MAX_SLOTS).await > 0 {
            let mut jobs: Vec<Box<dyn Job>> = Vec::new();
            let mut revocations = Vec::new();
            let mut cares = Vec::new();
            for message in batch.drain(..) {
                match message {
                    Message::Change(job) => jobs.push(job),
                    Message::Revoke(revocation) => revocations.push(revocation),
                    Message::Care(care, reply) => cares.push((care, reply)),
                    Message::Close => messages.close(),
                }
            }
            jobs.push(Box::new(Revocations::new(revocations)));
            jobs.retain(|job| !job.is_abandoned());
            if !jobs.is_empty() {
                self.commit(jobs).await;
            }
            for (care, reply) in cares {
                // A caller that went away does not mind.
                let _ = reply.send(self.care(&care).await);
            }
        }
        if let Err(error) = self.connection.close().await {
            tracing::error!(%error, "closing the database failed");
        }
    }

    async fn care(&mut self, care: &Care) -> Result<(), StoreError> {
        if let Care::Compact = care {
            sqlx::query("VACUUM")
                .execute(&mut self.connection)
                .await
                .map_err(engine)?;
        }
        self.checkpoint().await;
        Ok(())
    }

    /// Moves the write-ahead log into the file and empties it. A reader in between may keep it from that; then the next
    /// one does it.
    async fn checkpoint(&mut self) {
        // The first column is whether a reader kept it from being emptied (sqlite.org/pragma.html#pragma_wal_checkpoint).
        let checkpoint = sqlx::query_scalar::<_, i64>("PRAGMA wal_checkpoint (TRUNCATE)");
        match checkpoint.fetch_one(&mut self.connection).await {
            Ok(0) => {}
            Ok(_) => tracing::warn!("the write-ahead log was not emptied: it is being read"),
            Err(error) => tracing::warn!(%error, "the write-ahead log was not emptied"),
        }
    }

    /// Runs the jobs in one transaction, and those that are to be tried again in another, and tells each how it ended.
    async fn commit(&mut self, mut jobs: Vec<Box<dyn Job>>) {
        let failure = self.transaction(&mut jobs).await.err();
        let mut again = Vec::new();
        if let Some(error) = &failure {
            tracing::error!(%error, changes = jobs.len(), "a transaction failed");
            self.recover(error).await;
        } else {
            self.commits
                .send_modify(|commits| *commits = commits.wrapping_add(1));
            again.extend(jobs.iter_mut().flat_map(|job| job.split()));
        }
        for job in jobs {
            job.finish(failure.as_ref().map(repeat));
        }
        if !again.is_empty() {
            Box::pin(self.commit(again)).await;
        }
    }

    async fn transaction(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<(), sqlx::Error> {
        let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await?;
        if let [job] = jobs {
            // Alone, it needs no savepoint.
            if !job.run(&mut transaction).await {
                return transaction.rollback().await;
            }
            return transaction.commit().await;
        }
        for job in jobs {
            let mut savepoint = transaction.begin().await?;
            if job.run(&mut savepoint).await {
                savepoint.commit().await?;
            } else {
                savepoint.rollback().await?;
            }
        }
        transaction.commit().await
    }

    /// A connection whose thread died is replaced, so that one bad batch does not end all writing.
    async fn recover(&mut self, error: &sqlx::Error) {
        if matches!(error, sqlx::Error::WorkerCrashed) {
            match SqliteConnection::connect_with(&self.options).await {
                Ok(connection) => self.connection = connection,
                Err(error) => tracing::error!(%error, "opening the database again failed"),
            }
        }
    }
}

/// The same failure for each change of a batch. The log has the original.
fn repeat(error: &sqlx::Error) -> StoreError {
    if is_busy(error) {
        StoreError::Busy
    } else {
        StoreError::Engine("the transaction was not committed".into())
    }
}
