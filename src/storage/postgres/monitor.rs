//! Looks whether the server is there, and tells what does not work.

use std::time::Duration;

use sqlx::{Connection as _, PgConnection, postgres::PgConnectOptions};
use tokio::{
    sync::{Mutex, mpsc, watch},
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::{
    connect::{connect, in_time, name},
    error::{concerns_all, outage},
    writer::TOUCH,
};
use crate::{
    domain::{Condition, Outage},
    storage::outages::{Outages, Side},
};

/// How often to look.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long a look may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Failures that wait to be told. More are like those.
const WAITING: usize = 64;

/// How long the end of the connection may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// The way to tell of a failure.
#[derive(Clone)]
pub(super) struct Failures(mpsc::Sender<(Side, Outage, String)>);

impl Failures {
    /// Nobody is told.
    pub(super) fn untold() -> Self {
        Self(mpsc::channel(1).0)
    }

    /// Tells of an error, if the server or the way to it is the reason: a row that is locked stops nobody else.
    pub(super) fn report(&self, side: Side, error: &sqlx::Error) {
        if let Some(outage) = outage(error).filter(|_| concerns_all(error)) {
            // Where many wait, one more says nothing new.
            let _ = self.0.try_send((side, outage, error.to_string()));
        }
    }
}

/// The task that looks.
pub(super) struct Monitor {
    stop: watch::Sender<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

struct Looks {
    options: PgConnectOptions,
    connection: Option<PgConnection>,
    writes: Outages,
    reads: Outages,
}

impl Monitor {
    pub(super) fn start(
        options: &PgConnectOptions,
        condition: &watch::Sender<Condition>,
    ) -> (Self, Failures) {
        let (failures, failed) = mpsc::channel(WAITING);
        let (stop, stopped) = watch::channel(false);
        let looks = Looks {
            options: options.clone(),
            connection: None,
            writes: Outages::new(Side::Writes, name(options), condition.clone()),
            reads: Outages::new(Side::Reads, name(options), condition.clone()),
        };
        let task = Mutex::new(Some(tokio::spawn(looks.run(failed, stopped))));
        (Self { stop, task }, Failures(failures))
    }

    pub(super) async fn close(&self) {
        self.stop.send_replace(true);
        if let Some(task) = self.task.lock().await.take() {
            // An error means that it has ended.
            let _ = task.await;
        }
    }
}

impl Looks {
    async fn run(
        mut self,
        mut failed: mpsc::Receiver<(Side, Outage, String)>,
        mut stopped: watch::Receiver<bool>,
    ) {
        let mut pause = LOOK_EVERY;
        loop {
            tokio::select! {
                _ = stopped.wait_for(|stopped| *stopped) => break,
                Some((side, outage, error)) = failed.recv() => {
                    self.side(side).begin(outage, &error);
                    // Those that came with it must not begin one outage after the other when all is well again.
                    while let Ok((side, outage, error)) = failed.try_recv() {
                        self.side(side).begin(outage, &error);
                    }
                }
                () = sleep(pause) => {}
            }
            self.look().await;
            pause = match (self.writes.current(), self.reads.current()) {
                (None, None) => {
                    self.writes.worked();
                    self.reads.worked();
                    LOOK_EVERY
                }
                _ => self.writes.pause().max(self.reads.pause()),
            };
        }
        if let Some(connection) = self.connection.take() {
            // A server that does not hear it finds out by itself.
            let _ = timeout(GOODBYE, connection.close()).await;
        }
    }

    const fn side(&mut self, side: Side) -> &mut Outages {
        match side {
            Side::Writes => &mut self.writes,
            Side::Reads => &mut self.reads,
        }
    }

    /// Asks the server whether it takes changes, and in an outage of changes makes one that changes nothing.
    async fn look(&mut self) {
        let was_connected = self.connection.is_some();
        let mut found = self.is_read_only().await;
        if found.is_err() && was_connected {
            // The connection alone may have broken.
            self.connection = None;
            found = self.is_read_only().await;
        }
        match found {
            Ok(false) => {
                self.reads.end();
                if self.writes.current().is_some() {
                    match self.attempt().await {
                        Ok(()) => self.writes.end(),
                        Err(error) => self.failed(Side::Writes, &error),
                    }
                }
            }
            // What a standby knows may be out of date: a member who was revoked would be found.
            Ok(true) => {
                let outage = Outage::ReadOnly;
                self.writes.begin(outage, &outage);
                self.reads.begin(outage, &outage);
            }
            Err(error) => {
                self.failed(Side::Writes, &error);
                self.failed(Side::Reads, &error);
            }
        }
    }

    fn failed(&mut self, side: Side, error: &sqlx::Error) {
        self.connection = None;
        self.side(side)
            .begin(outage(error).unwrap_or(Outage::Other), error);
    }

    async fn connection(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => connect(&self.options, PATIENCE).await?,
        };
        Ok(self.connection.insert(connection))
    }

    async fn is_read_only(&mut self) -> Result<bool, sqlx::Error> {
        let query = sqlx::query_scalar("SELECT current_setting('transaction_read_only') = 'on'");
        in_time(PATIENCE, query.fetch_one(self.connection().await?)).await
    }

    async fn attempt(&mut self) -> Result<(), sqlx::Error> {
        let statement = sqlx::query(TOUCH);
        in_time(PATIENCE, statement.execute(self.connection().await?)).await?;
        Ok(())
    }
}
