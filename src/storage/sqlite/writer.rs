//! Group commit: one connection makes every change, and changes that wait together share one transaction and so one
//! wait for the disk.
//!
//! Each change runs in a savepoint of its own: one that fails is undone alone. A change is acknowledged when the
//! commit is on disk. A caller that went away harms nobody: its change is made or not, whole. Organizations take turns, and
//! no transaction gets long by the many changes of one while another one waits.
//!
//! A transaction that does not end as it should leaves a connection of which nothing is known, so another one takes its
//! place. While there is none that can write, changes are refused, and the writer tries by itself.

use std::{collections::HashSet, pin::pin, time::Duration};

use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, SqliteConnection, sqlite::SqliteConnectOptions,
};
use tokio::{
    sync::{Mutex, oneshot, watch},
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
    turns::{Owner, Taker, Turns, turns},
};
use crate::{
    domain::{Change, Condition, OrganizationId, Outage, UserId},
    storage::{
        Batches, Load, OpenError, QueueLoad, Result, StoreError, Work,
        outages::{Outages, Side},
    },
};

/// When a transaction with one change of each organization has taken so long, others are not held up by more in it. It is
/// a few times what a commit takes.
const ENOUGH: Duration = Duration::from_millis(3);

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
    queue: Turns<Message>,
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
}

/// A job, and in whose turn it came.
type Waiting = (Owner, Box<dyn Job>);

/// What is to be done in one transaction.
#[derive(Default)]
struct Batch {
    /// Whose it is.
    owners: HashSet<Owner>,
    /// One of each owner, then more.
    jobs: Vec<Waiting>,
    /// Those that were not begun.
    left: Vec<Waiting>,
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
        let (queue, waiting) = turns(settings.write_queue);
        let (count, commits) = watch::channel(0);
        let batches = WriteBatches::default();
        let writer = Writer {
            batches: batches.clone(),
            outages: Outages::new(Side::Writes, path.display().to_string(), condition),
            files,
            options,
            busy_timeout: settings.busy_timeout,
            connection: Some(connection),
            waiting,
            commits: count,
        };
        let task = tokio::spawn(writer.run());
        Ok(Self {
            queue,
            commits,
            batches,
            task: Mutex::new(Some(task)),
        })
    }

    /// Runs the work in a transaction and returns when it is on disk, or undone because the work says so.
    pub(super) async fn transact(
        &self,
        organization: Option<OrganizationId>,
        work: Box<dyn Work>,
    ) -> Result<()> {
        let (reply, result) = oneshot::channel();
        self.queue
            .add(organization, Message::Change(Box::new(Pending::new(work, reply))))?;
        result.await.unwrap_or_else(|_| Err(self.queue.why_dropped()))
    }

    /// Ends a user's live link and returns when that is on disk. False: there is none.
    pub(super) async fn revoke(
        &self,
        organization: OrganizationId,
        user: UserId,
        change: Change,
    ) -> Result<bool> {
        let (reply, result) = oneshot::channel();
        let revocation = Revocation {
            organization,
            user,
            change,
            reply,
        };
        self.queue.add(Some(organization), Message::Revoke(revocation))?;
        result.await.unwrap_or_else(|_| Err(self.queue.why_dropped()))
    }

    /// Commits a change that changes nothing.
    pub(super) async fn touch(&self) -> Result<()> {
        let (reply, result) = oneshot::channel();
        self.queue.add(None, Message::Change(Box::new(Touch { reply })))?;
        result.await.unwrap_or_else(|_| Err(self.queue.why_dropped()))
    }

    /// Counts the commits.
    pub(super) fn commits(&self) -> watch::Receiver<u64> {
        self.commits.clone()
    }

    /// The way to empty the log.
    pub(super) fn truncation(&self) -> Truncation {
        Truncation(self.queue.clone())
    }

    /// Writes the file anew, without anything that was removed. Changes wait until it is done. What was removed is in the
    /// write-ahead log until that is emptied.
    pub(super) async fn vacuum(&self) -> Result<()> {
        let (reply, done) = oneshot::channel();
        self.queue.add(None, Message::Vacuum(reply))?;
        done.await.unwrap_or_else(|_| Err(self.queue.why_dropped()))
    }

    /// What waits.
    pub(super) fn load(&self, load: &mut Load) {
        let (waiting, room) = self.queue.load();
        load.queues.push(QueueLoad {
            name: "writes",
            waiting,
            room: Some(room),
        });
        load.batches.push(("writes", self.batches.changes.clone()));
        load.batches
            .push(("revocations", self.batches.revocations.clone()));
    }

    /// Refuses new changes, makes those that wait, and closes the connection.
    pub(super) async fn close(&self) {
        self.queue.close();
        if let Some(task) = self.task.lock().await.take() {
            // It fails if the task has ended: then there is nothing left to wait for.
            let _ = task.await;
        }
    }
}

impl Drop for WriteQueue {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// Empties the log between two transactions, where the writer itself is not in the way.
pub(super) struct Truncation(Turns<Message>);

impl Truncation {
    /// Moves what is left of the log into the file and cuts the log to nothing. It takes some milliseconds and waits for
    /// nobody. False: another program, or one of our own readers, still reads it.
    pub(super) async fn run(&self) -> Result<bool> {
        let (reply, done) = oneshot::channel();
        self.0.add(None, Message::Truncate(reply))?;
        done.await.unwrap_or_else(|_| Err(self.0.why_dropped()))
    }
}

struct Writer {
    options: SqliteConnectOptions,
    busy_timeout: Duration,
    /// None while none can be opened that writes.
    connection: Option<SqliteConnection>,
    waiting: Taker<Message>,
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
    async fn run(mut self) {
        let mut look = pin!(sleep(LOOK_EVERY));
        loop {
            tokio::select! {
                taken = self.waiting.take(MAX_BATCH) => {
                    if taken.is_empty() {
                        break;
                    }
                    let was_well = self.outages.current().is_none();
                    self.take(taken).await;
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

    /// Does what was taken. For what there is no time, that waits on.
    async fn take(&mut self, taken: Vec<(Owner, Message)>) {
        let mut batch = Batch::default();
        let mut revocations = Vec::new();
        let mut between = Vec::new();
        for (owner, message) in taken {
            batch.owners.insert(owner);
            match message {
                Message::Change(job) => batch.jobs.push((owner, job)),
                Message::Revoke(revocation) => revocations.push(revocation),
                Message::Truncate(_) | Message::Vacuum(_) => between.push(message),
            }
        }
        let changes = batch.jobs.len() + revocations.len();
        if !revocations.is_empty() {
            self.batches.revocations.taken(revocations.len());
        }
        batch
            .jobs
            .insert(0, (None, Box::new(Revocations::new(revocations))));
        batch.jobs.retain(|(_, job)| !job.is_abandoned());
        let left = if batch.jobs.is_empty() {
            Vec::new()
        } else {
            self.commit(batch).await
        };
        if changes > left.len() {
            self.batches.changes.taken(changes - left.len());
        }
        let left = left.into_iter().map(|(owner, job)| (owner, Message::Change(job)));
        self.waiting.put_back(left.collect());
        for message in between {
            // A caller that went away does not mind.
            match message {
                Message::Truncate(reply) => drop(reply.send(self.truncate().await)),
                Message::Vacuum(reply) => drop(reply.send(self.vacuum().await)),
                Message::Change(_) | Message::Revoke(_) => {}
            }
        }
    }

    /// Runs the jobs in one transaction, and those that are to be tried again in another, and tells each how it ended. Gives
    /// back those that were not begun.
    async fn commit(&mut self, mut batch: Batch) -> Vec<Waiting> {
        let failure = self.transaction(&mut batch).await.err();
        let mut again = Batch::default();
        if failure.is_none() {
            self.commits
                .send_modify(|commits| *commits = commits.wrapping_add(1));
            for (owner, job) in &mut batch.jobs {
                again
                    .jobs
                    .extend(job.split().into_iter().map(|job| (*owner, job)));
            }
        }
        for (_, job) in batch.jobs {
            job.finish(failure);
        }
        if !again.jobs.is_empty() {
            again.owners = batch.owners;
            batch.left.extend(Box::pin(self.commit(again)).await);
        }
        batch.left
    }

    async fn transaction(&mut self, batch: &mut Batch) -> Result<(), Failure> {
        if let Some(outage) = self.outages.current() {
            return Err(Failure::Unavailable(outage));
        }
        let Some(connection) = &mut self.connection else {
            return Err(Failure::Unavailable(Outage::Other));
        };
        let failure = match transaction(connection, batch, &self.waiting).await {
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

/// Runs the jobs in one transaction, or as many as there is time for. On an error the connection is not to be used again.
async fn transaction(
    connection: &mut SqliteConnection,
    batch: &mut Batch,
    waiting: &Taker<Message>,
) -> Result<(), Abort> {
    let mut transaction = connection
        .begin_with("BEGIN IMMEDIATE")
        .await
        .map_err(Abort::Statement)?;
    if let [(_, job)] = batch.jobs.as_mut_slice() {
        // Alone, it needs no savepoint.
        return match job.run(&mut transaction).await {
            Ran::Made => transaction.commit().await.map_err(Abort::Commit),
            Ran::Failed => transaction.rollback().await.map_err(Abort::Statement),
            Ran::Broken(outage) => Err(Abort::Outage(outage)),
        };
    }
    let begun = Instant::now();
    let mut run = 0;
    for (_, job) in &mut batch.jobs {
        // The first may be the revocations of several.
        if run > batch.owners.len()
            && begun.elapsed() >= ENOUGH
            && (batch.owners.len() > 1 || waiting.has_others(&batch.owners))
        {
            break;
        }
        let mut savepoint = transaction.begin().await.map_err(Abort::Statement)?;
        match job.run(&mut savepoint).await {
            Ran::Made => savepoint.commit().await.map_err(Abort::Statement)?,
            Ran::Failed => savepoint.rollback().await.map_err(Abort::Statement)?,
            Ran::Broken(outage) => return Err(Abort::Outage(outage)),
        }
        run += 1;
    }
    batch.left.extend(batch.jobs.drain(run..));
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
