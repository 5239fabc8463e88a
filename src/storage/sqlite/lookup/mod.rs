//! The hot path: a connection of each runtime answers its look-ups of a key, with or without a member.
//!
//! Waking a thread costs several times what a look-up costs. So the task that owns the connection runs the statements itself, in the
//! runtime that asks, one batch of waiting look-ups after the other and never two at once: so a slow disk holds
//! one thread of a runtime at most, and [`watchdog`] sees to it that another goes on. Whatever must be waited for otherwise, such as
//! another process's lock, it waits for as tasks do.
//! Each statement begins after its look-up was asked for, so it sees every change acknowledged before.
//!
//! A connection that fails is given up, and the next look-ups are answered by a new one.

mod statements;
mod watchdog;

use std::{
    path::PathBuf,
    pin::pin,
    sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError},
    time::Duration,
};

use sqlx::sqlite::SqliteConnectOptions;
use tokio::{
    runtime::{self, Handle},
    sync::{Mutex, mpsc, oneshot, watch},
    task::{JoinHandle, yield_now},
    time::{Instant, sleep},
};

use self::{
    statements::Statements,
    watchdog::{Progress, Watchdog, Watched},
};
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

/// The way to the readers.
pub(super) struct Lookups {
    /// Of whoever asks from no runtime that has its own.
    common: LookupQueue,
    /// By the runtimes that have their own.
    own: Vec<(runtime::Id, LookupQueue)>,
    batches: Batches,
    watchdog: Mutex<Option<Watchdog>>,
}

/// The way to one reader.
struct LookupQueue {
    queue: mpsc::Sender<Message>,
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

impl Lookups {
    /// Opens the connections and starts the tasks that own them: one in this runtime, and one in each of those that ask most.
    pub(super) fn start(
        options: &SqliteConnectOptions,
        settings: &Settings,
        condition: watch::Sender<Condition>,
    ) -> Result<Self> {
        let path = options.get_filename().to_owned();
        let outages = Outages::new(Side::Reads, path.display().to_string(), condition);
        let outages = Arc::new(StdMutex::new(outages));
        let batches = Batches::default();
        let runtimes = &settings.runtimes;
        let reader = |progress| -> Result<_> {
            Ok(Reader {
                batches: batches.clone(),
                outages: outages.clone(),
                busy_timeout: settings.busy_timeout,
                statements: Some(Statements::open(&path, runtimes.len()).map_err(of_lookup)?),
                connections: runtimes.len(),
                path: path.clone(),
                progress,
            })
        };
        let here = Handle::current();
        let progress = Progress::default();
        let common = LookupQueue::start(reader(progress.clone())?, settings, &here);
        let mut watched = vec![Watched::by_others(progress, here)];
        let mut own = Vec::with_capacity(runtimes.len());
        for runtime in runtimes {
            let progress = Progress::default();
            let queue = LookupQueue::start(reader(progress.clone())?, settings, runtime);
            watched.push(Watched::by_standby(progress, runtime.clone()));
            own.push((runtime.id(), queue));
        }
        let watchdog = Watchdog::start(watched).map_err(|error| StoreError::Engine(Box::new(error)))?;
        Ok(Self {
            common,
            own,
            batches,
            watchdog: Mutex::new(Some(watchdog)),
        })
    }

    /// The key with the digest and, in its organization, the live end user.
    pub(super) async fn find(&self, digest: KeyDigest, member: Option<MemberLookup>) -> Result<KeyAndMember> {
        let here = Handle::current().id();
        let own = self.own.iter().find(|(runtime, _)| *runtime == here);
        let queue = own.map_or(&self.common, |(_, queue)| queue);
        queue.find(digest, member).await
    }

    /// What waits.
    pub(super) fn load(&self, load: &mut Load) {
        let queues = self.queues().map(|queue| QueueLoad::of("lookups", &queue.queue));
        load.queues.extend(queues.reduce(QueueLoad::and));
        load.batches.push(("lookups", self.batches.clone()));
    }

    /// Refuses new look-ups, answers those that wait, and closes the connections.
    pub(super) async fn close(&self) {
        for queue in self.queues() {
            queue.close().await;
        }
        self.watchdog.lock().await.take();
    }

    fn queues(&self) -> impl Iterator<Item = &LookupQueue> {
        self.own.iter().map(|(_, queue)| queue).chain([&self.common])
    }
}

impl LookupQueue {
    fn start(reader: Reader, settings: &Settings, runtime: &Handle) -> Self {
        let (queue, messages) = mpsc::channel(settings.lookup_queue);
        let task = runtime.spawn(reader.run(messages));
        Self {
            queue,
            task: Mutex::new(Some(task)),
        }
    }

    async fn find(&self, digest: KeyDigest, member: Option<MemberLookup>) -> Result<KeyAndMember> {
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

    async fn close(&self) {
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
    /// Of how many runtimes there are readers.
    connections: usize,
    batches: Batches,
    /// Of all readers: what one can read, so can the others.
    outages: Arc<StdMutex<Outages>>,
    progress: Progress,
}

impl Reader {
    async fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        let mut batch = Vec::with_capacity(MAX_BATCH);
        let mut lookups = Vec::with_capacity(MAX_BATCH);
        // When to try without being asked. It is waited for in an outage only.
        let mut attempt = pin!(sleep(Duration::ZERO));
        loop {
            let is_ill = self.outages().current().is_some();
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
            if self.outages().current().is_some() && attempt.is_elapsed() {
                attempt.as_mut().reset(Instant::now() + self.outages().pause());
            }
            // Others, who may want to look something up as well.
            yield_now().await;
        }
    }

    /// Answers all of them, however that ends, and leaves none.
    async fn answer(&mut self, lookups: &mut Vec<Lookup>) {
        let begun = Instant::now();
        loop {
            self.progress.begin();
            let done = self.query(lookups);
            self.progress.end();
            match done {
                Ok(()) => {
                    let mut outages = self.outages();
                    outages.worked();
                    outages.end();
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
        self.progress.begin();
        let done = self.statements().and_then(Statements::probe);
        self.progress.end();
        match done {
            Ok(()) => self.outages().end(),
            Err(error) => {
                let (outage, error) = failed(error);
                self.fail(outage, &error);
            }
        }
    }

    fn outages(&self) -> MutexGuard<'_, Outages> {
        self.outages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fail(&mut self, outage: Outage, error: &rusqlite::Error) {
        self.outages().begin(outage, error);
        self.statements = None;
    }

    fn statements(&mut self) -> rusqlite::Result<&Statements> {
        let statements = match self.statements.take() {
            Some(statements) => statements,
            None => Statements::open(&self.path, self.connections)?,
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
