//! Reads off the hot path: short ones and long ones, each kind on connections of its own, so that a short one never waits
//! for a scan, and both shared out by organization, so that none waits for another's.
//!
//! A read that is given up, because its caller is gone or its time is over, is stopped.

use std::{sync::Arc, time::Duration};

use sqlx::{PgConnection, PgPool, Postgres, pool::PoolConnection, postgres::PgConnectOptions};
use tokio::sync::watch;

use super::{
    columns::{Select, Stored},
    connect::{self, in_time, pool},
    error::store_error,
    monitor::Failures,
    settings::Settings,
};
use crate::{
    domain::{Condition, OrganizationId, Outage},
    storage::{
        Load, QueueLoad, Result, StoreError,
        outages::Side,
        shares::{Limits, Place, Shares},
    },
};

/// The most short reads of one organization at a time, and the most that wait.
const SHORT: (usize, usize) = (2, 256);

/// One long read of an organization at a time.
const LONG: (usize, usize) = (1, 32);

/// Begins a long read. All of it sees one moment. The server looks whether anybody still waits for it, because a statement
/// can't be taken back.
const BEGIN_LONG: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
     SET LOCAL statement_timeout = '30s';
     SET LOCAL client_connection_check_interval = '1s'";

/// Longer than a long read may take, so that the server's answer comes first.
const LONG_PATIENCE: Duration = Duration::from_secs(40);

/// The way to the readers.
pub(super) struct Reads {
    short: Lane,
    long: Lane,
}

/// Connections for one kind of reads.
struct Lane {
    pool: PgPool,
    shares: Arc<Shares>,
    condition: watch::Receiver<Condition>,
    failures: Failures,
    patience: Duration,
    /// For the beginning, which takes no longer than one message to the server and back.
    begin_patience: Duration,
    begin: Option<&'static str>,
}

/// A read. Dropped before its [end](Self::end), it is stopped.
pub(super) struct Reading<'l> {
    lane: &'l Lane,
    connection: PoolConnection<Postgres>,
    ended: bool,
    _place: Place,
}

impl Reads {
    /// Reads whose connection, and whose beginning, may take so long.
    pub(super) fn new(
        options: &PgConnectOptions,
        settings: &Settings,
        begin_patience: Duration,
        condition: &watch::Receiver<Condition>,
        failures: &Failures,
    ) -> Self {
        let lane = |places: u32, (each, waiting), patience, begin| Lane {
            pool: pool(options, places, begin_patience),
            shares: Arc::new(Shares::new(Limits {
                places,
                each,
                waiting,
            })),
            condition: condition.clone(),
            failures: failures.clone(),
            patience,
            begin_patience,
            begin,
        };
        Self {
            short: lane(settings.short_reads, SHORT, settings.patience, None),
            long: lane(settings.long_reads, LONG, LONG_PATIENCE, Some(BEGIN_LONG)),
        }
    }

    /// Begins a read of a bounded number of rows, by an index. None stands for what belongs to no organization.
    ///
    /// # Errors
    ///
    /// [`StoreError::Overloaded`]: too many of the organization's wait. [`StoreError::Unavailable`].
    /// [`StoreError::Closed`].
    pub(super) async fn short(&self, organization: Option<OrganizationId>) -> Result<Reading<'_>> {
        self.short.begin(organization).await
    }

    /// As [`Self::short`], of any number of rows.
    pub(super) async fn long(&self, organization: Option<OrganizationId>) -> Result<Reading<'_>> {
        self.long.begin(organization).await
    }

    /// What waits, and the connections, under the names of short and of long reads.
    pub(super) fn load(&self, [short, long]: [&'static str; 2], load: &mut Load) {
        for (name, lane) in [(short, &self.short), (long, &self.long)] {
            let (_, waiting) = lane.shares.load();
            load.queues.push(QueueLoad {
                name,
                waiting,
                room: None,
            });
            load.connections.push(connect::load(name, &lane.pool));
        }
    }

    /// Refuses new reads, waits for those that have begun, and closes the connections.
    pub(super) async fn close(&self) {
        for lane in [&self.short, &self.long] {
            lane.shares.take_all().await;
            lane.pool.close().await;
        }
    }
}

impl Lane {
    async fn begin(&self, organization: Option<OrganizationId>) -> Result<Reading<'_>> {
        let place = self.shares.place(organization).await?;
        if let Some(outage) = self.condition.borrow().reads {
            return Err(StoreError::Unavailable(outage));
        }
        let connection = self.pool.acquire().await.map_err(|error| self.failed(error))?;
        let mut reading = Reading {
            lane: self,
            connection,
            ended: false,
            _place: place,
        };
        if let Some(begin) = self.begin {
            reading.run(begin, self.begin_patience).await?;
        }
        Ok(reading)
    }

    fn failed(&self, error: sqlx::Error) -> StoreError {
        self.failures.report(Side::Reads, &error);
        store_error(error)
    }
}

impl Reading<'_> {
    /// What to read by.
    pub(super) fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// How long to wait for a statement that is run on the connection.
    pub(super) const fn patience(&self) -> Duration {
        self.lane.patience
    }

    /// What an error of a statement that was run on the connection means. One that was waited for too long may be slow by itself,
    /// and is no outage; a server that is silent is found by whoever looks for that.
    pub(super) fn failed(&self, error: sqlx::Error) -> StoreError {
        match error {
            sqlx::Error::PoolTimedOut => {
                tracing::warn!("a read took too long, and was given up");
                StoreError::Unavailable(Outage::Slow)
            }
            error => self.lane.failed(error),
        }
    }

    /// Reads one row, and ends.
    pub(super) async fn optional<T: Stored>(mut self, query: Select<'_, T>) -> Result<Option<T>> {
        let found = in_time(self.lane.patience, query.fetch_optional(&mut *self.connection)).await;
        let found = found.map_err(|error| self.failed(error))?;
        self.end().await?;
        Ok(found)
    }

    /// Reads all rows, and ends.
    pub(super) async fn all<T: Stored>(mut self, query: Select<'_, T>) -> Result<Vec<T>> {
        let found = in_time(self.lane.patience, query.fetch_all(&mut *self.connection)).await;
        let found = found.map_err(|error| self.failed(error))?;
        self.end().await?;
        Ok(found)
    }

    /// Ends a read of which nothing runs any more. Its connection is for the next one.
    pub(super) async fn end(mut self) -> Result<()> {
        if self.lane.begin.is_some() {
            self.run("COMMIT", self.lane.patience).await?;
        }
        self.ended = true;
        Ok(())
    }

    async fn run(&mut self, sql: &'static str, patience: Duration) -> Result<()> {
        let done = in_time(patience, sqlx::raw_sql(sql).execute(&mut *self.connection)).await;
        done.map(drop).map_err(|error| self.failed(error))
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        if !self.ended {
            // A statement may be running, or have failed. A pool that took it back would wait for that.
            self.connection.close_on_drop();
        }
    }
}
