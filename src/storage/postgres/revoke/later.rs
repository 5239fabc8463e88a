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
    MAX_BATCH, Revocation, refuse, refuse_alone,
    statement::{LOGGED, Wanted, bind, revoke},
};
use crate::{
    domain::{OrganizationId, Outage},
    storage::{Result, StoreError, Verdict},
};

/// Revocations of one organization.
struct OfOne {
    wanted: Vec<Wanted>,
    /// How long to wait for a row that somebody else has, as a setting of the transaction.
    lock_timeout: String,
    /// The slots of those that the last run has made, or why it failed.
    result: Arc<Mutex<Option<Result<HashSet<i64>>>>>,
}

#[async_trait]
impl Job for OfOne {
    async fn run(&self, transaction: &mut PostgresTransaction<'_>) -> Verdict {
        let query = revoke(self.wanted.iter(), &self.lock_timeout);
        let result = transaction.rows(query).await.map(|rows| {
            let made = rows.into_iter().filter_map(|(slot, made)| made.then_some(slot));
            made.collect()
        });
        let verdict = if result.is_ok() {
            Verdict::Commit
        } else {
            Verdict::Undo
        };
        *self.result.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        verdict
    }
}

/// By organization, while it has any or one is being made.
#[derive(Clone, Default)]
struct Waiting(Arc<Mutex<HashMap<OrganizationId, VecDeque<Revocation>>>>);

impl Waiting {
    /// A thread that panicked while it held the map left it whole.
    fn lock(&self) -> MutexGuard<'_, HashMap<OrganizationId, VecDeque<Revocation>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The turn of an organization, until none of its own waits. Dropped before, it lets go of those that wait, so that they are refused
/// and the next one begins another turn.
struct Turn {
    waiting: Waiting,
    organization: OrganizationId,
    has_ended: bool,
}

impl Turn {
    /// Those that are next, without those whose callers have gone away.
    fn next(&mut self) -> Option<Vec<Revocation>> {
        let mut waiting = self.waiting.lock();
        let queue = waiting.get_mut(&self.organization)?;
        queue.retain(|revocation| !revocation.reply.is_closed());
        let next: Vec<_> = queue.drain(..queue.len().min(MAX_BATCH)).collect();
        if next.is_empty() {
            waiting.remove(&self.organization);
            self.has_ended = true;
            return None;
        }
        Some(next)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.has_ended {
            self.waiting.lock().remove(&self.organization);
        }
    }
}

/// Revocations in organizations that somebody else changes at present. Those of one organization are made in transactions as
/// every other change of it, in its turn: while one is waited for, the next ones gather.
#[derive(Clone)]
pub(super) struct Later {
    writer: Writer,
    options: PgConnectOptions,
    patience: Duration,
    waiting: Waiting,
    /// How many may wait in one organization.
    room: usize,
}

impl Later {
    pub(super) fn new(writer: &Writer, options: &PgConnectOptions, settings: &Settings) -> Self {
        Self {
            writer: writer.clone(),
            options: options.clone(),
            patience: settings.patience,
            waiting: Waiting::default(),
            room: settings.write_queue,
        }
    }

    /// Takes those of organizations that have some already, and gives back the others.
    pub(super) fn join(&self, revocations: Vec<Revocation>) -> Vec<Revocation> {
        let mut waiting = self.waiting.lock();
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
        let mut waiting = self.waiting.lock();
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
        let mut turn = Turn {
            waiting: self.waiting.clone(),
            organization,
            has_ended: false,
        };
        while let Some(revocations) = turn.next() {
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

    async fn make(&self, organization: OrganizationId, revocations: Vec<Revocation>) {
        let result = Arc::default();
        let wanted = revocations.iter().map(|revocation| revocation.wanted.clone());
        let job = OfOne {
            wanted: wanted.collect(),
            lock_timeout: format!("{}ms", self.patience.as_millis()),
            result: Arc::clone(&result),
        };
        let transacted = self.writer.transact(Some(organization), job).await;
        let result = result.lock().unwrap_or_else(PoisonError::into_inner).take();
        match transacted.and_then(|()| result.unwrap_or(Err(StoreError::Closed))) {
            Ok(made) => {
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
            Err(StoreError::Closed) => refuse(revocations, || StoreError::Closed),
            // One of them may be the reason: the others are to be made.
            Err(_) if revocations.len() > 1 => {
                for revocation in revocations {
                    Box::pin(self.make(organization, vec![revocation])).await;
                }
            }
            Err(error) => refuse_alone(revocations, error),
        }
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

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;
    use uuid::Uuid;

    use super::*;
    use crate::domain::{Actor, Change, Timestamp, UserId};

    const ONE: OrganizationId = OrganizationId::from_uuid(Uuid::from_u128(1));

    fn waiting() -> (Waiting, Turn, oneshot::Receiver<Result<bool>>) {
        let (reply, result) = oneshot::channel();
        let wanted = Wanted {
            organization: ONE,
            user: UserId::from_uuid(Uuid::from_u128(2)),
            change: Change {
                actor: Actor::Operator,
                at: Timestamp::from_millis(0),
                client: None,
                source: None,
            },
        };
        let waiting = Waiting::default();
        waiting.lock().insert(ONE, [Revocation { wanted, reply }].into());
        let turn = Turn {
            waiting: waiting.clone(),
            organization: ONE,
            has_ended: false,
        };
        (waiting, turn, result)
    }

    #[tokio::test]
    async fn a_turn_that_panics_lets_go_of_those_that_wait() {
        let (waiting, turn, result) = waiting();
        let panicked = tokio::spawn(async move {
            let _turn = turn;
            panic!("as a mistake would");
        });
        panicked.await.unwrap_err();
        assert!(waiting.lock().is_empty(), "the next one begins another turn");
        result.await.unwrap_err();
    }

    #[tokio::test]
    async fn a_turn_that_has_ended_leaves_the_next_one_alone() {
        let (waiting, mut turn, _result) = waiting();
        assert_eq!(turn.next().map(|next| next.len()), Some(1));
        assert!(turn.next().is_none());
        waiting.lock().insert(ONE, VecDeque::new());
        drop(turn);
        assert_eq!(waiting.lock().len(), 1);
    }

    #[test]
    fn those_whose_callers_have_gone_away_are_passed_over() {
        let (_, mut turn, result) = waiting();
        drop(result);
        assert!(turn.next().is_none());
    }
}
