//! A change that changes nothing.

use futures_util::future::BoxFuture;
use sqlx::{AssertSqlSafe, SqliteConnection};
use tokio::sync::oneshot;

use super::{
    error::store_error,
    job::{Failure, Job, Ran},
    migrate::APPLICATION_ID,
};
use crate::storage::Result;

/// Writes the file's first page, also where the id is in it already.
pub(super) async fn touch(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let sql = format!("PRAGMA application_id = {APPLICATION_ID}");
    sqlx::query(AssertSqlSafe(sql)).execute(connection).await?;
    Ok(())
}

/// One that waits for its turn.
pub(super) struct Touch {
    pub(super) reply: oneshot::Sender<Result<()>>,
}

impl Job for Touch {
    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn run<'a>(&'a mut self, connection: &'a mut SqliteConnection) -> BoxFuture<'a, Ran> {
        Box::pin(async move { Ran::of(&touch(connection).await.map_err(store_error)) })
    }

    fn finish(self: Box<Self>, failure: Option<Failure>) {
        let result = failure.map_or(Ok(()), |failure| Err(failure.into()));
        // A caller that went away does not mind.
        let _ = self.reply.send(result);
    }
}
