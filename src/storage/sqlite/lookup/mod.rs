//! The hot path: one connection answers every look-up of a key, with or without a member.
//!
//! Waking a thread costs several times what a look-up costs. So the task that owns the connection runs the statements itself, on
//! whichever of the runtime's threads it is, one batch of waiting look-ups after the other and never two at once: so a slow disk holds
//! one thread at most, and [`watchdog`] sees to it that another goes on. Whatever must be waited for otherwise, such as another
//! process's lock, it waits for as tasks do.
//! Each statement begins after its look-up was asked for, so it sees every change acknowledged before.
//!
//! A connection that fails is given up, and the next look-ups are answered by a new one.

mod statements;
mod watchdog;

use std::{path::PathBuf, pin::pin, time::Duration};

use sqlx::sqlite::SqliteConnectOptions;
use tokio::{
    sync::{Mutex, mpsc, oneshot, watch},
    task::{JoinHandle, yield_now},
    time::{Instant, sleep},
};

use self::{statements::Statements, watchdog::Watchdog};
use super::{
    batch::MAX_BATCH,
    error::{of_lookup, outage_of_lookup},
    settings::Settings,
};
use crate::{
    domain::{Condition, KeyDigest, MemberLookup, Outage},
    storage::{
        Batches, KeyAndMember, Load, QueueLoad, Result, StoreError,
        outages::{Outages, Side},
    },
};

/// How long to wait until another process's lock is tried again.
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// The way to the reader.
pub(super) struct LookupQueue {
    queue: mpsc::Sender<Message>,
    batches: Batches,
    task: Mutex<Option<JoinHandle<()>>>,
}

enum Message {
    Lookup(Lookup),
    Close,
}

struct Lookup {
    digest: KeyDigest,
    member: Option<MemberLookup>,
    reply: oneshot::Sender<Result<KeyAndMember>>,
}

impl LookupQueue {
    /// Opens the connection and starts the task that owns it.
    pub(super) fn start(
        options: &SqliteConnectOptions,
        settings: &Settings,
        condition: watch::Sender<Condition>,
    ) -> Result<Self> {
        let path = options.get_filename().to_owned();
        let statements = Statements::open(&path).map_err(of_lookup)?;
        let (queue, messages) = mpsc::channel(settings.lookup_queue);
        let batches = Batches::default();
        let reader = Reader {
            batches: batches.clone(),
            outages: Outages::new(Side::Reads, path.display().to_string(), condition),
            path,
            busy_timeout: settings.busy_timeout,
            statements: Some(statements),
            watchdog: Watchdog::start().map_err(|error| StoreError::Engine(Box::new(error)))?,
        };
        let task = tokio::spawn(reader.run(messages));
        Ok(Self {
            queue,
            batches,
            task: Mutex::new(Some(task)),
        })
    }

    /// The key with the digest and, in its organization, the live end user.
    pub(super) async fn find(&self, digest: KeyDigest, member: Option<MemberLookup>) -> Result<KeyAndMember> {
        let (reply, result) = oneshot::channel();
        self.queue
            .try_send(Message::Lookup(Lookup {
                digest,
                member,
                reply,
            }))
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => StoreError::Overloaded,
                mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
            })?;
        result.await.unwrap_or(Err(StoreError::Closed))
    }

    /// What waits.
    pub(super) fn load(&self, load: &mut Load) {
        load.queues.push(QueueLoad::of("lookups", &self.queue));
        load.batches.push(("lookups", self.batches.clone()));
    }

    /// Refuses new look-ups, answers those that wait, and closes the connection.
    pub(super) async fn close(&self) {
        if let Some(task) = self.task.lock().await.take() {
            // It fails if the task has ended: then there is nothing left to wait for.
            let _ = self.queue.send(Message::Close).await;
            let _ = task.await;
        }
    }
}

struct Reader {
    path: PathBuf,
    busy_timeout: Duration,
    /// None after a failure, until the next attempt.
    statements: Option<Statements>,
    batches: Batches,
    outages: Outages,
    watchdog: Watchdog,
}

impl Reader {
    async fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        let mut batch = Vec::with_capacity(MAX_BATCH);
        let mut lookups = Vec::with_capacity(MAX_BATCH);
        // When to try without being asked. It is waited for in an outage only.
        let mut attempt = pin!(sleep(Duration::ZERO));
        loop {
            let is_ill = self.outages.current().is_some();
            tokio::select! {
                count = messages.recv_many(&mut batch, MAX_BATCH) => {
                    if count == 0 {
                        break;
                    }
                    for message in batch.drain(..) {
                        match message {
                            // Its caller went away.
                            Message::Lookup(lookup) if lookup.reply.is_closed() => {}
                            Message::Lookup(lookup) => lookups.push(lookup),
                            Message::Close => messages.close(),
                        }
                    }
                    if !lookups.is_empty() {
                        self.batches.taken(lookups.len());
                        self.answer(&mut lookups).await;
                    }
                }
                () = &mut attempt, if is_ill => self.attempt(),
            }
            if self.outages.current().is_some() && attempt.is_elapsed() {
                attempt.as_mut().reset(Instant::now() + self.outages.pause());
            }
            // Others, who may want to look something up as well.
            yield_now().await;
        }
    }

    /// Answers all of them, however that ends, and leaves none.
    async fn answer(&mut self, lookups: &mut Vec<Lookup>) {
        let begun = Instant::now();
        loop {
            self.watchdog.begin();
            let done = self.query(lookups);
            self.watchdog.end();
            match done {
                Ok(()) => {
                    self.outages.worked();
                    self.outages.end();
                    return;
                }
                Err((Outage::Locked, _)) if begun.elapsed() < self.busy_timeout => sleep(LOCK_PAUSE).await,
                Err((outage, error)) => {
                    self.fail(outage, &error);
                    for lookup in lookups.drain(..) {
                        lookup.answer(Err(StoreError::Unavailable(outage)));
                    }
                    return;
                }
            }
        }
    }

    /// Looks up a key that nobody has: whether look-ups can be answered again.
    fn attempt(&mut self) {
        self.watchdog.begin();
        let done = self.statements().and_then(Statements::probe);
        self.watchdog.end();
        match done {
            Ok(()) => self.outages.end(),
            Err(error) => {
                let (outage, error) = failed(error);
                self.fail(outage, &error);
            }
        }
    }

    fn fail(&mut self, outage: Outage, error: &rusqlite::Error) {
        self.outages.begin(outage, error);
        self.statements = None;
    }

    fn statements(&mut self) -> rusqlite::Result<&Statements> {
        let statements = match self.statements.take() {
            Some(statements) => statements,
            None => Statements::open(&self.path)?,
        };
        Ok(self.statements.insert(statements))
    }

    /// Answers look-ups until all have their answer, or nothing can be read.
    fn query(&mut self, lookups: &mut Vec<Lookup>) -> Result<(), (Outage, rusqlite::Error)> {
        let several = lookups.len() > 1;
        let statements = self.statements().map_err(failed)?;
        if several {
            statements.begin().map_err(failed)?;
        }
        let mut batch = statements.batch();
        while let Some(lookup) = lookups.pop() {
            match batch.find(&lookup.digest, lookup.member.as_ref()) {
                Ok(found) => lookup.answer(Ok(found)),
                Err(error) => {
                    if let Some(outage) = outage_of_lookup(&error) {
                        lookups.push(lookup);
                        return Err((outage, error));
                    }
                    // Of this one: the others are to be answered.
                    tracing::error!(%error, "a look-up failed");
                    lookup.answer(Err(of_lookup(error)));
                }
            }
        }
        if several {
            statements.end().map_err(failed)?;
        }
        Ok(())
    }
}

/// An error without which there would be an answer.
fn failed(error: rusqlite::Error) -> (Outage, rusqlite::Error) {
    (outage_of_lookup(&error).unwrap_or(Outage::Other), error)
}

impl Lookup {
    /// A caller that went away does not mind.
    fn answer(self, found: Result<KeyAndMember>) {
        let _ = self.reply.send(found);
    }
}
