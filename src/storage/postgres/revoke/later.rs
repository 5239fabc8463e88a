//! Revocations that could not be made together with others, or of which it is not known whether they were.

use std::{
    collections::{HashMap, HashSet, VecDeque, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use sqlx::{Connection as _, postgres::PgConnectOptions};
use tokio::time::{Instant, sleep};

use super::{
    super::{
        connect::{connect, in_time},
        settings::Settings,
        transaction::PostgresTransaction,
        writer::{Job, LOOK_FOR, LOOK_PAUSE, Writer},
    },
    MAX_BATCH, Revocation, refuse,
    statement::{LOGGED, Wanted, bind, revoke},
};
use crate::{
    domain::{OrganizationId, Outage},
    storage::{StoreError, Verdict},
};

/// Revocations of one organization.
struct OfOne {
    wanted: Vec<Wanted>,
    /// How long to wait for a row that somebody else has, as a setting of the transaction.
    lock_timeout: String,
    /// The slots of those that the last run has made.
    made: Arc<Mutex<HashSet<i64>>>,
}

#[async_trait]
impl Job for OfOne {
    async fn run(&self, transaction: &mut PostgresTransaction<'_>) -> Verdict {
        let query = revoke(self.wanted.iter(), &self.lock_timeout);
        let Ok(rows) = transaction.rows(query).await else {
            // The writer knows why.
            return Verdict::Undo;
        };
        let made = rows.into_iter().filter_map(|(slot, made)| made.then_some(slot));
        *self.made.lock().unwrap_or_else(PoisonError::into_inner) = made.collect();
        Verdict::Commit
    }
}

/// Revocations in organizations that somebody else changes at present. Those of one organization are made in transactions as
/// every other change of it, in its turn: while one is waited for, the next ones gather.
#[derive(Clone)]
pub(super) struct Later {
    writer: Writer,
    options: PgConnectOptions,
    patience: Duration,
    /// By organization, while it has any or one is being made.
    waiting: Arc<Mutex<HashMap<OrganizationId, VecDeque<Revocation>>>>,
    /// How many may wait in one organization.
    room: usize,
}

impl Later {
    pub(super) fn new(writer: &Writer, options: &PgConnectOptions, settings: &Settings) -> Self {
        Self {
            writer: writer.clone(),
            options: options.clone(),
            patience: settings.patience,
            waiting: Arc::default(),
            room: settings.write_queue,
        }
    }

    /// Takes those of organizations that have some already, and gives back the others.
    pub(super) fn join(&self, revocations: Vec<Revocation>) -> Vec<Revocation> {
        let mut waiting = self.waiting();
        let mut others = Vec::with_capacity(revocations.len());
        for revocation in revocations {
            match waiting.get_mut(&revocation.wanted.organization) {
                Some(queue) => self.enter(queue, revocation),
                None => others.push(revocation),
            }
        }
        others
    }

    /// Takes one. True: it is the first of its organization, for which [`Self::run`] is to be called.
    pub(super) fn add(&self, revocation: Revocation) -> bool {
        let mut waiting = self.waiting();
        match waiting.entry(revocation.wanted.organization) {
            Entry::Occupied(mut queue) => {
                self.enter(queue.get_mut(), revocation);
                false
            }
            Entry::Vacant(place) => {
                place.insert([revocation].into());
                true
            }
        }
    }

    /// Makes those of an organization until none is left.
    pub(super) async fn run(self, organization: OrganizationId) {
        while let Some(revocations) = self.next(organization) {
            self.make(organization, revocations).await;
        }
    }

    fn enter(&self, queue: &mut VecDeque<Revocation>, revocation: Revocation) {
        if queue.len() < self.room {
            queue.push_back(revocation);
        } else {
            refuse(vec![revocation], || StoreError::Overloaded);
        }
    }

    fn next(&self, organization: OrganizationId) -> Option<Vec<Revocation>> {
        let mut waiting = self.waiting();
        let queue = waiting.get_mut(&organization)?;
        let next: Vec<_> = queue.drain(..queue.len().min(MAX_BATCH)).collect();
        if next.is_empty() {
            waiting.remove(&organization);
            return None;
        }
        Some(next)
    }

    async fn make(&self, organization: OrganizationId, revocations: Vec<Revocation>) {
        let made = Arc::default();
        let wanted = revocations.iter().map(|revocation| revocation.wanted.clone());
        let job = OfOne {
            wanted: wanted.collect(),
            lock_timeout: format!("{}ms", self.patience.as_millis()),
            made: Arc::clone(&made),
        };
        match self.writer.transact(Some(organization), job).await {
            Ok(()) => {
                let made = made.lock().unwrap_or_else(PoisonError::into_inner);
                for (slot, revocation) in (0..).zip(revocations) {
                    // A caller that went away does not mind.
                    let _ = revocation.reply.send(Ok(made.contains(&slot)));
                }
            }
            Err(StoreError::OutcomeUnknown(outage)) => {
                look_for(&self.options, self.patience, revocations, outage).await;
            }
            Err(StoreError::Unavailable(outage)) => {
                refuse(revocations, || StoreError::Unavailable(outage));
            }
            Err(StoreError::Overloaded) => refuse(revocations, || StoreError::Overloaded),
            Err(error) => {
                tracing::debug!(%error, "revocations failed");
                refuse(revocations, || StoreError::Closed);
            }
        }
    }

    /// A thread that panicked while it held the map left it whole.
    fn waiting(&self) -> MutexGuard<'_, HashMap<OrganizationId, VecDeque<Revocation>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Finds out what became of revocations whose statement was not answered. Not in the log, they may yet be made.
pub(super) async fn look_for(
    options: &PgConnectOptions,
    patience: Duration,
    revocations: Vec<Revocation>,
    outage: Outage,
) {
    let mut found = HashSet::new();
    let begun = Instant::now();
    while begun.elapsed() < LOOK_FOR {
        match logged(options, patience, &revocations).await {
            Ok(slots) => {
                found = slots;
                break;
            }
            Err(error) => tracing::debug!(%error, "what became of revocations is not known yet"),
        }
        sleep(LOOK_PAUSE).await;
    }
    for (slot, revocation) in (0..).zip(revocations) {
        let result = if found.contains(&slot) {
            Ok(true)
        } else {
            Err(StoreError::OutcomeUnknown(outage))
        };
        // A caller that went away does not mind.
        let _ = revocation.reply.send(result);
    }
}

/// The slots of those that are in the log.
async fn logged(
    options: &PgConnectOptions,
    patience: Duration,
    revocations: &[Revocation],
) -> Result<HashSet<i64>, sqlx::Error> {
    let mut connection = connect(options, patience).await?;
    let wanted = revocations.iter().map(|revocation| &revocation.wanted);
    let query = bind(sqlx::query_as(LOGGED), wanted);
    let slots: Vec<(i64,)> = in_time(patience, query.fetch_all(&mut connection)).await?;
    // A server that does not hear it finds out by itself.
    let _ = in_time(patience, connection.close()).await;
    Ok(slots.into_iter().map(|(slot,)| slot).collect())
}
