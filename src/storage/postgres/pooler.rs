//! Finds out whether something stands between this program and the server that mixes up prepared statements.
//!
//! Statements are prepared in one message and run in another. A pooler that hands out the server's connections for a
//! transaction at a time may send the two to different ones, of which the second knows no such statement, or another one by that
//! name. Then the answer has rows of another query, which may be another organization's, and there is no error.

use std::time::Duration;

use sqlx::{Connection as _, PgConnection, postgres::PgConnectOptions};

use super::{
    connect::{connect, in_time},
    error::{is_mixed_up, store_error},
};
use crate::storage::OpenError;

/// How often two connections take turns. Others may use the pooler at the same time, so that once may show nothing.
const ROUNDS: usize = 4;

/// A statement for each of two connections, and what it answers. Both have the same name, because each connection counts its
/// own.
const STATEMENTS: [(&str, i32); 2] = [("SELECT 1", 1), ("SELECT 2", 2)];

/// Looks, by two connections of its own.
///
/// # Errors
///
/// [`OpenError::Pooler`]: statements are mixed up. [`OpenError::NoConnection`]. [`OpenError::Store`].
pub(super) async fn check(options: &PgConnectOptions, patience: Duration) -> Result<(), OpenError> {
    let no_connection = |error| OpenError::NoConnection(Box::new(error));
    let mut both = [
        connect(options, patience).await.map_err(no_connection)?,
        connect(options, patience).await.map_err(no_connection)?,
    ];
    let are_right = take_turns(&mut both, patience).await;
    for connection in both {
        // A server that does not hear it finds out by itself.
        let _ = in_time(patience, connection.close()).await;
    }
    match are_right {
        Ok(true) => Ok(()),
        Ok(false) => Err(OpenError::Pooler),
        Err(error) if is_mixed_up(&error) => Err(OpenError::Pooler),
        Err(error) => Err(store_error(error).into()),
    }
}

/// Whether both get their own answers throughout.
async fn take_turns(both: &mut [PgConnection; 2], patience: Duration) -> Result<bool, sqlx::Error> {
    // One after the other: a pooler that has a connection of the server free gives the same to both.
    for _ in 0..ROUNDS {
        if !are_right(both, patience).await? {
            return Ok(false);
        }
    }
    // Side by side. Who ends first changes, so that they get each other's connection next time, whether the pooler hands out
    // first what was free last or what was free longest.
    for round in 0..ROUNDS {
        for connection in both.iter_mut() {
            say(connection, "BEGIN", patience).await?;
        }
        if !are_right(both, patience).await? {
            return Ok(false);
        }
        let [one, other] = &mut *both;
        let (first, last) = if round % 2 == 0 {
            (one, other)
        } else {
            (other, one)
        };
        say(first, "COMMIT", patience).await?;
        say(last, "COMMIT", patience).await?;
    }
    Ok(true)
}

async fn are_right(both: &mut [PgConnection; 2], patience: Duration) -> Result<bool, sqlx::Error> {
    for (connection, (statement, expected)) in both.iter_mut().zip(STATEMENTS) {
        let answer = sqlx::query_scalar(statement).fetch_one(connection);
        let answer: i32 = in_time(patience, answer).await?;
        if answer != expected {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn say(
    connection: &mut PgConnection,
    sql: &'static str,
    patience: Duration,
) -> Result<(), sqlx::Error> {
    in_time(patience, sqlx::raw_sql(sql).execute(connection))
        .await
        .map(drop)
}
