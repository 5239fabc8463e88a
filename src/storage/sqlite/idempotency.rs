//! Responses that are kept for repeated requests.

use async_trait::async_trait;

use super::{SqliteStorage, transaction::SqliteTransaction};
use crate::{
    domain::{IdempotencyKey, KeptResponse, OrganizationId, Timestamp},
    storage::{IdempotencyStore, IdempotencyWrites, Result, values::organization_column},
};

#[async_trait]
impl IdempotencyStore for SqliteStorage {
    async fn oldest_response(&self) -> Result<Option<Timestamp>> {
        let query = sqlx::query_as("SELECT at FROM idempotency_keys ORDER BY at LIMIT 1");
        let oldest: Option<(Timestamp,)> = self.reads.short(None).await?.optional(query).await?;
        Ok(oldest.map(|(at,)| at))
    }
}

#[async_trait]
impl IdempotencyWrites for SqliteTransaction<'_> {
    async fn kept_response(
        &mut self,
        organization: Option<OrganizationId>,
        key: &IdempotencyKey,
    ) -> Result<Option<KeptResponse>> {
        let query = sqlx::query_as(
            "SELECT request, response, erased, at FROM idempotency_keys
             WHERE organization_id = $1 AND api_key_id = $2 AND key = $3",
        )
        .bind(organization_column(organization))
        .bind(key.api_key)
        .bind(&key.key);
        self.optional(query).await
    }

    async fn keep_response(
        &mut self,
        organization: Option<OrganizationId>,
        key: &IdempotencyKey,
        response: &[u8],
        at: Timestamp,
    ) -> Result<()> {
        let statement = sqlx::query(
            "INSERT INTO idempotency_keys (organization_id, api_key_id, key, request, response, at)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (organization_id, api_key_id, key)
             DO UPDATE SET request = excluded.request, response = excluded.response, at = excluded.at, erased = 0",
        )
        .bind(organization_column(organization))
        .bind(key.api_key)
        .bind(&key.key)
        .bind(key.request.to_vec())
        .bind(response)
        .bind(at);
        self.execute(statement).await
    }

    async fn erase_responses(&mut self, organization: OrganizationId, text: &str) -> Result<()> {
        let statement = sqlx::query(
            "UPDATE idempotency_keys SET request = x'', response = x'', erased = 1
             WHERE organization_id = $1 AND instr(response, CAST($2 AS BLOB)) > 0",
        );
        self.execute(statement.bind(organization).bind(text)).await
    }

    async fn remove_responses(&mut self, until: Timestamp, limit: u32) -> Result<u64> {
        let statement = sqlx::query(
            "DELETE FROM idempotency_keys WHERE (organization_id, api_key_id, key) IN (
                 SELECT organization_id, api_key_id, key FROM idempotency_keys WHERE at <= $1 ORDER BY at LIMIT $2
             )",
        );
        self.changed(statement.bind(until).bind(limit)).await
    }
}
