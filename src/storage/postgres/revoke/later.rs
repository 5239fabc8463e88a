//! Revocations that could not be made together with others, or of which it is not known whether they were.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use sqlx::{Connection as _, postgres::PgConnectOptions};
use tokio::time::{Instant, sleep};

use super::{
    super::{
        connect::{connect, in_time},
        transaction::PostgresTransaction,
        writer::{Job, LOOK_FOR, LOOK_PAUSE, Writer},
    },
    Revocation, refuse,
    statement::{LOGGED, REVOKE, Wanted, bind},
};
use crate::{
    domain::{OrganizationId, Outage},
    storage::{StoreError, Verdict},
};

/// Revocations of one organization.
struct OfOne {
    wanted: Vec<Wanted>,
    /// The slots of those that the last run has made.
    made: Arc<Mutex<HashSet<i64>>>,
}

#[async_trait]
impl Job for OfOne {
    async fn run(&self, transaction: &mut PostgresTransaction<'_>) -> Verdict {
        let query = bind(sqlx::query_as(REVOKE), self.wanted.iter());
        let rows: Vec<(i64, bool)> = match transaction.rows(query).await {
            Ok(rows) => rows,
            // The writer knows it, too.
            Err(_) => return Verdict::Undo,
        };
        let made = rows.into_iter().filter_map(|(slot, made)| made.then_some(slot));
        *self.made.lock().unwrap_or_else(PoisonError::into_inner) = made.collect();
        Verdict::Commit
    }
}

/// Makes revocations of one organization in a transaction as every other change of it, in its turn.
pub(super) async fn make(
    writer: Writer,
    options: PgConnectOptions,
    patience: Duration,
    organization: OrganizationId,
    revocations: Vec<Revocation>,
) {
    let made = Arc::default();
    let job = OfOne {
        wanted: revocations
            .iter()
            .map(|revocation| revocation.wanted.clone())
            .collect(),
        made: Arc::clone(&made),
    };
    match writer.transact(Some(organization), job).await {
        Ok(()) => {
            let made = made.lock().unwrap_or_else(PoisonError::into_inner);
            for (slot, revocation) in (0..).zip(revocations) {
                // A caller that went away does not mind.
                let _ = revocation.reply.send(Ok(made.contains(&slot)));
            }
        }
        Err(StoreError::OutcomeUnknown(outage)) => look_for(&options, patience, revocations, outage).await,
        Err(StoreError::Unavailable(outage)) => refuse(revocations, || StoreError::Unavailable(outage)),
        Err(StoreError::Overloaded) => refuse(revocations, || StoreError::Overloaded),
        Err(error) => {
            tracing::debug!(%error, "revocations failed");
            refuse(revocations, || StoreError::Closed);
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
