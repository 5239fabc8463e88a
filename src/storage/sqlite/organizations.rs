//! Organizations.

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, FromRow, Row as _, sqlite::SqliteRow};

use super::{
    SqliteStorage,
    columns::{ORGANIZATION, Statement},
    transaction::SqliteTransaction,
};
use crate::{
    domain::{Conflict, Organization, OrganizationId, PageRequest, Slug},
    storage::{OrganizationStore, OrganizationWrites, Result},
};

/// Those of which something holds, as a statement.
fn select(condition: &str) -> AssertSqlSafe<String> {
    // Safe: it is put together from constants.
    AssertSqlSafe(format!(
        "SELECT {ORGANIZATION}, o.ordinal FROM organizations AS o WHERE {condition}"
    ))
}

/// An organization and its number in the search index.
struct Numbered(Organization, i64);

impl FromRow<'_, SqliteRow> for Numbered {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self(Organization::from_row(row)?, row.try_get("ordinal")?))
    }
}

/// In the order of the statements' parameters.
fn bind<'q>(organization: &Organization, statement: Statement<'q>) -> Statement<'q> {
    let branding = &organization.branding;
    statement
        .bind(organization.id)
        .bind(organization.slug.clone())
        .bind(organization.name.clone())
        .bind(organization.default_role)
        .bind(organization.retention_days)
        .bind(organization.created_at)
        .bind(organization.deleted_at)
        .bind(branding.name.clone())
        .bind(branding.logo_url.clone())
        .bind(branding.sender.clone())
        .bind(branding.locale.clone())
}

#[async_trait]
impl OrganizationStore for SqliteStorage {
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
            .bind(page.limit);
        self.reads.short(None).await?.all(query).await
    }
}

#[async_trait]
impl OrganizationWrites for SqliteTransaction<'_> {
    async fn stored_organization(&mut self, organization: OrganizationId) -> Result<Option<Organization>> {
        let found = self
            .optional(sqlx::query_as(select("o.id = $1")).bind(organization))
            .await?;
        Ok(found.map(|Numbered(found, ordinal)| {
            self.note_ordinal(organization, ordinal);
            found
        }))
    }

    async fn insert_organization(&mut self, organization: &Organization) -> Result<()> {
        let statement = sqlx::query(
            "INSERT INTO organizations (id, slug, name, default_role, retention_days, created_at, deleted_at,
                                        brand_name, brand_logo_url, brand_sender, brand_locale, ordinal)
             SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, coalesce(max(ordinal), 0) + 1 FROM organizations;
             INSERT INTO organization_counters (organization_id) VALUES ($1)",
        );
        self.execute_unique(bind(organization, statement), Conflict::Slug)
            .await
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
