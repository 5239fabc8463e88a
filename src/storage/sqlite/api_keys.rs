//! API keys.

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Row as _, SqliteConnection, sqlite::SqliteRow};

use super::{
    SqliteStorage, answers,
    error::{engine, unique},
    events::{self, Subject},
    row::{owner, owner_of, time, uuid},
};
use crate::{
    domain::{ApiKey, ApiKeyId, EventKind, KeyDigest, OrganizationId, Page, Timestamp},
    storage::{Answer, ApiKeyStore, Change, Conflict, Missing, NewApiKey, Once, StoreError},
};

/// The columns that [`key_from_row`] reads, of `api_keys AS k`.
const KEY_COLUMNS: &str =
    "k.id, k.organization_id, k.scopes, k.hint, k.created_at, k.expires_at, k.revoked_at, k.last_used_at";

/// The key in a row of [`KEY_COLUMNS`].
fn key_from_row(row: &SqliteRow) -> Result<ApiKey, StoreError> {
    let scopes: &str = row.try_get(2).map_err(engine)?;
    Ok(ApiKey {
        id: ApiKeyId::from_uuid(uuid(row.try_get(0).map_err(engine)?, "key id")?),
        organization_id: owner_of(row.try_get(1).map_err(engine)?)?,
        scopes: scopes.parse().map_err(|_| StoreError::Corrupt("scope"))?,
        hint: row.try_get(3).map_err(engine)?,
        created_at: Timestamp::from_millis(row.try_get(4).map_err(engine)?),
        expires_at: time(row.try_get(5).map_err(engine)?),
        revoked_at: time(row.try_get(6).map_err(engine)?),
        last_used_at: time(row.try_get(7).map_err(engine)?),
    })
}

#[async_trait]
impl ApiKeyStore for SqliteStorage {
    async fn create_api_key(
        &self,
        organization: Option<OrganizationId>,
        key: NewApiKey,
        once: Once<ApiKey>,
        change: Change,
    ) -> Result<Answer<ApiKey>, StoreError> {
        self.writes
            .submit(move |connection| {
                Box::pin(async move {
                    if let Some(answer) = answers::find(connection, organization, &once, change.at).await? {
                        return Ok(Answer::Repeated(answer));
                    }
                    // Whether a key has expired depends on the time, which an index can't know.
                    sqlx::query(
                        "UPDATE api_keys SET superseded_at = $2
                         WHERE organization_id = $1 AND superseded_at IS NULL AND expires_at <= $2",
                    )
                    .bind(&owner(organization)[..])
                    .bind(change.at.as_millis())
                    .execute(&mut *connection)
                    .await
                    .map_err(engine)?;
                    let key = insert(connection, organization, key, &change).await?;
                    answers::keep(connection, organization, &once, &key, change.at).await?;
                    Ok(Answer::New(key))
                })
            })
            .await
    }

    async fn rotate_api_key(
        &self,
        organization: Option<OrganizationId>,
        old: ApiKeyId,
        old_expires_at: Timestamp,
        new: NewApiKey,
        once: Once<ApiKey>,
        change: Change,
    ) -> Result<Answer<ApiKey>, StoreError> {
        self.writes
            .submit(move |connection| {
                Box::pin(async move {
                    if let Some(answer) = answers::find(connection, organization, &once, change.at).await? {
                        return Ok(Answer::Repeated(answer));
                    }
                    supersede(connection, organization, old, old_expires_at, &change).await?;
                    let key = insert(connection, organization, new, &change).await?;
                    answers::keep(connection, organization, &once, &key, change.at).await?;
                    Ok(Answer::New(key))
                })
            })
            .await
    }

    async fn revoke_api_key(
        &self,
        organization: Option<OrganizationId>,
        key: ApiKeyId,
        change: Change,
    ) -> Result<bool, StoreError> {
        self.writes
            .submit(move |connection| {
                Box::pin(async move {
                    let revoked = sqlx::query(
                        "UPDATE api_keys SET revoked_at = $3
                         WHERE organization_id = $1 AND id = $2 AND revoked_at IS NULL",
                    )
                    .bind(&owner(organization)[..])
                    .bind(&key.as_uuid().as_bytes()[..])
                    .bind(change.at.as_millis())
                    .execute(&mut *connection)
                    .await
                    .map_err(engine)?;
                    if revoked.rows_affected() == 0 {
                        return Ok(false);
                    }
                    let (kind, subject) = (EventKind::ApiKeyRevoked, Subject::ApiKey(key));
                    events::append(connection, organization, kind, subject, &["revoked_at"], &change).await?;
                    Ok(true)
                })
            })
            .await
    }

    async fn api_key(
        &self,
        organization: Option<OrganizationId>,
        key: ApiKeyId,
    ) -> Result<Option<ApiKey>, StoreError> {
        let sql =
            format!("SELECT {KEY_COLUMNS} FROM api_keys AS k WHERE k.organization_id = $1 AND k.id = $2");
        let mut reading = self.reads.short(organization).await?;
        // Safe: it is put together from constants.
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(&owner(organization)[..])
            .bind(&key.as_uuid().as_bytes()[..])
            .fetch_optional(reading.connection()?)
            .await
            .map_err(engine)?;
        reading.end();
        row.map(|row| key_from_row(&row)).transpose()
    }

    async fn api_keys(
        &self,
        organization: Option<OrganizationId>,
        page: Page<ApiKeyId>,
    ) -> Result<Vec<ApiKey>, StoreError> {
        let sql = format!(
            "SELECT {KEY_COLUMNS} FROM api_keys AS k
             WHERE k.organization_id = $1 AND k.id > $2 ORDER BY k.id LIMIT $3"
        );
        let mut reading = self.reads.short(organization).await?;
        // Safe: it is put together from constants.
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(&owner(organization)[..])
            .bind(
                page.after
                    .as_ref()
                    .map_or(&[][..], |id| &id.as_uuid().as_bytes()[..]),
            )
            .bind(page.limit)
            .fetch_all(reading.connection()?)
            .await
            .map_err(engine)?;
        reading.end();
        rows.iter().map(key_from_row).collect()
    }

    async fn api_key_by_digest(&self, digest: KeyDigest) -> Result<Option<ApiKey>, StoreError> {
        Ok(self.lookups.find(digest, None).await?.key)
    }

    async fn record_key_use(
        &self,
        uses: Vec<(Option<OrganizationId>, ApiKeyId, Timestamp)>,
    ) -> Result<(), StoreError> {
        self.writes
            .submit(move |connection| {
                Box::pin(async move {
                    for (organization, key, at) in uses {
                        sqlx::query(
                            "UPDATE api_keys SET last_used_at = max(coalesce(last_used_at, $3), $3)
                             WHERE organization_id = $1 AND id = $2",
                        )
                        .bind(&owner(organization)[..])
                        .bind(&key.as_uuid().as_bytes()[..])
                        .bind(at.as_millis())
                        .execute(&mut *connection)
                        .await
                        .map_err(engine)?;
                    }
                    Ok(())
                })
            })
            .await
    }
}

/// Ends a live key that has no successor yet at `expires_at`, unless it ends before that.
async fn supersede(
    connection: &mut SqliteConnection,
    organization: Option<OrganizationId>,
    key: ApiKeyId,
    expires_at: Timestamp,
    change: &Change,
) -> Result<(), StoreError> {
    let before: Option<Option<i64>> = sqlx::query_scalar(
        "SELECT expires_at FROM api_keys
         WHERE organization_id = $1 AND id = $2 AND revoked_at IS NULL AND superseded_at IS NULL
             AND (expires_at IS NULL OR expires_at > $3)",
    )
    .bind(&owner(organization)[..])
    .bind(&key.as_uuid().as_bytes()[..])
    .bind(change.at.as_millis())
    .fetch_optional(&mut *connection)
    .await
    .map_err(engine)?;
    let before = before.ok_or(Missing::ApiKey)?;
    let after = before.map_or(expires_at.as_millis(), |end| end.min(expires_at.as_millis()));
    sqlx::query(
        "UPDATE api_keys SET superseded_at = $3, expires_at = $4 WHERE organization_id = $1 AND id = $2",
    )
    .bind(&owner(organization)[..])
    .bind(&key.as_uuid().as_bytes()[..])
    .bind(change.at.as_millis())
    .bind(after)
    .execute(&mut *connection)
    .await
    .map_err(engine)?;
    let fields: &[_] = if before == Some(after) {
        &[]
    } else {
        &["expires_at"]
    };
    let (kind, subject) = (EventKind::ApiKeyRotated, Subject::ApiKey(key));
    events::append(connection, organization, kind, subject, fields, change).await?;
    Ok(())
}

async fn insert(
    connection: &mut SqliteConnection,
    organization: Option<OrganizationId>,
    new: NewApiKey,
    change: &Change,
) -> Result<ApiKey, StoreError> {
    let inserted = sqlx::query(
        "INSERT INTO api_keys (organization_id, id, digest, hint, scopes, created_at, expires_at)
         SELECT $1, $2, $3, $4, $5, $6, $7
         WHERE $8 OR EXISTS (SELECT 1 FROM organizations WHERE id = $1 AND deleted_at IS NULL)",
    )
    .bind(&owner(organization)[..])
    .bind(&new.key.id.as_uuid().as_bytes()[..])
    .bind(&new.digest.as_bytes()[..])
    .bind(&new.key.hint)
    .bind(new.key.scopes.to_string())
    .bind(new.key.created_at.as_millis())
    .bind(new.key.expires_at.map(Timestamp::as_millis))
    .bind(organization.is_none())
    .execute(&mut *connection)
    .await
    .map_err(|error| unique(error, Conflict::PublicKey))?;
    if inserted.rows_affected() == 0 {
        return Err(Missing::Organization.into());
    }
    let fields: &[_] = if new.key.expires_at.is_some() {
        &["scopes", "expires_at"]
    } else {
        &["scopes"]
    };
    let (kind, subject) = (EventKind::ApiKeyCreated, Subject::ApiKey(new.key.id));
    events::append(connection, organization, kind, subject, fields, change).await?;
    Ok(ApiKey {
        organization_id: organization,
        ..new.key
    })
}
