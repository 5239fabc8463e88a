//! Answers that are given again to a repeated request.
//!
//! A write that may be repeated first asks [`find`]; if there is nothing, it does its work and ends with [`keep`], all
//! in one transaction: the answer is there if and only if the change was made.

use std::time::Duration;

use sqlx::SqliteConnection;

use super::{error::engine, row::owner};
use crate::{
    domain::{OrganizationId, Timestamp},
    storage::{Once, Precondition, StoreError, Token},
};

/// How long an answer is given again.
const KEPT: Duration = Duration::from_hours(24);

/// How many old answers are removed when a new one is kept: more than come in, so that they don't pile up.
const REMOVED_AT_ONCE: u32 = 16;

/// What was answered to the same request before. None: nothing, or longer ago than answers are kept.
///
/// # Errors
///
/// [`Precondition::IdempotencyKeyReused`]: it was answered to another request.
pub(super) async fn find<T>(
    connection: &mut SqliteConnection,
    organization: Option<OrganizationId>,
    once: &Once<T>,
    at: Timestamp,
) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(token) = &once.token else { return Ok(None) };
    let kept: Option<(Vec<u8>, Vec<u8>)> = sqlx::query_as(
        "SELECT request, answer FROM answers
         WHERE organization_id = $1 AND api_key_id = $2 AND key = $3 AND at > $4",
    )
    .bind(&owner(organization)[..])
    .bind(&token.api_key.as_uuid().as_bytes()[..])
    .bind(&token.key)
    .bind(oldest(at))
    .fetch_optional(connection)
    .await
    .map_err(engine)?;
    match kept {
        None => Ok(None),
        Some((request, answer)) if request == token.request => Ok(Some(answer)),
        Some(_) => Err(Precondition::IdempotencyKeyReused.into()),
    }
}

/// Keeps the answer to a request that may be repeated, and removes some that are too old.
pub(super) async fn keep<T>(
    connection: &mut SqliteConnection,
    organization: Option<OrganizationId>,
    once: &Once<T>,
    value: &T,
    at: Timestamp,
) -> Result<(), StoreError> {
    if let Some(token) = &once.token {
        let answer = (once.encode)(value);
        write(connection, owner(organization), token, answer, at).await?;
    }
    Ok(())
}

async fn write(
    connection: &mut SqliteConnection,
    owner: [u8; 16],
    token: &Token,
    answer: Vec<u8>,
    at: Timestamp,
) -> Result<(), StoreError> {
    // One that is there is too old: a newer one would have been found.
    sqlx::query(
        "INSERT INTO answers (organization_id, api_key_id, key, request, answer, at) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (organization_id, api_key_id, key)
         DO UPDATE SET request = excluded.request, answer = excluded.answer, at = excluded.at",
    )
    .bind(&owner[..])
    .bind(&token.api_key.as_uuid().as_bytes()[..])
    .bind(&token.key)
    .bind(&token.request[..])
    .bind(answer)
    .bind(at.as_millis())
    .execute(&mut *connection)
    .await
    .map_err(engine)?;
    sqlx::query(
        "DELETE FROM answers WHERE (organization_id, api_key_id, key) IN (
             SELECT organization_id, api_key_id, key FROM answers
             WHERE organization_id = $1 AND at <= $2 ORDER BY at LIMIT $3
         )",
    )
    .bind(&owner[..])
    .bind(oldest(at))
    .bind(REMOVED_AT_ONCE)
    .execute(connection)
    .await
    .map_err(engine)?;
    Ok(())
}

/// Removes every answer of an organization that has this text in it: what is erased must not be answered again. It
/// reads all of the organization's answers, a day's.
pub(super) async fn forget(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    text: &str,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM answers WHERE organization_id = $1 AND instr(answer, CAST($2 AS BLOB)) > 0")
        .bind(&owner(Some(organization))[..])
        .bind(text)
        .execute(connection)
        .await
        .map_err(engine)?;
    Ok(())
}

/// Answers of this moment and before are too old.
fn oldest(at: Timestamp) -> i64 {
    let kept = i64::try_from(KEPT.as_millis()).unwrap_or(i64::MAX);
    at.as_millis().saturating_sub(kept)
}
