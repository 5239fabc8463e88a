//! The end of a connection.

use std::time::Duration;

use sqlx::{Connection as _, SqliteConnection};
use tokio::time::timeout;

/// How long a ping may take until another is sent.
const PATIENCE: Duration = Duration::from_millis(100);

/// Gives up a connection, and returns when nothing of it runs any more.
///
/// Its thread may be dying. A command that is sent in that moment is never answered, because sqlx's queue keeps it as long as
/// anybody can send; the next one is refused. So pings are sent until one is answered or refused.
///
/// # Errors
///
/// SQLite's. The connection is gone nevertheless.
pub(super) async fn close(mut connection: SqliteConnection) -> Result<(), sqlx::Error> {
    while timeout(PATIENCE, connection.ping()).await.is_err() {}
    connection.close().await
}

/// As [`close`], of one that is not known to be broken: what fails is logged.
pub(super) async fn close_well(connection: Option<SqliteConnection>) {
    let Some(connection) = connection else { return };
    if let Err(error) = close(connection).await {
        tracing::error!(%error, "closing the database failed");
    }
}
