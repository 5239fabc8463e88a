//! Rules: each in a transaction of its own, those of one organization one after the other, those of many side by side.
//!
//! A transaction begins with the row of the organization's counters in its hand, which it keeps until the end: what a rule reads
//! is not changed under it by another server either. One that another transaction was in the way of is run again. One whose
//! connection broke while it was committed is looked for by the last event that it wrote.

use std::{future::pending, sync::Arc, time::Duration};

use async_trait::async_trait;
use backon::{BackoffBuilder as _, ExponentialBuilder};
use sqlx::{
    AssertSqlSafe, Connection as _, PgConnection, PgPool, Postgres, pool::PoolConnection,
    postgres::PgConnectOptions,
};
use tokio::{
    sync::{RwLock, oneshot, watch},
    time::{Instant, sleep, timeout},
};

use super::{
    commits::Commits,
    connect::{self, connect, connect_for_long, in_time, pool},
    error::{is_disconnected, is_passing, outage, store_error},
    monitor::Failures,
    settings::Settings,
    transaction::{Appended, PostgresTransaction, Trouble},
};
use crate::{
    domain::{Condition, OrganizationId, Outage},
    storage::{
        Load, QueueLoad, Result, StoreError, Verdict, Work,
        outages::Side,
        panics::caught,
        shares::{Limits, Shares},
        values::organization_column,
    },
};

/// How often a transaction is run when others are in its way, and the first and the longest pause in between.
const ATTEMPTS: usize = 8;
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// How long to look what became of a transaction, in which a server can start again, and the pause in between.
pub(super) const LOOK_FOR: Duration = Duration::from_secs(5);
pub(super) const LOOK_PAUSE: Duration = Duration::from_millis(500);

/// A change that changes nothing, of a row that is no address's, so that no rule holds it.
pub(super) const TOUCH: &str = "UPDATE address_locks SET slot = slot WHERE slot = -1";

/// Counts what the planner goes by, which autovacuum does a minute later. Until then it expects one row whatever is asked, and looks
/// through all members of an organization for one address. What another one counts at the time is left out.
const COUNT: &str = "ANALYZE (SKIP_LOCKED) members, addresses, links, users";

/// Tables that have something of a person in them.
const PERSONAL: [&str; 8] = [
    "members",
    "former_addresses",
    "links",
    "addresses",
    "idempotency_keys",
    "passwords",
    "tokens",
    "mails",
];

/// What runs in a transaction that holds the row of an organization's counters. It may run more than once.
#[async_trait]
pub(super) trait Job: Send + Sync {
    async fn run(&self, transaction: &mut PostgresTransaction<'_>) -> Verdict;
}

#[async_trait]
impl Job for Box<dyn Work> {
    async fn run(&self, transaction: &mut PostgresTransaction<'_>) -> Verdict {
        (**self).run(transaction).await
    }
}

/// Runs rules.
#[derive(Clone)]
pub(super) struct Writer {
    inner: Arc<Inner>,
    shares: Arc<Shares>,
    /// Held for reading by each change that was accepted. True: no more are.
    closed: Arc<RwLock<bool>>,
}

struct Inner {
    pool: PgPool,
    options: PgConnectOptions,
    condition: watch::Receiver<Condition>,
    failures: Failures,
    commits: Commits,
    patience: Duration,
}

/// Who waits for what comes of a change.
type Caller = oneshot::Sender<Result<()>>;

/// How a transaction ended.
enum End {
    Committed,
    Undone,
    /// Another one was in its way.
    Again,
}

impl Writer {
    pub(super) fn new(
        options: &PgConnectOptions,
        settings: &Settings,
        condition: &watch::Receiver<Condition>,
        failures: &Failures,
        commits: &Commits,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                // One more than changes: to try whether any can be made waits for none.
                pool: pool(options, settings.writers + 1, settings.patience),
                options: options.clone(),
                condition: condition.clone(),
                failures: failures.clone(),
                commits: commits.clone(),
                patience: settings.patience,
            }),
            shares: Arc::new(Shares::new(Limits {
                places: settings.writers,
                // A second one would wait for the first with a connection in its hand.
                each: 1,
                waiting: settings.write_queue,
            })),
            closed: Arc::default(),
        }
    }

    /// Runs a job in a transaction and returns when it is on disk, or undone because the job says so.
    pub(super) async fn transact(
        &self,
        organization: Option<OrganizationId>,
        job: impl Job + 'static,
    ) -> Result<()> {
        let accepted = self.closed.clone().try_read_owned();
        let Some(accepted) = accepted.ok().filter(|closed| !**closed) else {
            return Err(StoreError::Closed);
        };
        let (inner, shares) = (self.inner.clone(), self.shares.clone());
        let (reply, result) = oneshot::channel();
        // A task runs it, which goes on when the caller goes away: so no connection is given up in the middle of a
        // transaction.
        tokio::spawn(async move {
            let done = caught(async {
                // Where all are stuck, one more is told so.
                let place = timeout(inner.patience * 2, shares.place(organization)).await;
                let _place = place.unwrap_or(Err(StoreError::Overloaded))?;
                inner
                    .transact(organization_column(organization), &job, &reply)
                    .await
            })
            .await;
            drop(accepted);
            // A caller that went away does not mind.
            let _ = reply.send(done);
        });
        result.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Commits a change that changes nothing.
    pub(super) async fn touch(&self) -> Result<()> {
        let inner = &self.inner;
        if *self.closed.read().await {
            return Err(StoreError::Closed);
        }
        let mut connection = Unfinished(Some(inner.acquire().await?));
        let Some(running) = connection.0.as_mut() else {
            return Err(StoreError::Closed);
        };
        let touched = in_time(inner.patience, sqlx::query(TOUCH).execute(&mut **running)).await;
        touched.map_err(|error| inner.failed(error))?;
        connection.give_back();
        Ok(())
    }

    /// Writes the tables in which members are anew, without earlier versions of rows. Changes and reads of them wait.
    pub(super) async fn vacuum(&self) -> Result<()> {
        let inner = &self.inner;
        let mut connection = connect_for_long(&inner.options, inner.patience)
            .await
            .map_err(|error| inner.failed(error))?;
        for table in PERSONAL {
            // Safe: it is put together from constants.
            sqlx::query(AssertSqlSafe(format!("VACUUM (FULL, ANALYZE) {table}")))
                .execute(&mut connection)
                .await
                .map_err(|error| inner.failed(error))?;
        }
        // A server that does not hear it finds out by itself.
        let _ = in_time(inner.patience, connection.close()).await;
        Ok(())
    }

    /// What waits, and the connections.
    pub(super) fn load(&self, load: &mut Load) {
        let (_, waiting) = self.shares.load();
        load.queues.push(QueueLoad {
            name: "writes",
            waiting,
            room: None,
        });
        load.connections.push(connect::load("writes", &self.inner.pool));
    }

    /// Refuses new changes, and makes those that wait.
    pub(super) async fn close(&self) {
        *self.closed.write().await = true;
        self.inner.pool.close().await;
    }
}

impl Inner {
    async fn transact(&self, organization: OrganizationId, job: &impl Job, caller: &Caller) -> Result<()> {
        let mut pauses = ExponentialBuilder::default()
            .with_min_delay(FIRST_PAUSE)
            .with_max_delay(LONGEST_PAUSE)
            .with_max_times(ATTEMPTS)
            .with_jitter()
            .build();
        loop {
            if let Some(outage) = self.condition.borrow().writes {
                return Err(StoreError::Unavailable(outage));
            }
            match self.attempt(organization, job, caller).await? {
                End::Committed => {
                    self.commits.committed();
                    return Ok(());
                }
                End::Undone => return Ok(()),
                End::Again => match pauses.next() {
                    Some(pause) => sleep(pause).await,
                    None => return Err(StoreError::Unavailable(Outage::Locked)),
                },
            }
        }
    }

    /// A connection, or what is wrong as soon as that is known.
    async fn acquire(&self) -> Result<PoolConnection<Postgres>> {
        let mut condition = self.condition.clone();
        let outage = async {
            let found = condition.wait_for(|condition| condition.writes.is_some()).await;
            let found = found.ok().and_then(|condition| condition.writes);
            match found {
                Some(outage) => outage,
                // Nobody looks any more.
                None => pending().await,
            }
        };
        tokio::select! {
            acquired = self.pool.acquire() => acquired.map_err(|error| self.failed(error)),
            outage = outage => Err(StoreError::Unavailable(outage)),
        }
    }

    async fn attempt(&self, organization: OrganizationId, job: &impl Job, caller: &Caller) -> Result<End> {
        let connection = self.acquire().await?;
        // Nobody needs a change whose caller has gone away while it waited. One that has begun goes on to its end.
        if caller.is_closed() {
            return Ok(End::Undone);
        }
        let mut connection = Unfinished(Some(connection));
        let Some(running) = connection.0.as_mut() else {
            return Err(StoreError::Closed);
        };
        if let Err(error) = begin(running, organization, self.patience).await {
            if is_passing(&error) {
                return Ok(End::Again);
            }
            return Err(self.failed(error));
        }
        let mut transaction = PostgresTransaction::new(running);
        let Ok(verdict) = timeout(self.patience * 3, job.run(&mut transaction)).await else {
            // This one is slow: that says nothing about others, so it is no outage. A server that is silent is found by whoever
            // looks for that.
            tracing::warn!("a change took too long, and is undone");
            return Err(StoreError::Unavailable(Outage::Slow));
        };
        let (trouble, last_event) = (transaction.trouble(), transaction.last_event());
        let has_grown = transaction.has_grown();
        match (trouble, verdict) {
            (Some(Trouble::Passing), _) => return Ok(End::Again),
            (Some(Trouble::Outage(outage)), _) => return Err(StoreError::Unavailable(outage)),
            (None, Verdict::Undo) => {
                // If it fails, the connection is given up, and the server undoes it.
                if end(running, "ROLLBACK", self.patience).await.is_ok() {
                    connection.give_back();
                }
                return Ok(End::Undone);
            }
            (None, Verdict::Commit) => {}
        }
        match end(running, "COMMIT", self.patience).await {
            Ok(()) => {
                // What fails leaves the planner as it was.
                if !has_grown || end(running, COUNT, self.patience).await.is_ok() {
                    connection.give_back();
                }
                Ok(End::Committed)
            }
            Err(error) if is_passing(&error) => Ok(End::Again),
            Err(error) if is_disconnected(&error) || matches!(error, sqlx::Error::PoolTimedOut) => {
                drop(connection);
                self.failures.report(Side::Writes, &error);
                self.look_for(organization, last_event, outage(&error).unwrap_or(Outage::Other))
                    .await
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    /// What became of a transaction whose commit was not answered.
    async fn look_for(
        &self,
        organization: OrganizationId,
        last_event: Option<Appended>,
        outage: Outage,
    ) -> Result<End> {
        let unknown = Err(StoreError::OutcomeUnknown(outage));
        let Some(event) = last_event else {
            return unknown;
        };
        let begun = Instant::now();
        while begun.elapsed() < LOOK_FOR {
            match self.is_there(organization, &event).await {
                Ok(true) => return Ok(End::Committed),
                Ok(false) => return Err(StoreError::Unavailable(outage)),
                Err(error) => tracing::debug!(%error, "what became of a transaction is not known yet"),
            }
            sleep(LOOK_PAUSE).await;
        }
        unknown
    }

    /// Whether an event is in the log, asked when the transaction that appended it has ended: that held the organization's
    /// row.
    async fn is_there(&self, organization: OrganizationId, event: &Appended) -> Result<bool, sqlx::Error> {
        let mut connection = connect(&self.options, self.patience).await?;
        begin(&mut connection, organization, self.patience).await?;
        let query = sqlx::query_scalar(
            "SELECT EXISTS (
                 SELECT 1 FROM events
                 WHERE organization_id = $1 AND sequence = $2 AND kind = $3 AND member_id IS NOT DISTINCT FROM $4
                   AND actor = $5 AND at = $6
             )",
        )
        .bind(event.organization)
        .bind(event.sequence)
        .bind(event.kind)
        .bind(event.member)
        .bind(event.actor)
        .bind(event.at);
        let is_there = in_time(self.patience, query.fetch_one(&mut connection)).await?;
        // The server undoes a transaction that is left open.
        let _ = in_time(self.patience, connection.close()).await;
        Ok(is_there)
    }

    fn failed(&self, error: sqlx::Error) -> StoreError {
        self.failures.report(Side::Writes, &error);
        store_error(error)
    }
}

/// A connection whose transaction has not ended. Dropped, it is closed, and the server undoes the transaction.
struct Unfinished(Option<PoolConnection<Postgres>>);

impl Unfinished {
    fn give_back(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(connection) = &mut self.0 {
            connection.close_on_drop();
        }
    }
}

/// Begins a transaction that holds the row of an organization's counters. All in one message. A server that hears no more of
/// it, because a machine or a network is gone, does not keep the row for long.
async fn begin(
    connection: &mut PgConnection,
    organization: OrganizationId,
    patience: Duration,
) -> Result<(), sqlx::Error> {
    let millis = patience.as_millis();
    let sql = format!(
        "BEGIN;
         SET LOCAL transaction_isolation = 'read committed';
         SET LOCAL lock_timeout = {millis};
         SET LOCAL statement_timeout = {};
         SET LOCAL idle_in_transaction_session_timeout = {};
         SELECT FROM organization_counters WHERE organization_id = '{}' FOR UPDATE",
        millis * 2,
        millis * 4,
        organization.as_uuid()
    );
    // Safe: it is put together from constants, numbers and an id.
    let begun = sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection);
    in_time(patience * 2, begun).await.map(drop)
}

async fn end(
    connection: &mut PgConnection,
    sql: &'static str,
    patience: Duration,
) -> Result<(), sqlx::Error> {
    in_time(patience, sqlx::raw_sql(sql).execute(connection))
        .await
        .map(drop)
}
