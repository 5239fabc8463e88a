//! Organizations.

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Row as _, SqliteConnection, sqlite::SqliteRow};

use super::{
    SqliteStorage, answers,
    error::{engine, unique},
    events::{self, Subject},
    row::{owner, uuid},
};
use crate::{
    domain::{EventKind, Organization, OrganizationId, OrganizationName, Page, Slug, TeamNumber, Timestamp},
    storage::{Answer, Change, Conflict, Missing, Once, OrganizationPatch, OrganizationStore, StoreError},
};

/// The columns that [`organization_from_row`] reads, of `organizations AS o`.
pub(super) const ORGANIZATION_COLUMNS: &str =
    "o.id, o.slug, o.name, o.default_role, o.retention_days, o.created_at";

/// The organization whose columns begin at `first`.
pub(super) fn organization_from_row(row: &SqliteRow, first: usize) -> Result<Organization, StoreError> {
    let slug: String = row.try_get(first + 1).map_err(engine)?;
    let name: String = row.try_get(first + 2).map_err(engine)?;
    let role: &str = row.try_get(first + 3).map_err(engine)?;
    let days: Option<i64> = row.try_get(first + 4).map_err(engine)?;
    Ok(Organization {
        id: OrganizationId::from_uuid(uuid(row.try_get(first).map_err(engine)?, "organization id")?),
        slug: Slug::new(slug).map_err(|_| StoreError::Corrupt("slug"))?,
        name: OrganizationName::new(name).map_err(|_| StoreError::Corrupt("organization name"))?,
        default_role: role.parse().map_err(|_| StoreError::Corrupt("default role"))?,
        retention_days: days
            .map(u16::try_from)
            .transpose()
            .map_err(|_| StoreError::Corrupt("retention time"))?,
        created_at: Timestamp::from_millis(row.try_get(first + 5).map_err(engine)?),
    })
}

#[async_trait]
impl OrganizationStore for SqliteStorage {
    async fn create_organization(
        &self,
        organization: Organization,
        once: Once<Organization>,
        change: Change,
    ) -> Result<Answer<Organization>, StoreError> {
        self.writes
            .submit(move |connection| {
                Box::pin(async move {
                    if let Some(answer) = answers::find(connection, None, &once, change.at).await? {
                        return Ok(Answer::Repeated(answer));
                    }
                    insert(connection, &organization).await?;
                    let (id, kind) = (Some(organization.id), EventKind::OrganizationCreated);
                    events::append(
                        connection,
                        id,
                        kind,
                        Subject::Organization,
                        &["slug", "name"],
                        &change,
                    )
                    .await?;
                    answers::keep(connection, None, &once, &organization, change.at).await?;
                    Ok(Answer::New(organization))
                })
            })
            .await
    }

    async fn organization(&self, organization: OrganizationId) -> Result<Option<Organization>, StoreError> {
        let sql = format!(
            "SELECT {ORGANIZATION_COLUMNS} FROM organizations AS o WHERE o.id = $1 AND o.deleted_at IS NULL"
        );
        let mut reading = self.reads.short(Some(organization)).await?;
        // Safe: it is put together from constants.
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(&owner(Some(organization))[..])
            .fetch_optional(reading.connection()?)
            .await
            .map_err(engine)?;
        reading.end();
        row.map(|row| organization_from_row(&row, 0)).transpose()
    }

    async fn organization_by_slug(&self, slug: &Slug) -> Result<Option<Organization>, StoreError> {
        let sql = format!(
            "SELECT {ORGANIZATION_COLUMNS} FROM organizations AS o WHERE o.slug = $1 AND o.deleted_at IS NULL"
        );
        let mut reading = self.reads.short(None).await?;
        // Safe: it is put together from constants.
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(slug.as_str())
            .fetch_optional(reading.connection()?)
            .await
            .map_err(engine)?;
        reading.end();
        row.map(|row| organization_from_row(&row, 0)).transpose()
    }

    async fn organizations(&self, page: Page<Slug>) -> Result<Vec<Organization>, StoreError> {
        let sql = format!(
            "SELECT {ORGANIZATION_COLUMNS} FROM organizations AS o
             WHERE o.deleted_at IS NULL AND o.slug > $1 ORDER BY o.slug LIMIT $2"
        );
        let mut reading = self.reads.short(None).await?;
        // Safe: it is put together from constants.
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(page.after.map(String::from).unwrap_or_default())
            .bind(page.limit)
            .fetch_all(reading.connection()?)
            .await
            .map_err(engine)?;
        reading.end();
        rows.iter().map(|row| organization_from_row(row, 0)).collect()
    }

    async fn update_organization(
        &self,
        organization: OrganizationId,
        patch: OrganizationPatch,
        change: Change,
    ) -> Result<Organization, StoreError> {
        self.writes
            .submit(move |connection| Box::pin(update(connection, organization, patch, change)))
            .await
    }

    async fn delete_organization(
        &self,
        organization: OrganizationId,
        change: Change,
    ) -> Result<bool, StoreError> {
        self.writes
            .submit(move |connection| {
                Box::pin(async move {
                    let id = owner(Some(organization));
                    let at = change.at.as_millis();
                    let deleted =
                        sqlx::query("UPDATE organizations SET deleted_at = $2 WHERE id = $1 AND deleted_at IS NULL")
                            .bind(&id[..])
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
                    .bind(&id[..])
                    .bind(at)
                    .execute(&mut *connection)
                    .await
                    .map_err(engine)?;
                    let (id, kind) = (Some(organization), EventKind::OrganizationDeleted);
                    events::append(connection, id, kind, Subject::Organization, &["deleted_at"], &change).await?;
                    Ok(true)
                })
            })
            .await
    }
}

/// Adds an organization and its root team.
async fn insert(connection: &mut SqliteConnection, organization: &Organization) -> Result<(), StoreError> {
    let id = owner(Some(organization.id));
    sqlx::query(
        "INSERT INTO organizations (id, slug, name, default_role, retention_days, created_at, ordinal)
         SELECT $1, $2, $3, $4, $5, $6, coalesce(max(ordinal), 0) + 1 FROM organizations",
    )
    .bind(&id[..])
    .bind(organization.slug.as_str())
    .bind(organization.name.as_str())
    .bind(organization.default_role.as_str())
    .bind(organization.retention_days)
    .bind(organization.created_at.as_millis())
    .execute(&mut *connection)
    .await
    .map_err(|error| unique(error, Conflict::Slug))?;
    sqlx::query("INSERT INTO teams (organization_id, number, key, name, created_at) VALUES ($1, $2, 'root', 'Root', $3)")
        .bind(&id[..])
        .bind(TeamNumber::ROOT.0)
        .bind(organization.created_at.as_millis())
        .execute(connection)
        .await
        .map_err(engine)?;
    Ok(())
}

async fn update(
    connection: &mut SqliteConnection,
    id: OrganizationId,
    patch: OrganizationPatch,
    change: Change,
) -> Result<Organization, StoreError> {
    let sql = format!(
        "SELECT {ORGANIZATION_COLUMNS} FROM organizations AS o WHERE o.id = $1 AND o.deleted_at IS NULL"
    );
    // Safe: it is put together from constants.
    let row = sqlx::query(AssertSqlSafe(sql))
        .bind(&owner(Some(id))[..])
        .fetch_optional(&mut *connection)
        .await
        .map_err(engine)?
        .ok_or(Missing::Organization)?;
    let mut organization = organization_from_row(&row, 0)?;
    let fields = patch.apply(&mut organization);
    if fields.is_empty() {
        return Ok(organization);
    }
    sqlx::query(
        "UPDATE organizations SET slug = $2, name = $3, default_role = $4, retention_days = $5 WHERE id = $1",
    )
    .bind(&owner(Some(id))[..])
    .bind(organization.slug.as_str())
    .bind(organization.name.as_str())
    .bind(organization.default_role.as_str())
    .bind(organization.retention_days)
    .execute(&mut *connection)
    .await
    .map_err(|error| unique(error, Conflict::Slug))?;
    let kind = EventKind::OrganizationUpdated;
    events::append(
        connection,
        Some(id),
        kind,
        Subject::Organization,
        &fields,
        &change,
    )
    .await?;
    Ok(organization)
}
