//! Changes that wait for the writer: what runs inside its transaction, and hears how that ended.

use futures_util::future::BoxFuture;
use sqlx::SqliteConnection;
use tokio::sync::oneshot;

use super::transaction::SqliteTransaction;
use crate::{
    domain::Outage,
    storage::{Result, StoreError, Verdict, Work, panics::caught},
};

/// How a job ended inside its transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ran {
    /// It made its change.
    Made,
    /// It failed for a reason of its own, and is to be undone alone.
    Failed,
    /// The database failed under it. SQLite may have undone the whole transaction already, so nothing of it is kept.
    Broken(Outage),
}

impl Ran {
    pub(super) const fn of<T>(result: &Result<T>) -> Self {
        match result {
            Ok(_) => Self::Made,
            Err(StoreError::Unavailable(outage)) => Self::Broken(*outage),
            Err(_) => Self::Failed,
        }
    }
}

/// Why the changes of a transaction were not acknowledged: the same for each of them.
#[derive(Clone, Copy, Debug)]
pub(super) enum Failure {
    /// None of them happened.
    Unavailable(Outage),
    /// They may have happened.
    Unknown(Outage),
    /// None of them happened, and the database is well. The log has the reason.
    NotCommitted,
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unavailable(outage) => Self::Unavailable(outage),
            Failure::Unknown(outage) => Self::OutcomeUnknown(outage),
            Failure::NotCommitted => Self::Engine("the transaction was not committed".into()),
        }
    }
}

/// A change that waits. It runs inside the transaction of its batch and hears how that ended.
pub(super) trait Job: Send {
    /// Whether the caller has gone away. Then nobody needs the change.
    fn is_abandoned(&self) -> bool;

    /// Makes the change and keeps its result.
    fn run<'a>(&'a mut self, connection: &'a mut SqliteConnection) -> BoxFuture<'a, Ran>;

    /// After a failure, the changes that failed together as jobs of their own, to be tried again: most may not fail alone.
    fn split(&mut self) -> Vec<Box<dyn Job>> {
        Vec::new()
    }

    /// Tells the caller; `failure` if the batch was not committed.
    fn finish(self: Box<Self>, failure: Option<Failure>);
}

/// A rule that waits.
pub(super) struct Pending {
    work: Box<dyn Work>,
    /// Why its run came to no end. What else came of it, the work itself knows.
    panicked: Option<StoreError>,
    reply: oneshot::Sender<Result<()>>,
}

impl Pending {
    pub(super) fn new(work: Box<dyn Work>, reply: oneshot::Sender<Result<()>>) -> Self {
        Self {
            work,
            panicked: None,
            reply,
        }
    }
}

impl Job for Pending {
    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn run<'a>(&'a mut self, connection: &'a mut SqliteConnection) -> BoxFuture<'a, Ran> {
        Box::pin(async move {
            let mut transaction = SqliteTransaction::new(connection);
            let ended = caught(async { Ok(self.work.run(&mut transaction).await) }).await;
            match (transaction.outage(), ended) {
                (Some(outage), _) => Ran::Broken(outage),
                (None, Ok(Verdict::Commit)) => Ran::Made,
                (None, Ok(Verdict::Undo)) => Ran::Failed,
                // What SQLite's thread was asked for it ends before it is asked for more, so this is undone as a failure is.
                (None, Err(panicked)) => {
                    self.panicked = Some(panicked);
                    Ran::Failed
                }
            }
        })
    }

    fn finish(self: Box<Self>, failure: Option<Failure>) {
        let failed = failure.map(StoreError::from).or(self.panicked);
        let result = failed.map_or(Ok(()), Err);
        // A caller that went away does not mind.
        let _ = self.reply.send(result);
    }
}
