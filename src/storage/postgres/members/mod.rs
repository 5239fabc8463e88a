//! Members, and the users behind them.

mod addresses;
mod descriptions;
#[path = "../../sql/members/find.rs"]
mod find;
mod list;
#[path = "../../sql/members/many.rs"]
mod many;
#[path = "../../sql/members/row.rs"]
mod row;
mod search;
mod writes;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use sqlx::AssertSqlSafe;

use super::{PostgresStorage, columns::ORGANIZATION};
use crate::{
    domain::{
        Association, Change, EventKind, HeldAddress, KeyDigest, Member, MemberId, MemberLookup, MemberNumber,
        MemberQuery, MemberRef, OrganizationId, PageRequest, RevokedFilter, Subject, Timestamp, UserId,
    },
    storage::{KeyAndMember, MemberStore, Result, Storage, Transaction},
};

pub(super) use {find::member_with, row::COLUMNS};

/// What a batched revocation does, of one link.
fn revoke_alone<'t>(
    tx: &'t mut dyn Transaction,
    (organization, user, change): &'t (OrganizationId, UserId, Change),
) -> BoxFuture<'t, Result<bool>> {
    Box::pin(async move {
        let found = tx.stored_member(*organization, &MemberRef::UserId(*user)).await?;
        let Some(before) = found.filter(|member| member.profile.portal_role.is_some()) else {
            return Ok(false);
        };
        let mut after = before.clone();
        let (kind, field) = if before.access.role.is_none() {
            after.revoked_at = Some(change.at);
            (EventKind::MemberRevoked, "revoked_at")
        } else {
            after.profile.portal_role = None;
            (EventKind::MemberUpdated, "portal_role")
        };
        after.updated_at = change.at;
        after.version += 1;
        tx.save_member(*organization, &before, &after).await?;
        let subject = Subject::Member(after.id, after.user_id);
        tx.append_event(Some(*organization), kind, subject, &[field], change)
            .await?;
        Ok(true)
    })
}

#[async_trait]
impl MemberStore for PostgresStorage {
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
        if let Some(replica) = &self.replica
            && let Some(listed) = replica
                .read(|reads| list::members(reads, organization, query.clone()))
                .await
        {
            return listed;
        }
        list::members(&self.reads, organization, query).await
    }

    async fn members_counted(
        &self,
        organization: OrganizationId,
        query: MemberQuery,
    ) -> Result<(Vec<Member>, u64)> {
        if let Some(replica) = &self.replica
            && let Some(listed) = replica
                .read(|reads| list::members_counted(reads, organization, query.clone()))
                .await
        {
            return listed;
        }
        list::members_counted(&self.reads, organization, query).await
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
        if self.is_sharded {
            // One statement for many organizations would lock rows on many nodes, which Citus refuses.
            let made = <dyn Storage>::write(self, organization, (organization, user, change), revoke_alone);
            return made.await;
        }
        self.revocations.revoke(organization, user, change).await
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
            "SELECT {ORGANIZATION}, l.member_id, l.role
             FROM links AS l JOIN organizations AS o ON o.id = l.organization_id AND o.deleted_at IS NULL
             WHERE l.user_id = $1 AND ($2 IS NULL OR l.organization_id = $2)
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
        // Each half by an index of its own: the revoked members, and those who were live when their organization was
        // deleted.
        let query = sqlx::query_as(
            "SELECT m.organization_id, m.id FROM organizations AS o
             JOIN members AS m ON m.organization_id = o.id
             WHERE o.retention_days IS NOT NULL AND m.revoked_at <= $1 - o.retention_days * $2
               AND m.revoked_at IS NOT NULL AND m.erased_at IS NULL
             UNION ALL
             SELECT m.organization_id, m.id FROM organizations AS o
             JOIN members AS m ON m.organization_id = o.id
             WHERE o.retention_days IS NOT NULL AND o.deleted_at <= $1 - o.retention_days * $2
               AND m.revoked_at IS NULL AND m.erased_at IS NULL
             ORDER BY 1, 2 LIMIT $3 OFFSET $4",
        )
        .bind(now)
        .bind(DAY)
        .bind(i64::from(limit))
        .bind(i64::from(skip));
        self.reads.long(None).await?.all(query).await
    }
}
