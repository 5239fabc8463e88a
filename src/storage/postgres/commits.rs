//! Commits, told to those who follow the event log: those of this process at once, those of others by notifications.
//!
//! A notification takes a lock that all who notify share, so commits that come together are told by one, after them and on a
//! connection of its own. One that gets lost is made up for by those who look from time to time.

use std::{sync::Arc, time::Duration};

use sqlx::{
    PgPool,
    postgres::{PgListener, PgPoolOptions},
};
use tokio::{
    sync::{Mutex, Notify, watch},
    task::JoinHandle,
    time::sleep,
};

use super::{
    connect::{self, in_time},
    settings::Settings,
};

/// The channel of the notifications.
const CHANNEL: &str = "userbridge_commits";

/// How long to gather commits before they are told.
const GATHER: Duration = Duration::from_millis(5);

/// How long to wait after a failure.
const PAUSE: Duration = Duration::from_secs(1);

/// Counts the commits.
#[derive(Clone)]
pub(super) struct Commits {
    count: Arc<watch::Sender<u64>>,
    untold: Arc<Notify>,
}

/// The tasks that tell others and hear from them.
pub(super) struct Telling {
    tasks: Mutex<Vec<JoinHandle<()>>>,
    pool: PgPool,
}

impl Commits {
    /// Something was committed by this process.
    pub(super) fn committed(&self) {
        self.heard();
        self.untold.notify_one();
    }

    /// Something was committed by anybody.
    fn heard(&self) {
        self.count.send_modify(|count| *count = count.wrapping_add(1));
    }

    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.count.subscribe()
    }
}

impl Telling {
    pub(super) fn start(options: &sqlx::postgres::PgConnectOptions, settings: &Settings) -> (Self, Commits) {
        let commits = Commits {
            count: Arc::new(watch::Sender::new(0)),
            untold: Arc::default(),
        };
        let pool = connect::pool(options, 1, settings.patience);
        // One that listens is kept as it is.
        let ears = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(settings.patience)
            .max_lifetime(None)
            .idle_timeout(None)
            .connect_lazy_with(options.clone());
        let tasks = Mutex::new(vec![
            tokio::spawn(tell(pool.clone(), commits.untold.clone(), settings.patience)),
            tokio::spawn(listen(ears, commits.clone())),
        ]);
        (Self { tasks, pool }, commits)
    }

    pub(super) async fn close(&self) {
        for task in self.tasks.lock().await.drain(..) {
            task.abort();
            // It was told to end.
            let _ = task.await;
        }
        self.pool.close().await;
    }
}

async fn tell(pool: PgPool, untold: Arc<Notify>, patience: Duration) {
    loop {
        untold.notified().await;
        sleep(GATHER).await;
        let query = sqlx::query("SELECT pg_notify($1, '')").bind(CHANNEL);
        if let Err(error) = in_time(patience * 2, query.execute(&pool)).await {
            tracing::debug!(%error, "other servers were not told of a commit");
            sleep(PAUSE).await;
        }
    }
}

async fn listen(pool: PgPool, commits: Commits) {
    loop {
        if let Err(error) = hear(&pool, &commits).await {
            tracing::debug!(%error, "commits of other servers are not heard of at present");
        }
        sleep(PAUSE).await;
    }
}

/// Ends when the connection does: what was told in the meantime is lost.
async fn hear(pool: &PgPool, commits: &Commits) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    while listener.try_recv().await?.is_some() {
        commits.heard();
    }
    commits.heard();
    Ok(())
}
