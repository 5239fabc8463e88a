//! The rows of a statement, all of them or an error.

use futures_util::TryStreamExt as _;
use sqlx::{Either, Execute, Executor as _, Sqlite, SqliteConnection, sqlite::SqliteRow};

use super::{columns::Stored, error::store_error};
use crate::storage::Result;

/// Every row.
pub(super) async fn all<'q, T: Stored>(
    connection: &mut SqliteConnection,
    query: impl Execute<'q, Sqlite> + 'q,
) -> Result<Vec<T>> {
    let mut rows = Vec::new();
    each(connection, query, |row| {
        rows.push(T::from_row(row)?);
        Ok(())
    })
    .await?;
    Ok(rows)
}

/// Sees every row, as it comes. When the thread of the connection dies, sqlx ends the rows as if these were all; only what comes
/// behind the last one is missing then. Nothing is to be asked of that connection any more: it would not be answered (`close`).
pub(super) async fn each<'q>(
    connection: &mut SqliteConnection,
    query: impl Execute<'q, Sqlite> + 'q,
    mut see: impl FnMut(&SqliteRow) -> Result<(), sqlx::Error>,
) -> Result<()> {
    let mut found = connection.fetch_many(query);
    let mut is_end = false;
    while let Some(next) = found.try_next().await.map_err(store_error)? {
        match next {
            Either::Left(_) => is_end = true,
            Either::Right(row) => see(&row).map_err(store_error)?,
        }
    }
    if is_end {
        Ok(())
    } else {
        Err(store_error(sqlx::Error::WorkerCrashed))
    }
}

/// The row of a statement that has one at most.
pub(super) async fn optional<'q, T: Stored>(
    connection: &mut SqliteConnection,
    query: impl Execute<'q, Sqlite> + 'q,
) -> Result<Option<T>> {
    Ok(all(connection, query).await?.pop())
}
