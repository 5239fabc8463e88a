//! Reads off the hot path: short ones and long ones, each kind on connections of its own, so that a look-up never waits
//! for a scan, and both shared out by organization, so that none waits for another's.
//!
//! A read that is given up, because its caller is gone or its time is over, is stopped.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::{runtime::Handle, sync::watch};

use super::{
    close::close_well,
    columns::{Select, Stored},
    error::store_error,
    rows,
};
use crate::{
    domain::{Condition, OrganizationId, Outage},
    storage::{
        ConnectionLoad, Load, QueueLoad, Result, StoreError,
        shares::{Limits, Place, Shares},
    },
};

/// Reads that take some milliseconds at most.
const SHORT: Limits = Limits {
    places: 4,
    each: 2,
    waiting: 256,
};

/// Reads that may look at everybody in an organization. One at a time for each organization: it takes a core for itself.
const LONG: Limits = Limits {
    places: 4,
    each: 1,
    waiting: 32,
};

/// How many steps SQLite takes until it looks whether it is to stop: a small part of a millisecond.
const STEPS: i32 = 1000;

/// The way to the readers.
pub(super) struct Reads {
    short: Arc<Lane>,
    long: Arc<Lane>,
}

/// Connections for one kind of reads. They are opened when needed.
struct Lane {
    options: SqliteConnectOptions,
    /// A connection that is opened when the file is gone or another would read another file.
    condition: watch::Receiver<Condition>,
    shares: Arc<Shares>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    idle: Vec<Reader>,
    closed: bool,
}

struct Reader {
    connection: SqliteConnection,
    /// True makes its statement fail.
    stop: Arc<AtomicBool>,
}

/// A read. Dropped before its [end](Self::end), it is stopped.
pub(super) struct Reading {
    lane: Arc<Lane>,
    reader: Option<Reader>,
    place: Option<Place>,
}

impl Reads {
    /// Of a file in this condition.
    pub(super) fn new(options: &SqliteConnectOptions, condition: &watch::Receiver<Condition>) -> Self {
        let lane = |limits| {
            Arc::new(Lane {
                options: options.clone(),
                condition: condition.clone(),
                shares: Arc::new(Shares::new(limits)),
                state: Mutex::default(),
            })
        };
        Self {
            short: lane(SHORT),
            long: lane(LONG),
        }
    }

    /// Begins a read of a bounded number of rows, by an index. None stands for what belongs to no organization.
    ///
    /// # Errors
    ///
    /// [`StoreError::Overloaded`]: too many of the organization's wait. [`StoreError::Closed`].
    pub(super) async fn short(&self, organization: Option<OrganizationId>) -> Result<Reading> {
        self.short.begin(organization).await
    }

    /// As [`Self::short`], of any number of rows.
    pub(super) async fn long(&self, organization: Option<OrganizationId>) -> Result<Reading> {
        self.long.begin(organization).await
    }

    /// What waits, and the connections.
    pub(super) fn load(&self, load: &mut Load) {
        for (name, lane) in [("short_reads", &self.short), ("long_reads", &self.long)] {
            let (busy, waiting) = lane.shares.load();
            load.queues.push(QueueLoad {
                name,
                waiting,
                room: None,
            });
            load.connections.push(ConnectionLoad {
                name,
                open: lane.state().idle.len() + busy,
                busy,
            });
        }
    }

    /// Refuses new reads, waits for those that have begun, and closes the connections.
    pub(super) async fn close(&self) {
        for lane in [&self.short, &self.long] {
            lane.close().await;
        }
    }
}

impl Lane {
    async fn begin(self: &Arc<Self>, organization: Option<OrganizationId>) -> Result<Reading> {
        if self.state().closed {
            return Err(StoreError::Closed);
        }
        let place = self.shares.place(organization).await?;
        let idle = {
            let mut state = self.state();
            if state.closed {
                return Err(StoreError::Closed);
            }
            state.idle.pop()
        };
        let mut reading = Reading {
            lane: self.clone(),
            reader: idle,
            place: Some(place),
        };
        if reading.reader.is_some() {
            return Ok(reading);
        }
        if let Some(outage @ (Outage::FileGone | Outage::FileReplaced)) = self.condition.borrow().writes {
            return Err(StoreError::Unavailable(outage));
        }
        // A task opens it, which goes on when the caller goes away: so no connection is left that nobody waits for.
        let opening = tokio::spawn(async move {
            reading.reader = Some(Reader::open(&reading.lane.options).await?);
            Ok(reading)
        });
        opening
            .await
            .map_err(|_| StoreError::Closed)?
            .map_err(store_error)
    }

    async fn close(&self) {
        self.state().closed = true;
        self.shares.take_all().await;
        let idle = std::mem::take(&mut self.state().idle);
        for reader in idle {
            close_well(Some(reader.connection)).await;
        }
    }

    /// A thread that panicked while it held the state left it whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reader {
    async fn open(options: &SqliteConnectOptions) -> Result<Self, sqlx::Error> {
        let mut connection = SqliteConnection::connect_with(options).await?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        connection
            .lock_handle()
            .await?
            .set_progress_handler(STEPS, move || !stopped.load(Ordering::Relaxed));
        Ok(Self { connection, stop })
    }
}

impl Reading {
    /// What to read by.
    ///
    /// # Errors
    ///
    /// Never, before the end.
    pub(super) fn connection(&mut self) -> Result<&mut SqliteConnection> {
        let reader = self.reader.as_mut().ok_or(StoreError::Closed)?;
        Ok(&mut reader.connection)
    }

    /// Reads one row, and ends.
    pub(super) async fn optional<T: Stored>(mut self, query: Select<'_, T>) -> Result<Option<T>> {
        let found = rows::optional(self.connection()?, query).await?;
        self.end();
        Ok(found)
    }

    /// Reads all rows, and ends.
    pub(super) async fn all<T: Stored>(mut self, query: Select<'_, T>) -> Result<Vec<T>> {
        let found = rows::all(self.connection()?, query).await?;
        self.end();
        Ok(found)
    }

    /// Ends a read of which nothing runs any more. Its connection is for the next one.
    pub(super) fn end(mut self) {
        if let Some(reader) = self.reader.take() {
            self.lane.state().idle.push(reader);
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let Some(reader) = self.reader.take() else {
            return;
        };
        // A statement may be running, or have failed. Its place is free when the connection is gone.
        reader.stop.store(true, Ordering::Relaxed);
        let place = self.place.take();
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                close_well(Some(reader.connection)).await;
                drop(place);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;
    use uuid::Uuid;

    use super::*;

    /// Long enough for anything that ends at all.
    const NEVER: Duration = Duration::from_secs(25);

    const ONE: Option<OrganizationId> = Some(OrganizationId::from_uuid(Uuid::from_u128(1)));
    const OTHER: Option<OrganizationId> = Some(OrganizationId::from_uuid(Uuid::from_u128(2)));

    fn reads() -> Reads {
        let (_, condition) = watch::channel(Condition::default());
        Reads::new(&SqliteConnectOptions::new().in_memory(true), &condition)
    }

    /// Takes hours.
    async fn count(reading: &mut Reading) -> Result<i64> {
        let sql = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000000)
                   SELECT count(*) FROM n";
        sqlx::query_scalar(sql)
            .fetch_one(reading.connection()?)
            .await
            .map_err(store_error)
    }

    async fn select(reading: Result<Reading>) -> Result<i64> {
        let mut reading = reading?;
        let one = sqlx::query_scalar("SELECT 1")
            .fetch_one(reading.connection()?)
            .await;
        reading.end();
        one.map_err(store_error)
    }

    #[tokio::test]
    async fn a_read_is_stopped_when_nobody_waits_for_it() {
        let reads = reads();
        for _ in 0..3 {
            let mut reading = reads.long(ONE).await.unwrap();
            timeout(Duration::from_millis(20), count(&mut reading))
                .await
                .unwrap_err();
        }
        // The next one has the only place, and closing waits for all that runs.
        let next = timeout(NEVER, async { select(reads.long(ONE).await).await });
        assert_eq!(next.await.expect("the read goes on").unwrap(), 1);
        timeout(NEVER, reads.close()).await.expect("a read goes on");
        let closed = reads.long(ONE).await;
        assert!(matches!(closed, Err(StoreError::Closed)));
    }

    #[tokio::test]
    async fn who_scans_all_the_time_holds_up_no_other_organization() {
        let reads = Arc::new(reads());
        let mut scans = tokio::task::JoinSet::new();
        for _ in 0..10 {
            let reads = reads.clone();
            scans.spawn(async move { count(&mut reads.long(ONE).await?).await });
        }
        tokio::task::yield_now().await;
        let others = async {
            for _ in 0..3 {
                select(reads.long(OTHER).await).await.unwrap();
                select(reads.short(OTHER).await).await.unwrap();
            }
            // Nor its own look-ups.
            select(reads.short(ONE).await).await.unwrap();
        };
        timeout(NEVER, others).await.expect("another organization waits");
        scans.shutdown().await;
        timeout(NEVER, reads.close()).await.expect("a read goes on");
    }
}
