//! Group commit: one connection makes every change, and changes that wait together share one transaction and so one
//! wait for the disk.
//!
//! Each change runs in a savepoint of its own: one that fails is undone alone. A change is acknowledged when the
//! commit is on disk. A caller that went away harms nobody: its change is made or not, whole.
//!
//! A transaction that does not end as it should leaves a connection of which nothing is known, so another one takes its
//! place. While there is none that can write, changes are refused, and the writer tries by itself.

use std::{pin::pin, time::Duration};

use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, SqliteConnection, sqlite::SqliteConnectOptions,
};
use tokio::{
    sync::{Mutex, mpsc, oneshot, watch},
    task::JoinHandle,
    time::{Instant, sleep},
};

use super::{
    batch::MAX_BATCH,
    close::{close, close_well},
    error::{outage, store_error},
    files::temporary_folder,
    identity::{Files, identity},
    job::{Failure, Job, Pending, Ran},
    revoke::{Revocation, Revocations},
    settings::Settings,
    touch::{Touch, touch},
};
use crate::{
    domain::{Change, Condition, OrganizationId, Outage, UserId},
    storage::{
        Batches, Load, OpenError, QueueLoad, Result, StoreError, Work,
        outages::{Outages, Side},
    },
};

/// How often to see whether the file is still there.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long an attempt to write waits for another process: meanwhile changes wait, to be refused.
const ATTEMPT_WAITS: Duration = Duration::from_millis(50);

/// How often to try to empty the log, and how long to wait in between. Readers that are there at first have gone by then,
/// and new ones don't need the log, because all of it is in the file.
const TRUNCATE_ATTEMPTS: u32 = 4;
const TRUNCATE_PAUSE: Duration = Duration::from_millis(2);

/// The way to the writer.
pub(super) struct WriteQueue {
    queue: mpsc::Sender<Message>,
    commits: watch::Receiver<u64>,
    batches: WriteBatches,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// How many changes one transaction made, and how many of them were revocations.
#[derive(Clone, Default)]
struct WriteBatches {
    changes: Batches,
    revocations: Batches,
}

enum Message {
    Change(Box<dyn Job>),
    Revoke(Revocation),
    Truncate(oneshot::Sender<Result<bool>>),
    Vacuum(oneshot::Sender<Result<()>>),
    Close,
}

impl WriteQueue {
    /// Opens the connection and starts the task that owns it.
    pub(super) async fn start(
        options: SqliteConnectOptions,
        settings: &Settings,
        condition: watch::Sender<Condition>,
    ) -> Result<Self, OpenError> {
        let options = options
            .pragma("cache_size", format!("-{}", settings.writer_cache))
            .pragma("wal_autocheckpoint", settings.log_pages.to_string())
            // Without a queue: in one, a command for a thread that has died waits for ever.
            .command_buffer_size(0)
            .disable_statement_logging();
        let path = options.get_filename();
        let cannot_open = |source| OpenError::CannotOpen {
            path: path.to_owned(),
            source,
        };
        let database = identity(path).map_err(cannot_open)?;
        let connection = SqliteConnection::connect_with(&options)
            .await
            .map_err(store_error)?;
        let files = Files::of(path).map_err(cannot_open)?;
        // A backup was restored in this moment, and the connection has the file that was there before.
        if !files.begin_with(database) {
            return Err(StoreError::Unavailable(Outage::FileReplaced).into());
        }
        let (queue, messages) = mpsc::channel(settings.write_queue);
        let (count, commits) = watch::channel(0);
        let batches = WriteBatches::default();
        let writer = Writer {
            batches: batches.clone(),
            outages: Outages::new(Side::Writes, path.display().to_string(), condition),
            files,
            options,
            busy_timeout: settings.busy_timeout,
            connection: Some(connection),
            commits: count,
        };
        let task = tokio::spawn(writer.run(messages));
        Ok(Self {
            queue,
            commits,
            batches,
            task: Mutex::new(Some(task)),
        })
    }

    /// Runs the work in a transaction and returns when it is on disk, or undone because the work says so.
    pub(super) async fn transact(&self, work: Box<dyn Work>) -> Result<()> {
        let (reply, result) = oneshot::channel();
        self.send(Message::Change(Box::new(Pending { work, reply })))?;
        result.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Ends a user's live link and returns when that is on disk. False: there is none.
    pub(super) async fn revoke(
        &self,
        organization: OrganizationId,
        user: UserId,
        change: Change,
    ) -> Result<bool> {
        let (reply, result) = oneshot::channel();
        self.send(Message::Revoke(Revocation {
            organization,
            user,
            change,
            reply,
        }))?;
        result.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Commits a change that changes nothing.
    pub(super) async fn touch(&self) -> Result<()> {
        let (reply, result) = oneshot::channel();
        self.send(Message::Change(Box::new(Touch { reply })))?;
        result.await.unwrap_or(Err(StoreError::Closed))
    }

    fn send(&self, message: Message) -> Result<()> {
        self.queue.try_send(message).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
        })
    }

    /// Counts the commits.
    pub(super) fn commits(&self) -> watch::Receiver<u64> {
        self.commits.clone()
    }

    /// The way to empty the log.
    pub(super) fn truncation(&self) -> Truncation {
        Truncation(self.queue.downgrade())
    }

    /// Writes the file anew, without anything that was removed. Changes wait until it is done. What was removed is in the
    /// write-ahead log until that is emptied.
    pub(super) async fn vacuum(&self) -> Result<()> {
        let (reply, done) = oneshot::channel();
        self.queue
            .send(Message::Vacuum(reply))
            .await
            .map_err(|_| StoreError::Closed)?;
        done.await.unwrap_or(Err(StoreError::Closed))
    }

    /// What waits.
    pub(super) fn load(&self, load: &mut Load) {
        load.queues.push(QueueLoad::of("writes", &self.queue));
        load.batches.push(("writes", self.batches.changes.clone()));
        load.batches
            .push(("revocations", self.batches.revocations.clone()));
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

/// Empties the log between two transactions, where the writer itself is not in the way.
pub(super) struct Truncation(mpsc::WeakSender<Message>);

impl Truncation {
    /// Moves what is left of the log into the file and cuts the log to nothing. It takes some milliseconds and waits for
    /// nobody. False: another program, or one of our own readers, still reads it.
    pub(super) async fn run(&self) -> Result<bool> {
        let (reply, done) = oneshot::channel();
        let queue = self.0.upgrade().ok_or(StoreError::Closed)?;
        queue
            .send(Message::Truncate(reply))
            .await
            .map_err(|_| StoreError::Closed)?;
        drop(queue);
        done.await.unwrap_or(Err(StoreError::Closed))
    }
}

struct Writer {
    options: SqliteConnectOptions,
    busy_timeout: Duration,
    /// None while none can be opened that writes.
    connection: Option<SqliteConnection>,
    commits: watch::Sender<u64>,
    batches: WriteBatches,
    files: Files,
    outages: Outages,
}

/// Why a transaction did not end as it should.
enum Abort {
    Outage(Outage),
    Statement(sqlx::Error),
    Commit(sqlx::Error),
}

impl Writer {
    async fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        let mut batch = Vec::with_capacity(MAX_BATCH);
        let mut look = pin!(sleep(LOOK_EVERY));
        loop {
            tokio::select! {
                count = messages.recv_many(&mut batch, MAX_BATCH) => {
                    if count == 0 {
                        break;
                    }
                    let was_well = self.outages.current().is_none();
                    self.take(&mut batch, &mut messages).await;
                    if was_well && self.outages.current().is_some() {
                        look.as_mut().reset(Instant::now() + self.outages.pause());
                    }
                }
                () = &mut look => {
                    self.look().await;
                    let pause = match self.outages.current() {
                        Some(_) => self.outages.pause(),
                        None => LOOK_EVERY,
                    };
                    look.as_mut().reset(Instant::now() + pause);
                }
            }
        }
        close_well(self.connection).await;
    }

    async fn take(&mut self, batch: &mut Vec<Message>, messages: &mut mpsc::Receiver<Message>) {
        let mut jobs: Vec<Box<dyn Job>> = Vec::new();
        let mut revocations = Vec::new();
        let mut between = Vec::new();
        for message in batch.drain(..) {
            match message {
                Message::Change(job) => jobs.push(job),
                Message::Revoke(revocation) => revocations.push(revocation),
                Message::Close => messages.close(),
                Message::Truncate(_) | Message::Vacuum(_) => between.push(message),
            }
        }
        if !revocations.is_empty() {
            self.batches.revocations.taken(revocations.len());
        }
        let changes = jobs.len() + revocations.len();
        if changes > 0 {
            self.batches.changes.taken(changes);
        }
        jobs.push(Box::new(Revocations::new(revocations)));
        jobs.retain(|job| !job.is_abandoned());
        if !jobs.is_empty() {
            self.commit(jobs).await;
        }
        for message in between {
            // A caller that went away does not mind.
            match message {
                Message::Truncate(reply) => drop(reply.send(self.truncate().await)),
                Message::Vacuum(reply) => drop(reply.send(self.vacuum().await)),
                Message::Change(_) | Message::Revoke(_) | Message::Close => {}
            }
        }
    }

    /// Runs the jobs in one transaction, and those that are to be tried again in another, and tells each how it ended.
    async fn commit(&mut self, mut jobs: Vec<Box<dyn Job>>) {
        let failure = self.transaction(&mut jobs).await.err();
        let mut again = Vec::new();
        if failure.is_none() {
            self.commits
                .send_modify(|commits| *commits = commits.wrapping_add(1));
            again.extend(jobs.iter_mut().flat_map(|job| job.split()));
        }
        for job in jobs {
            job.finish(failure);
        }
        if !again.is_empty() {
            Box::pin(self.commit(again)).await;
        }
    }

    async fn transaction(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<(), Failure> {
        if let Some(outage) = self.outages.current() {
            return Err(Failure::Unavailable(outage));
        }
        let Some(connection) = &mut self.connection else {
            return Err(Failure::Unavailable(Outage::Other));
        };
        let failure = match transaction(connection, jobs).await {
            Ok(()) => match self.files.check() {
                Ok(()) => {
                    self.outages.worked();
                    return Ok(());
                }
                // It is in a file that nobody will find.
                Err(outage) => {
                    self.outages.begin(outage, &outage);
                    return Err(Failure::Unknown(outage));
                }
            },
            Err(Abort::Outage(outage)) => {
                self.give_up(outage, &outage).await;
                Failure::Unavailable(outage)
            }
            Err(Abort::Statement(error)) => {
                let outage = outage(&error).unwrap_or(Outage::Other);
                self.give_up(outage, &error).await;
                Failure::Unavailable(outage)
            }
            Err(Abort::Commit(error)) => {
                let outage = outage(&error);
                self.give_up(outage.unwrap_or(Outage::Other), &error).await;
                match outage {
                    None => Failure::NotCommitted,
                    Some(Outage::Locked) => Failure::Unavailable(Outage::Locked),
                    // All of it may be in the log, end mark included, and only have failed to be synced. To SQLite it has
                    // not happened: no reader sees it, and the next commit overwrites it. But if the machine or this
                    // process is killed before there is one, whoever reads the log back finds it.
                    Some(outage) => Failure::Unknown(outage),
                }
            }
        };
        Err(failure)
    }

    /// Puts another connection in the place of one whose transaction did not end as it should. Should that not work at
    /// once, it is an outage. Where there was no room for the change, room for an attempt proves nothing.
    async fn give_up(&mut self, outage: Outage, error: &(dyn std::fmt::Display + Sync)) {
        self.disconnect().await;
        if matches!(outage, Outage::DiskFull | Outage::Locked) {
            self.outages.begin(outage, error);
        } else if let Err(still) = self.connect().await {
            self.outages.begin(still, error);
        } else {
            self.outages.passed(error);
        }
    }

    async fn disconnect(&mut self) {
        if let Some(connection) = self.connection.take() {
            // It is given up because it is broken.
            let _ = close(connection).await;
        }
    }

    /// Looks whether the file is there and, in an outage, whether it can be written again.
    async fn look(&mut self) {
        if let Err(outage) = self.files.check() {
            self.outages.begin(outage, &outage);
        } else if self.outages.current().is_some() {
            self.disconnect().await;
            match self.connect().await {
                Ok(()) => self.outages.end(),
                Err(outage) => self.outages.begin(outage, &outage),
            }
        }
    }

    /// Opens a connection and commits something with it: that, and no less, shows that changes can be made.
    async fn connect(&mut self) -> Result<(), Outage> {
        self.files.check()?;
        let connection = attempt(&self.options, self.busy_timeout).await.map_err(|error| {
            tracing::debug!(%error, "the database can't be written yet");
            outage(&error).unwrap_or(Outage::Other)
        })?;
        self.connection = Some(connection);
        Ok(())
    }

    async fn truncate(&mut self) -> Result<bool> {
        let busy_timeout = self.busy_timeout;
        let truncated = truncate(self.usable()?, busy_timeout).await;
        self.between(truncated).await
    }

    async fn vacuum(&mut self) -> Result<()> {
        let folder = temporary_folder(self.options.get_filename());
        let vacuumed = vacuum(self.usable()?, &folder).await;
        self.between(vacuumed).await
    }

    fn usable(&mut self) -> Result<&mut SqliteConnection> {
        match self.outages.current() {
            Some(outage) => Err(StoreError::Unavailable(outage)),
            None => (self.connection.as_mut()).ok_or(StoreError::Unavailable(Outage::Other)),
        }
    }

    /// After work between transactions. Changes may be possible although it was not.
    async fn between<T>(&mut self, result: Result<T, sqlx::Error>) -> Result<T> {
        if let Err(error) = &result {
            self.disconnect().await;
            if let Err(outage) = self.connect().await {
                self.outages.begin(outage, error);
            }
        }
        result.map_err(store_error)
    }
}

/// Runs the jobs in one transaction. On an error the connection is not to be used again.
async fn transaction(connection: &mut SqliteConnection, jobs: &mut [Box<dyn Job>]) -> Result<(), Abort> {
    let mut transaction = connection
        .begin_with("BEGIN IMMEDIATE")
        .await
        .map_err(Abort::Statement)?;
    if let [job] = jobs {
        // Alone, it needs no savepoint.
        return match job.run(&mut transaction).await {
            Ran::Made => transaction.commit().await.map_err(Abort::Commit),
            Ran::Failed => transaction.rollback().await.map_err(Abort::Statement),
            Ran::Broken(outage) => Err(Abort::Outage(outage)),
        };
    }
    for job in jobs {
        let mut savepoint = transaction.begin().await.map_err(Abort::Statement)?;
        match job.run(&mut savepoint).await {
            Ran::Made => savepoint.commit().await.map_err(Abort::Statement)?,
            Ran::Failed => savepoint.rollback().await.map_err(Abort::Statement)?,
            Ran::Broken(outage) => return Err(Abort::Outage(outage)),
        }
    }
    transaction.commit().await.map_err(Abort::Commit)
}

/// A new connection that has just committed a page.
async fn attempt(
    options: &SqliteConnectOptions,
    busy_timeout: Duration,
) -> Result<SqliteConnection, sqlx::Error> {
    let options = options.clone().busy_timeout(ATTEMPT_WAITS);
    let mut connection = SqliteConnection::connect_with(&options).await?;
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    touch(&mut transaction).await?;
    transaction.commit().await?;
    set_busy_timeout(&mut connection, busy_timeout).await?;
    Ok(connection)
}

/// The copy that SQLite makes of everything is in the folder. The setting is one of the process, and of this moment only:
/// another database of the process may be where the folder is not.
async fn vacuum(connection: &mut SqliteConnection, folder: &str) -> Result<(), sqlx::Error> {
    let put = |folder: &str| AssertSqlSafe(format!("PRAGMA temp_store_directory = {folder}"));
    sqlx::query(put(folder)).execute(&mut *connection).await?;
    let vacuumed = sqlx::query("VACUUM").execute(&mut *connection).await;
    sqlx::query(put("''")).execute(connection).await?;
    vacuumed.map(|_| ())
}

/// Whether the log is empty now.
async fn truncate(connection: &mut SqliteConnection, busy_timeout: Duration) -> Result<bool, sqlx::Error> {
    // It would wait for readers with SQLite's lock for writing in its hand.
    set_busy_timeout(connection, Duration::ZERO).await?;
    let mut emptied = false;
    for attempt in 0..TRUNCATE_ATTEMPTS {
        if attempt > 0 {
            sleep(TRUNCATE_PAUSE).await;
        }
        // The first column is whether somebody kept it from being emptied (sqlite.org/pragma.html#pragma_wal_checkpoint).
        let busy: i64 = sqlx::query_scalar("PRAGMA wal_checkpoint (TRUNCATE)")
            .fetch_one(&mut *connection)
            .await?;
        emptied = busy == 0;
        if emptied {
            break;
        }
    }
    set_busy_timeout(connection, busy_timeout).await?;
    Ok(emptied)
}

async fn set_busy_timeout(connection: &mut SqliteConnection, timeout: Duration) -> Result<(), sqlx::Error> {
    let pragma = format!("PRAGMA busy_timeout = {}", timeout.as_millis());
    sqlx::query(AssertSqlSafe(pragma)).execute(connection).await?;
    Ok(())
}
