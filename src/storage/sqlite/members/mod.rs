//! Members, and the users behind them.

mod addresses;
#[path = "../../sql/members/find.rs"]
mod find;
mod kept;
mod list;
#[path = "../../sql/members/many.rs"]
mod many;
#[path = "../../sql/members/row.rs"]
mod row;
mod search;
mod texts;
mod writes;

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Connection as _};

use super::{SqliteStorage, error::store_error, reads::Reading};
use crate::{
    domain::{
        Association, Change, HeldAddress, KeyDigest, Member, MemberId, MemberLookup, MemberNumber,
        MemberQuery, MemberRef, OrganizationId, PageRequest, RevokedFilter, Timestamp, UserId,
    },
    storage::{
        KeyAndMember, MemberStore, Result,
        sqlite::{columns::ORGANIZATION, dialect::LIVE},
    },
};

pub(super) use {
    find::member_with,
    kept::KeptTexts,
    row::COLUMNS,
    texts::{differences as search_differences, fill as fill_search, is_unfilled as search_is_unfilled},
};

impl SqliteStorage {
    /// Begins a read of an organization: a short one, if it is that.
    async fn read(&self, organization: OrganizationId, is_short: bool) -> Result<Reading> {
        if is_short {
            self.reads.short(Some(organization)).await
        } else {
            self.reads.long(Some(organization)).await
        }
    }
}

#[async_trait]
impl MemberStore for SqliteStorage {
    async fn key_and_member(&self, digest: KeyDigest, lookup: MemberLookup) -> Result<KeyAndMember> {
        self.lookups.find(digest, Some(lookup)).await
    }

    async fn member(&self, organization: OrganizationId, member: &MemberRef) -> Result<Option<Member>> {
        let reading = self.reads.short(Some(organization)).await?;
        reading.optional(find::member(organization, member)).await
    }

    async fn members_by_id(&self, organization: OrganizationId, ids: &[MemberId]) -> Result<Vec<Member>> {
        let query = find::by_id(organization, ids);
        self.reads.short(Some(organization)).await?.all(query).await
    }

    async fn members(&self, organization: OrganizationId, query: MemberQuery) -> Result<Vec<Member>> {
        let mut reading = self.read(organization, query.is_short()).await?;
        let members = list::page(reading.connection()?, &self.texts, organization, query).await?;
        reading.end();
        Ok(members)
    }

    async fn members_counted(
        &self,
        organization: OrganizationId,
        query: MemberQuery,
    ) -> Result<(Vec<Member>, u64)> {
        let is_short = query.is_short() && query.filter.is_of_roles();
        let mut reading = self.read(organization, is_short).await?;
        let mut snapshot = reading.connection()?.begin().await.map_err(store_error)?;
        let counted = list::counted(&mut snapshot, &self.texts, organization, query).await?;
        snapshot.commit().await.map_err(store_error)?;
        reading.end();
        Ok(counted)
    }

    async fn revoked_members(
        &self,
        organization: OrganizationId,
        filter: RevokedFilter,
        page: PageRequest<(Timestamp, MemberNumber)>,
    ) -> Result<Vec<Member>> {
        let reading = if filter.roles.is_empty() {
            self.reads.short(Some(organization)).await?
        } else {
            // All who had another role may be passed over.
            self.reads.long(Some(organization)).await?
        };
        reading.all(list::revoked(organization, &filter, &page)).await
    }

    async fn revoke_user(&self, organization: OrganizationId, user: UserId, change: Change) -> Result<bool> {
        self.writes.revoke(organization, user, change).await
    }

    async fn links_of_user(
        &self,
        organization: OrganizationId,
        user: UserId,
        page: PageRequest<MemberNumber>,
    ) -> Result<Vec<Member>> {
        let query = find::links(organization, user, &page);
        self.reads.short(Some(organization)).await?.all(query).await
    }

    async fn addresses_of_user(
        &self,
        organization: OrganizationId,
        user: UserId,
        page: PageRequest<(MemberNumber, i64)>,
    ) -> Result<Vec<HeldAddress>> {
        let query = addresses::of_user(organization, user, &page);
        self.reads.short(Some(organization)).await?.all(query).await
    }

    async fn associations(&self, user: UserId, only: Option<OrganizationId>) -> Result<Vec<Association>> {
        let sql = format!(
            "SELECT {ORGANIZATION}, m.id AS member_id, m.role
             FROM members AS m CROSS JOIN organizations AS o ON o.id = m.organization_id AND o.deleted_at IS NULL
             WHERE m.user_id = $1 AND {LIVE} AND ($2 IS NULL OR m.organization_id = $2)
             ORDER BY o.slug"
        );
        // Safe: it is put together from constants.
        let query = sqlx::query_as(AssertSqlSafe(sql)).bind(user).bind(only);
        self.reads.short(only).await?.all(query).await
    }

    async fn retention_due(
        &self,
        now: Timestamp,
        limit: u32,
        skip: u32,
    ) -> Result<Vec<(OrganizationId, MemberId)>> {
        const DAY: i64 = 24 * 60 * 60 * 1000;
        // The revoked members, who have an index of their own, and those who were live when their organization was deleted, of
        // whom the counts tell whether there are any.
        let query = sqlx::query_as(
            "SELECT o.id, m.id FROM organizations AS o
             CROSS JOIN members AS m ON m.organization_id = o.id
             WHERE o.retention_days IS NOT NULL AND m.revoked_at <= $1 - o.retention_days * $2
               AND m.revoked_at IS NOT NULL AND m.erased_at IS NULL
             UNION ALL
             SELECT o.id, m.id FROM organizations AS o
             CROSS JOIN members AS m ON m.organization_id = o.id
             WHERE o.retention_days IS NOT NULL AND o.deleted_at <= $1 - o.retention_days * $2
               AND m.revoked_at IS NULL AND m.erased_at IS NULL
               AND EXISTS (SELECT 1 FROM member_counts WHERE organization_id = o.id AND live > 0)
             LIMIT $3 OFFSET $4",
        )
        .bind(now)
        .bind(DAY)
        .bind(limit)
        .bind(skip);
        self.reads.long(None).await?.all(query).await
    }
}
