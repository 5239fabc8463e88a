//! Responses that are kept for repeated requests.

use async_trait::async_trait;
use sqlx::AssertSqlSafe;

use super::{Engine, EngineTransaction, dialect::RESPONSE_HAS};
use crate::{
    domain::{IdempotencyKey, KeptResponse, OrganizationId, Timestamp},
    storage::{IdempotencyStore, IdempotencyWrites, Result, values::organization_column},
};

#[async_trait]
impl IdempotencyStore for Engine {
    async fn oldest_response(&self) -> Result<Option<Timestamp>> {
        let query = sqlx::query_as("SELECT at FROM idempotency_keys ORDER BY at LIMIT 1");
        let oldest: Option<(Timestamp,)> = self.reads.short(None).await?.optional(query).await?;
        Ok(oldest.map(|(at,)| at))
    }
}

#[async_trait]
impl IdempotencyWrites for EngineTransaction<'_> {
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
             DO UPDATE SET request = excluded.request, response = excluded.response, at = excluded.at, erased = FALSE",
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
        let sql = format!(
            "UPDATE idempotency_keys SET request = $3, response = $3, erased = TRUE
             WHERE organization_id = $1 AND {RESPONSE_HAS}"
        );
        // Safe: it is put together from constants.
        let statement = sqlx::query(AssertSqlSafe(sql))
            .bind(organization)
            .bind(text)
            .bind(&[] as &[u8]);
        self.execute(statement).await
    }

    async fn remove_responses(&mut self, until: Timestamp, limit: u32) -> Result<u64> {
        let statement = sqlx::query(
            "DELETE FROM idempotency_keys WHERE (organization_id, api_key_id, key) IN (
                 SELECT organization_id, api_key_id, key FROM idempotency_keys WHERE at <= $1 ORDER BY at LIMIT $2
             )",
        );
        self.changed(statement.bind(until).bind(i64::from(limit))).await
    }
}
