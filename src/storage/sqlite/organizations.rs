//! Organizations.

use async_trait::async_trait;
use sqlx::FromRow;

use super::{
    SqliteStorage,
    error::{engine, unique},
    events::{self, Subject},
    row::uuid,
};
use crate::{
    domain::{EventKind, Organization, OrganizationId, OrganizationName, Page, Slug, Timestamp},
    storage::{Change, Conflict, OrganizationStore, StoreError},
};

#[derive(FromRow)]
struct OrganizationRow {
    id: Vec<u8>,
    slug: String,
    name: String,
    created_at: i64,
}

impl TryFrom<OrganizationRow> for Organization {
    type Error = StoreError;

    fn try_from(row: OrganizationRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: OrganizationId::from_uuid(uuid(&row.id, "organization id")?),
            slug: Slug::new(row.slug).map_err(|_| StoreError::Corrupt("slug"))?,
            name: OrganizationName::new(row.name).map_err(|_| StoreError::Corrupt("organization name"))?,
            created_at: Timestamp::from_millis(row.created_at),
        })
    }
}

#[async_trait]
impl OrganizationStore for SqliteStorage {
    async fn create_organization(
        &self,
        organization: Organization,
        change: Change,
    ) -> Result<(), StoreError> {
        self.writes
            .submit(move |connection| {
                Box::pin(async move {
                    sqlx::query(
                        "INSERT INTO organizations (id, slug, name, created_at) VALUES ($1, $2, $3, $4)",
                    )
                    .bind(&organization.id.as_uuid().as_bytes()[..])
                    .bind(organization.slug.as_str())
                    .bind(organization.name.as_str())
                    .bind(organization.created_at.as_millis())
                    .execute(&mut *connection)
                    .await
                    .map_err(|error| unique(error, Conflict::Slug))?;
                    let kind = EventKind::OrganizationCreated;
                    events::append(
                        connection,
                        organization.id,
                        kind,
                        Subject::Organization,
                        &["slug", "name"],
                        change,
                    )
                    .await
                })
            })
            .await
    }

    async fn organization(&self, organization: OrganizationId) -> Result<Option<Organization>, StoreError> {
        sqlx::query_as::<_, OrganizationRow>(
            "SELECT id, slug, name, created_at FROM organizations WHERE id = $1 AND deleted_at IS NULL",
        )
        .bind(&organization.as_uuid().as_bytes()[..])
        .fetch_optional(&self.reads)
        .await
        .map_err(engine)?
        .map(TryInto::try_into)
        .transpose()
    }

    async fn organization_by_slug(&self, slug: &Slug) -> Result<Option<Organization>, StoreError> {
        sqlx::query_as::<_, OrganizationRow>(
            "SELECT id, slug, name, created_at FROM organizations WHERE slug = $1 AND deleted_at IS NULL",
        )
        .bind(slug.as_str())
        .fetch_optional(&self.reads)
        .await
        .map_err(engine)?
        .map(TryInto::try_into)
        .transpose()
    }

    async fn organizations(&self, page: Page<Slug>) -> Result<Vec<Organization>, StoreError> {
        sqlx::query_as::<_, OrganizationRow>(
            "SELECT id, slug, name, created_at FROM organizations
             WHERE deleted_at IS NULL AND slug > $1 ORDER BY slug LIMIT $2",
        )
        .bind(page.after.map(String::from).unwrap_or_default())
        .bind(page.limit)
        .fetch_all(&self.reads)
        .await
        .map_err(engine)?
        .into_iter()
        .map(TryInto::try_into)
        .collect()
    }

    async fn delete_organization(
        &self,
        organization: OrganizationId,
        change: Change,
    ) -> Result<bool, StoreError> {
        self.writes
            .submit(move |connection| {
                Box::pin(async move {
                    let id = &organization.as_uuid().as_bytes()[..];
                    let at = change.at.as_millis();
                    let deleted =
                        sqlx::query("UPDATE organizations SET deleted_at = $2 WHERE id = $1 AND deleted_at IS NULL")
                            .bind(id)
                            .bind(at)
                            .execute(&mut *connection)
                            .await
                            .map_err(engine)?;
                    if deleted.rows_affected() == 0 {
                        return Ok(false);
                    }
                    // A dead organization has no live key: so nothing else need ask whether it lives.
                    sqlx::query(
                        "UPDATE api_keys SET revoked_at = $2 WHERE organization_id = $1 AND revoked_at IS NULL",
                    )
                    .bind(id)
                    .bind(at)
                    .execute(&mut *connection)
                    .await
                    .map_err(engine)?;
                    let kind = EventKind::OrganizationDeleted;
                    events::append(connection, organization, kind, Subject::Organization, &["deleted_at"], change)
                        .await?;
                    Ok(true)
                })
            })
            .await
    }
}
