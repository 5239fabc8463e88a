//! Revocations that wait together, made by one statement and committed with it: an integrator's `delete` is on the hot path.
//! The rule is that of [`crate::storage::MemberStore::revoke_user`]: an end user's link ends; staff keep link and role and
//! only cease to be end users.
//!
//! The statement waits for nobody who changes an organization at the same time: what it had to leave is made in a transaction
//! of that organization, in its turn, while the next ones are made together again.

mod later;
mod statement;

use std::{collections::HashMap, time::Duration};

use sqlx::postgres::PgConnectOptions;
use tokio::{
    sync::{Mutex, mpsc, oneshot, watch},
    task::{JoinHandle, JoinSet},
};

use self::{
    later::Later,
    statement::{Wanted, revoke},
};
use super::{
    commits::Commits,
    connect::{Kept, in_time},
    error::{is_locked, is_passing, outage, store_error},
    monitor::Failures,
    settings::Settings,
    writer::Writer,
};
use crate::{
    domain::{Change, Condition, OrganizationId, Outage, UserId},
    storage::{Batches, Load, QueueLoad, Result, StoreError, outages::Side},
};

/// The most revocations in one statement.
const MAX_BATCH: usize = 64;

/// How long the statement waits for a row that somebody else has: all others wait with it.
const LOCK_TIMEOUT: &str = "100ms";

/// The way to the connection.
pub(super) struct RevokeQueue {
    queue: mpsc::Sender<Message>,
    condition: watch::Receiver<Condition>,
    batches: Batches,
    task: Mutex<Option<JoinHandle<()>>>,
}

enum Message {
    Revoke(Revocation),
    Close,
}

/// A revocation that waits.
struct Revocation {
    wanted: Wanted,
    reply: oneshot::Sender<Result<bool>>,
}

impl RevokeQueue {
    /// Starts the task that owns the connection.
    pub(super) fn start(
        options: &PgConnectOptions,
        settings: &Settings,
        condition: &watch::Receiver<Condition>,
        failures: &Failures,
        commits: &Commits,
        writer: &Writer,
    ) -> Self {
        let (queue, messages) = mpsc::channel(settings.lookup_queue);
        let batches = Batches::default();
        let together = Together {
            batches: batches.clone(),
            options: options.clone(),
            connection: Kept::new(options, settings.patience),
            failures: failures.clone(),
            commits: commits.clone(),
            patience: settings.patience,
            later: Later::new(writer, options, settings),
            tasks: JoinSet::new(),
        };
        Self {
            queue,
            condition: condition.clone(),
            batches,
            task: Mutex::new(Some(tokio::spawn(together.run(messages)))),
        }
    }

    /// Ends a user's live link and returns when that is on disk. False: there is none.
    pub(super) async fn revoke(
        &self,
        organization: OrganizationId,
        user: UserId,
        change: Change,
    ) -> Result<bool> {
        if let Some(outage) = self.condition.borrow().writes {
            return Err(StoreError::Unavailable(outage));
        }
        let (reply, result) = oneshot::channel();
        let wanted = Wanted {
            organization,
            user,
            change,
        };
        let revocation = Revocation { wanted, reply };
        self.queue
            .try_send(Message::Revoke(revocation))
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => StoreError::Overloaded,
                mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
            })?;
        result.await.unwrap_or(Err(StoreError::Closed))
    }

    /// What waits.
    pub(super) fn load(&self, load: &mut Load) {
        load.queues.push(QueueLoad::of("revocations", &self.queue));
        load.batches.push(("revocations", self.batches.clone()));
    }

    /// Refuses new revocations, makes those that wait, and closes the connection.
    pub(super) async fn close(&self) {
        if let Some(task) = self.task.lock().await.take() {
            // It fails if the task has ended: then there is nothing left to wait for.
            let _ = self.queue.send(Message::Close).await;
            let _ = task.await;
        }
    }
}

struct Together {
    options: PgConnectOptions,
    connection: Kept,
    batches: Batches,
    failures: Failures,
    commits: Commits,
    patience: Duration,
    later: Later,
    /// What makes those that were left, and looks for those that may have been made.
    tasks: JoinSet<()>,
}

impl Together {
    async fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        let mut batch = Vec::with_capacity(MAX_BATCH);
        while messages.recv_many(&mut batch, MAX_BATCH).await > 0 {
            let mut revocations = Vec::new();
            for message in batch.drain(..) {
                match message {
                    Message::Revoke(revocation) => revocations.push(revocation),
                    Message::Close => messages.close(),
                }
            }
            // Whose caller has gone away needs no change.
            revocations.retain(|revocation| !revocation.reply.is_closed());
            let revocations = self.later.join(revocations);
            if !revocations.is_empty() {
                self.batches.taken(revocations.len());
                self.make(revocations).await;
            }
            while self.tasks.try_join_next().is_some() {}
        }
        while self.tasks.join_next().await.is_some() {}
        self.connection.close().await;
    }

    async fn make(&mut self, revocations: Vec<Revocation>) {
        // While the statement is not sent, it is known that nothing was made.
        if let Err(error) = self.connection.get().await {
            self.failures.report(Side::Writes, &error);
            return refuse(revocations, || StoreError::Unavailable(outage_of(&error)));
        }
        match self.statement(&revocations).await {
            Ok(rows) => {
                let ended: HashMap<i64, bool> = rows.into_iter().collect();
                if ended.values().any(|made| *made) {
                    self.commits.committed();
                }
                let mut left = Vec::new();
                for (slot, revocation) in (0..).zip(revocations) {
                    match ended.get(&slot) {
                        Some(false) => left.push(revocation),
                        // Of several that ask for the same, one does it. A caller that went away does not mind.
                        made => drop(revocation.reply.send(Ok(made.is_some()))),
                    }
                }
                self.leave(left);
            }
            Err(error) if is_passing(&error) || is_locked(&error) => self.leave(revocations),
            Err(error) => self.failed(revocations, error).await,
        }
    }

    /// Has them made in their organizations' turns.
    fn leave(&mut self, revocations: Vec<Revocation>) {
        for revocation in revocations {
            let organization = revocation.wanted.organization;
            if self.later.add(revocation) {
                self.tasks.spawn(self.later.clone().run(organization));
            }
        }
    }

    /// The slots of those that were made, and with `false` of those that were left.
    async fn statement(&mut self, revocations: &[Revocation]) -> Result<Vec<(i64, bool)>, sqlx::Error> {
        let patience = self.patience;
        let wanted = revocations.iter().map(|revocation| &revocation.wanted);
        let query = revoke(wanted, LOCK_TIMEOUT);
        in_time(patience, query.fetch_all(self.connection.get().await?)).await
    }

    async fn failed(&mut self, revocations: Vec<Revocation>, error: sqlx::Error) {
        self.connection.give_up();
        self.failures.report(Side::Writes, &error);
        if outage(&error).is_some() {
            // They may have been made. Meanwhile the next ones are.
            let (options, patience) = (self.options.clone(), self.patience);
            let outage = outage_of(&error);
            self.tasks
                .spawn(async move { later::look_for(&options, patience, revocations, outage).await });
        } else if revocations.len() > 1 {
            // One of them may be the reason: the others are to be made.
            for revocation in revocations {
                Box::pin(self.make(vec![revocation])).await;
            }
        } else {
            refuse_alone(revocations, store_error(error));
        }
    }
}

fn refuse(revocations: Vec<Revocation>, mut error: impl FnMut() -> StoreError) {
    for revocation in revocations {
        // A caller that went away does not mind.
        let _ = revocation.reply.send(Err(error()));
    }
}

/// Refuses one for a reason of its own.
fn refuse_alone(revocation: Vec<Revocation>, error: StoreError) {
    tracing::error!(%error, "a revocation failed");
    let mut error = Some(error);
    refuse(revocation, || error.take().unwrap_or(StoreError::Closed));
}

fn outage_of(error: &sqlx::Error) -> Outage {
    outage(error).unwrap_or(Outage::Other)
}
