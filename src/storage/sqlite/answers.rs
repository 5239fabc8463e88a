//! Answers that are given again to a repeated request.
//!
//! A write that may be repeated first asks [`find`]; if there is nothing, it does its work and ends with [`keep`], all
//! in one transaction: the answer is there if and only if the change was made.

use async_trait::async_trait;
use sqlx::SqliteConnection;

use super::{SqliteStorage, error::engine, row::owner};
use crate::{
    domain::{OrganizationId, Timestamp},
    storage::{ANSWER_KEPT, AnswerStore, Once, Precondition, StoreError, Token},
};

#[async_trait]
impl AnswerStore for SqliteStorage {
    async fn kept_answer(
        &self,
        organization: Option<OrganizationId>,
        token: &Token,
        now: Timestamp,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let mut reading = self.reads.short(organization).await?;
        let answer = find_token(reading.connection()?, organization, token, now).await?;
        reading.end();
        Ok(answer)
    }

    async fn remove_old_answers(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let mut reading = self.reads.short(None).await?;
        // Mostly there is none, and then there is nothing to commit.
        let some: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM answers WHERE at <= $1)")
            .bind(oldest(now))
            .fetch_one(reading.connection()?)
            .await
            .map_err(engine)?;
        reading.end();
        if !some {
            return Ok(0);
        }
        self.writes
            .submit(move |connection| {
                Box::pin(async move {
                    let removed = sqlx::query(
                        "DELETE FROM answers WHERE (organization_id, api_key_id, key) IN (
                             SELECT organization_id, api_key_id, key FROM answers WHERE at <= $1 ORDER BY at LIMIT $2
                         )",
                    )
                    .bind(oldest(now))
                    .bind(limit)
                    .execute(connection)
                    .await
                    .map_err(engine)?;
                    Ok(removed.rows_affected())
                })
            })
            .await
    }
}

/// What was answered to the same request before. None: nothing, or longer ago than answers are kept.
///
/// # Errors
///
/// [`Precondition::IdempotencyKeyReused`]: it was answered to another request. [`Precondition::MemberErased`]: the answer
/// was about a member whose data is erased.
pub(super) async fn find<T>(
    connection: &mut SqliteConnection,
    organization: Option<OrganizationId>,
    once: &Once<T>,
    at: Timestamp,
) -> Result<Option<Vec<u8>>, StoreError> {
    match &once.token {
        Some(token) => find_token(connection, organization, token, at).await,
        None => Ok(None),
    }
}

async fn find_token(
    connection: &mut SqliteConnection,
    organization: Option<OrganizationId>,
    token: &Token,
    at: Timestamp,
) -> Result<Option<Vec<u8>>, StoreError> {
    let kept: Option<(Vec<u8>, Vec<u8>, bool)> = sqlx::query_as(
        "SELECT request, answer, erased FROM answers
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
        Some((_, _, true)) => Err(Precondition::MemberErased.into()),
        Some((request, answer, false)) if request == token.request => Ok(Some(answer)),
        Some(_) => Err(Precondition::IdempotencyKeyReused.into()),
    }
}

/// Keeps the answer to a request that may be repeated.
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
         DO UPDATE SET request = excluded.request, answer = excluded.answer, at = excluded.at, erased = 0",
    )
    .bind(&owner[..])
    .bind(&token.api_key.as_uuid().as_bytes()[..])
    .bind(&token.key)
    .bind(&token.request[..])
    .bind(answer)
    .bind(at.as_millis())
    .execute(connection)
    .await
    .map_err(engine)?;
    Ok(())
}

/// Empties every answer of an organization that has this text in it: what is erased must not be answered again, nor done
/// again. The digest of the request goes too: who knows a person could find out by it that the request was about them. It
/// reads all of the organization's answers, a day's.
pub(super) async fn forget(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    text: &str,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE answers SET request = x'', answer = x'', erased = 1
         WHERE organization_id = $1 AND instr(answer, CAST($2 AS BLOB)) > 0",
    )
    .bind(&owner(Some(organization))[..])
    .bind(text)
    .execute(connection)
    .await
    .map_err(engine)?;
    Ok(())
}

/// Answers of this moment and before are too old.
fn oldest(at: Timestamp) -> i64 {
    let kept = i64::try_from(ANSWER_KEPT.as_millis()).unwrap_or(i64::MAX);
    at.as_millis().saturating_sub(kept)
}
