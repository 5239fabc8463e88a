//! Changes that wait for the writer: what runs inside its transaction, and hears how that ended.

use std::pin::Pin;

use sqlx::SqliteConnection;
use tokio::sync::oneshot;

use crate::storage::{Outage, StoreError};

/// Work inside a transaction.
pub(super) type Work<'c, T> = Pin<Box<dyn Future<Output = T> + Send + 'c>>;

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

impl<T> From<&Result<T, StoreError>> for Ran {
    fn from(result: &Result<T, StoreError>) -> Self {
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
    fn run<'a>(&'a mut self, connection: &'a mut SqliteConnection) -> Work<'a, Ran>;

    /// After a failure, the changes that failed together as jobs of their own, to be tried again: most may not fail alone.
    fn split(&mut self) -> Vec<Box<dyn Job>> {
        Vec::new()
    }

    /// Tells the caller; `failure` if the batch was not committed.
    fn finish(self: Box<Self>, failure: Option<Failure>);
}

/// A job made of a closure.
pub(super) struct Pending<F, T> {
    work: Option<F>,
    result: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<F, T> Pending<F, T> {
    pub(super) const fn new(work: F, reply: oneshot::Sender<Result<T, StoreError>>) -> Self {
        Self {
            work: Some(work),
            result: None,
            reply,
        }
    }
}

impl<F, T> Job for Pending<F, T>
where
    F: for<'c> FnOnce(&'c mut SqliteConnection) -> Work<'c, Result<T, StoreError>> + Send,
    T: Send,
{
    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn run<'a>(&'a mut self, connection: &'a mut SqliteConnection) -> Work<'a, Ran> {
        Box::pin(async move {
            let Some(work) = self.work.take() else {
                return Ran::Failed;
            };
            let result = work(connection).await;
            let ran = Ran::from(&result);
            self.result = Some(result);
            ran
        })
    }

    fn finish(self: Box<Self>, failure: Option<Failure>) {
        let result = match (self.result, failure) {
            // Also if it failed by itself: of a connection that broke it is not known what it last read.
            (_, Some(failure)) => Err(failure.into()),
            (Some(result), None) => result,
            (None, None) => Err(StoreError::Closed),
        };
        // A caller that went away does not mind.
        let _ = self.reply.send(result);
    }
}
