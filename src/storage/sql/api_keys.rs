//! API keys.

use async_trait::async_trait;
use sqlx::AssertSqlSafe;

use super::{
    Engine, EngineTransaction,
    columns::API_KEY,
    dialect::{INSERT_API_KEY, POSITION},
};
use crate::{
    domain::{ApiKey, ApiKeyId, CLOCKS_DIFFER, Conflict, KeyDigest, OrganizationId, PageRequest, Timestamp},
    storage::{ApiKeyStore, ApiKeyWrites, Result, values::organization_column},
};

/// An organization's keys of which something holds, as a statement.
fn select(condition: &str) -> AssertSqlSafe<String> {
    // Safe: it is put together from constants.
    AssertSqlSafe(format!(
        "SELECT {API_KEY} FROM api_keys AS k WHERE k.organization_id = $1 AND {condition}"
    ))
}

#[async_trait]
impl ApiKeyStore for Engine {
    async fn api_key(&self, organization: Option<OrganizationId>, key: ApiKeyId) -> Result<Option<ApiKey>> {
        let query = sqlx::query_as(select("k.id = $2"))
            .bind(organization_column(organization))
            .bind(key);
        self.reads.short(organization).await?.optional(query).await
    }

    async fn api_keys(
        &self,
        organization: Option<OrganizationId>,
        page: PageRequest<ApiKeyId>,
    ) -> Result<Vec<ApiKey>> {
        let query = sqlx::query_as(select("($2 IS NULL OR k.id > $2) ORDER BY k.id LIMIT $3"))
            .bind(organization_column(organization))
            .bind(page.after)
            .bind(i64::from(page.limit));
        self.reads.short(organization).await?.all(query).await
    }

    async fn api_key_by_digest(&self, digest: KeyDigest) -> Result<Option<ApiKey>> {
        Ok(self.lookups.find(digest, None).await?.key)
    }
}

#[async_trait]
impl ApiKeyWrites for EngineTransaction<'_> {
    async fn stored_api_key(
        &mut self,
        organization: Option<OrganizationId>,
        key: ApiKeyId,
    ) -> Result<Option<ApiKey>> {
        let query = sqlx::query_as(select("k.id = $2"))
            .bind(organization_column(organization))
            .bind(key);
        self.optional(query).await
    }

    async fn current_public_key(&mut self, organization: OrganizationId) -> Result<Option<ApiKey>> {
        // The condition of the index `api_keys_current_public`.
        let condition = format!(
            "k.revoked_at IS NULL AND k.superseded_at IS NULL
             AND {POSITION}(' ' || k.scopes || ' ', ' public_api ') > 0"
        );
        self.optional(sqlx::query_as(select(&condition)).bind(organization))
            .await
    }

    async fn insert_api_key(&mut self, key: &ApiKey, digest: KeyDigest) -> Result<()> {
        let statement = sqlx::query(INSERT_API_KEY)
            .bind(organization_column(key.organization_id))
            .bind(key.id)
            .bind(digest.as_bytes().to_vec())
            .bind(&key.hint)
            .bind(key.scopes)
            .bind(key.created_at)
            .bind(key.expires_at);
        self.execute_unique(statement, Conflict::PublicKey).await
    }

    async fn save_api_key(&mut self, key: &ApiKey) -> Result<()> {
        let statement = sqlx::query(
            "UPDATE api_keys SET expires_at = $3, superseded_at = $4, revoked_at = $5
             WHERE organization_id = $1 AND id = $2",
        )
        .bind(organization_column(key.organization_id))
        .bind(key.id)
        .bind(key.expires_at)
        .bind(key.superseded_at)
        .bind(key.revoked_at);
        self.execute(statement).await
    }

    async fn revoke_api_keys(&mut self, organization: OrganizationId, at: Timestamp) -> Result<()> {
        let statement = sqlx::query(
            "UPDATE api_keys SET revoked_at = $2 WHERE organization_id = $1 AND revoked_at IS NULL",
        );
        self.execute(statement.bind(organization).bind(at)).await
    }

    async fn record_key_use(
        &mut self,
        organization: Option<OrganizationId>,
        key: ApiKeyId,
        at: Timestamp,
        now: Timestamp,
    ) -> Result<()> {
        let statement = sqlx::query(
            "UPDATE api_keys SET last_used_at = $3
             WHERE organization_id = $1 AND id = $2 AND (last_used_at IS NULL OR last_used_at < $3 OR last_used_at > $4)",
        );
        let statement = statement
            .bind(organization_column(organization))
            .bind(key)
            .bind(at)
            .bind(now.saturating_add(CLOCKS_DIFFER));
        self.execute(statement).await
    }
}
