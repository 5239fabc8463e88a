//! Organizations.

use async_trait::async_trait;
use sqlx::AssertSqlSafe;

use super::{
    Engine, EngineTransaction,
    columns::{ORGANIZATION, Statement},
    dialect::INSERT_ORGANIZATION,
};
use crate::{
    domain::{Conflict, Organization, OrganizationId, PageRequest, Slug},
    storage::{OrganizationStore, OrganizationWrites, Result},
};

/// Those of which something holds, as a statement.
fn select(condition: &str) -> AssertSqlSafe<String> {
    // Safe: it is put together from constants.
    AssertSqlSafe(format!(
        "SELECT {ORGANIZATION} FROM organizations AS o WHERE {condition}"
    ))
}

/// In the order of the statements' parameters.
fn bind<'q>(organization: &Organization, statement: Statement<'q>) -> Statement<'q> {
    let branding = &organization.branding;
    statement
        .bind(organization.id)
        .bind(organization.slug.clone())
        .bind(organization.name.clone())
        .bind(organization.default_role)
        .bind(organization.retention_days.map(i64::from))
        .bind(organization.created_at)
        .bind(organization.deleted_at)
        .bind(branding.name.clone())
        .bind(branding.logo_url.clone())
        .bind(branding.sender.clone())
        .bind(branding.locale.clone())
}

#[async_trait]
impl OrganizationStore for Engine {
    async fn organization(&self, organization: OrganizationId) -> Result<Option<Organization>> {
        let query = sqlx::query_as(select("o.id = $1 AND o.deleted_at IS NULL")).bind(organization);
        self.reads.short(Some(organization)).await?.optional(query).await
    }

    async fn organization_by_slug(&self, slug: &Slug) -> Result<Option<Organization>> {
        let query = sqlx::query_as(select("o.slug = $1 AND o.deleted_at IS NULL")).bind(slug);
        self.reads.short(None).await?.optional(query).await
    }

    async fn organizations(&self, page: PageRequest<Slug>) -> Result<Vec<Organization>> {
        let condition = "o.deleted_at IS NULL AND o.slug > $1 ORDER BY o.slug LIMIT $2";
        let query = sqlx::query_as(select(condition))
            .bind(page.after.map(String::from).unwrap_or_default())
            .bind(i64::from(page.limit));
        self.reads.short(None).await?.all(query).await
    }
}

#[async_trait]
impl OrganizationWrites for EngineTransaction<'_> {
    async fn stored_organization(&mut self, organization: OrganizationId) -> Result<Option<Organization>> {
        let query = sqlx::query_as(select("o.id = $1"));
        self.optional(query.bind(organization)).await
    }

    async fn insert_organization(&mut self, organization: &Organization) -> Result<()> {
        let statement = bind(organization, sqlx::query(INSERT_ORGANIZATION));
        self.execute_unique(statement, Conflict::Slug).await?;
        let counters = sqlx::query("INSERT INTO organization_counters (organization_id) VALUES ($1)");
        self.execute(counters.bind(organization.id)).await
    }

    async fn save_organization(&mut self, organization: &Organization) -> Result<()> {
        let statement = sqlx::query(
            "UPDATE organizations SET slug = $2, name = $3, default_role = $4, retention_days = $5, deleted_at = $7,
                 brand_name = $8, brand_logo_url = $9, brand_sender = $10, brand_locale = $11
             WHERE id = $1",
        );
        self.execute_unique(bind(organization, statement), Conflict::Slug)
            .await
    }
}
