//! Members, and the users behind them.

mod addresses;
mod change;
mod link;
mod list;
mod row;
mod search;

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Connection as _, QueryBuilder};

use super::{SqliteStorage, answers, error::engine, row::uuid};
use crate::{
    domain::{
        EventKind, HeldAddress, KeyDigest, MemberEntry, MemberId, MemberLookup, MemberNumber, MemberPatch,
        OrganizationId, Page, Role, Timestamp, UserId,
    },
    storage::{
        Answer, Association, Change, Erasure, Found, LinkMember, Linked, MemberFilter, MemberKey,
        MemberQuery, MemberStore, Once, StoreError,
    },
};

pub(super) use {row::MemberRow, search::fill as fill_search};

#[async_trait]
impl MemberStore for SqliteStorage {
    async fn link_member(
        &self,
        organization: OrganizationId,
        link: LinkMember,
        once: Once<Linked>,
        change: Change,
    ) -> Result<Answer<Linked>, StoreError> {
        self.writes
            .submit(move |connection| {
                Box::pin(async move {
                    if let Some(answer) =
                        answers::find(connection, Some(organization), &once, change.at).await?
                    {
                        return Ok(Answer::Repeated(answer));
                    }
                    let linked = link::link(connection, organization, link, &change).await?;
                    answers::keep(connection, Some(organization), &once, &linked, change.at).await?;
                    Ok(Answer::New(linked))
                })
            })
            .await
    }

    async fn key_and_member(&self, digest: KeyDigest, lookup: MemberLookup) -> Result<Found, StoreError> {
        self.lookups.find(digest, Some(lookup)).await
    }

    async fn member(
        &self,
        organization: OrganizationId,
        key: MemberKey,
        include_revoked: bool,
    ) -> Result<Option<MemberEntry>, StoreError> {
        let mut reading = self.reads.short(Some(organization)).await?;
        let found = change::find(reading.connection()?, organization, &key).await?;
        reading.end();
        let entry = found.map(|stored| stored.entry);
        Ok(entry.filter(|entry| include_revoked || entry.revoked_at.is_none()))
    }

    async fn members_by_id(
        &self,
        organization: OrganizationId,
        ids: Vec<MemberId>,
        include_revoked: bool,
    ) -> Result<Vec<MemberEntry>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut sql = QueryBuilder::new("SELECT ");
        sql.push(row::ENTRY_COLUMNS)
            .push(" FROM members AS m WHERE m.organization_id = ");
        sql.push_bind(organization.as_uuid().as_bytes().to_vec())
            .push(" AND m.id IN (");
        let mut list = sql.separated(", ");
        for id in ids {
            list.push_bind(id.as_uuid().as_bytes().to_vec());
        }
        sql.push(")");
        if !include_revoked {
            sql.push(" AND m.revoked_at IS NULL");
        }
        let mut reading = self.reads.short(Some(organization)).await?;
        // Each number of ids is another statement: not worth keeping.
        let rows = sql
            .build()
            .persistent(false)
            .fetch_all(reading.connection()?)
            .await
            .map_err(engine)?;
        reading.end();
        rows.iter()
            .map(|row| row::entry_from_row(row).map(|stored| stored.entry))
            .collect()
    }

    async fn members(
        &self,
        organization: OrganizationId,
        query: MemberQuery,
    ) -> Result<Vec<MemberEntry>, StoreError> {
        let mut reading = if query.is_short() {
            self.reads.short(Some(organization)).await?
        } else {
            self.reads.long(Some(organization)).await?
        };
        let members = list::page(reading.connection()?, organization, query).await?;
        reading.end();
        Ok(members)
    }

    async fn members_counted(
        &self,
        organization: OrganizationId,
        query: MemberQuery,
    ) -> Result<(Vec<MemberEntry>, u64), StoreError> {
        let mut reading = if query.is_short() && query.filter.is_of_roles() {
            self.reads.short(Some(organization)).await?
        } else {
            self.reads.long(Some(organization)).await?
        };
        let mut snapshot = reading.connection()?.begin().await.map_err(engine)?;
        let total = list::count(&mut snapshot, organization, &query.filter).await?;
        let (query, reversed) = query.from_nearer_end(total);
        let mut members = list::page(&mut snapshot, organization, query).await?;
        snapshot.commit().await.map_err(engine)?;
        reading.end();
        if reversed {
            members.reverse();
        }
        Ok((members, total))
    }

    async fn count_members(
        &self,
        organization: OrganizationId,
        filter: MemberFilter,
    ) -> Result<u64, StoreError> {
        let mut reading = if filter.is_of_roles() {
            self.reads.short(Some(organization)).await?
        } else {
            self.reads.long(Some(organization)).await?
        };
        let count = list::count(reading.connection()?, organization, &filter).await?;
        reading.end();
        Ok(count)
    }

    async fn update_member(
        &self,
        organization: OrganizationId,
        member: MemberId,
        patch: MemberPatch,
        version: Option<i64>,
        change: Change,
    ) -> Result<MemberEntry, StoreError> {
        self.writes
            .submit(move |connection| {
                Box::pin(async move {
                    let stored = change::live(connection, organization, member, version).await?;
                    let mut entry = stored.entry.clone();
                    patch.apply(&mut entry);
                    if entry == stored.entry {
                        return Ok(entry);
                    }
                    let kind = EventKind::MemberUpdated;
                    Ok(
                        change::save(connection, organization, &stored, entry, kind, &change)
                            .await?
                            .0,
                    )
                })
            })
            .await
    }

    async fn revoke_user(
        &self,
        organization: OrganizationId,
        user: UserId,
        change: Change,
    ) -> Result<bool, StoreError> {
        self.writes.revoke(organization, user, change).await
    }

    async fn revoke_member(
        &self,
        organization: OrganizationId,
        member: MemberId,
        version: Option<i64>,
        change: Change,
    ) -> Result<MemberEntry, StoreError> {
        self.writes
            .submit(move |connection| {
                Box::pin(async move {
                    let stored = change::live(connection, organization, member, version).await?;
                    let entry = MemberEntry {
                        revoked_at: Some(change.at),
                        ..stored.entry.clone()
                    };
                    let kind = EventKind::MemberRevoked;
                    Ok(
                        change::save(connection, organization, &stored, entry, kind, &change)
                            .await?
                            .0,
                    )
                })
            })
            .await
    }

    async fn restore_member(
        &self,
        organization: OrganizationId,
        member: MemberId,
        change: Change,
    ) -> Result<MemberEntry, StoreError> {
        self.writes
            .submit(move |connection| {
                Box::pin(async move { change::restore(connection, organization, member, &change).await })
            })
            .await
    }

    async fn erase_member(
        &self,
        organization: OrganizationId,
        member: MemberId,
        change: Change,
    ) -> Result<Erasure, StoreError> {
        let erasure = self
            .writes
            .submit(move |connection| {
                Box::pin(async move { change::erase(connection, organization, member, &change).await })
            })
            .await?;
        // What was overwritten in the file is still in the write-ahead log until it is emptied.
        self.checkpoints.empty().await;
        Ok(erasure)
    }

    async fn links_of_user(
        &self,
        organization: OrganizationId,
        user: UserId,
        page: Page<MemberNumber>,
    ) -> Result<Vec<MemberEntry>, StoreError> {
        let sql = format!(
            "SELECT {} FROM members AS m WHERE m.user_id = $1 AND m.organization_id = $2 AND m.number > $3
             ORDER BY m.number LIMIT $4",
            row::ENTRY_COLUMNS
        );
        let mut reading = self.reads.short(Some(organization)).await?;
        // Safe: it is put together from constants.
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(&user.as_uuid().as_bytes()[..])
            .bind(&organization.as_uuid().as_bytes()[..])
            .bind(page.after.map_or(0, |number| number.0))
            .bind(page.limit)
            .fetch_all(reading.connection()?)
            .await
            .map_err(engine)?;
        reading.end();
        rows.iter()
            .map(|row| row::entry_from_row(row).map(|stored| stored.entry))
            .collect()
    }

    async fn addresses_of_user(
        &self,
        organization: OrganizationId,
        user: UserId,
        page: Page<(MemberNumber, i64)>,
    ) -> Result<Vec<HeldAddress>, StoreError> {
        let mut reading = self.reads.short(Some(organization)).await?;
        let found = addresses::of_user(reading.connection()?, organization, user, page).await?;
        reading.end();
        Ok(found)
    }

    async fn associations(
        &self,
        user: UserId,
        only: Option<OrganizationId>,
    ) -> Result<Vec<Association>, StoreError> {
        let mut reading = self.reads.short(only).await?;
        let links: Vec<(Vec<u8>, Vec<u8>, Option<String>)> = sqlx::query_as(
            "SELECT m.organization_id, m.id, m.role FROM members AS m
             WHERE m.user_id = $1 AND m.revoked_at IS NULL AND ($2 IS NULL OR m.organization_id = $2)",
        )
        .bind(&user.as_uuid().as_bytes()[..])
        .bind(only.as_ref().map(|id| &id.as_uuid().as_bytes()[..]))
        .fetch_all(reading.connection()?)
        .await
        .map_err(engine)?;
        reading.end();
        let mut associations = Vec::with_capacity(links.len());
        for (organization, member, role) in links {
            let organization = OrganizationId::from_uuid(uuid(&organization, "organization id")?);
            let role = role.map(|name| name.parse::<Role>()).transpose();
            // None: the organization is deleted.
            if let Some(organization) =
                crate::storage::OrganizationStore::organization(self, organization).await?
            {
                associations.push(Association {
                    organization,
                    member_id: MemberId::from_uuid(uuid(&member, "member id")?),
                    role: role.map_err(|_| StoreError::Corrupt("role"))?,
                });
            }
        }
        associations.sort_by(|one, other| one.organization.slug.cmp(&other.organization.slug));
        Ok(associations)
    }

    async fn record_seen(&self, seen: Vec<(OrganizationId, MemberId, Timestamp)>) -> Result<(), StoreError> {
        self.writes
            .submit(move |connection| {
                Box::pin(async move {
                    for (organization, member, at) in seen {
                        sqlx::query(
                            "UPDATE members SET last_seen_at = $3
                             WHERE organization_id = $1 AND id = $2 AND revoked_at IS NULL
                               AND (last_seen_at IS NULL OR last_seen_at < $3)",
                        )
                        .bind(&organization.as_uuid().as_bytes()[..])
                        .bind(&member.as_uuid().as_bytes()[..])
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

    async fn retention_due(
        &self,
        now: Timestamp,
        limit: u32,
        skip: u32,
    ) -> Result<Vec<(OrganizationId, MemberId)>, StoreError> {
        const DAY: i64 = 24 * 60 * 60 * 1000;
        let mut reading = self.reads.long(None).await?;
        // Each half by an index of its own: the revoked members, and those who were live when their organization was
        // deleted.
        let due: Vec<(Vec<u8>, Vec<u8>)> = sqlx::query_as(
            "SELECT o.id, m.id FROM organizations AS o
             CROSS JOIN members AS m ON m.organization_id = o.id
             WHERE o.retention_days IS NOT NULL AND m.revoked_at <= $1 - o.retention_days * $2
               AND m.revoked_at IS NOT NULL AND m.erased_at IS NULL
             UNION ALL
             SELECT o.id, m.id FROM organizations AS o
             CROSS JOIN members AS m ON m.organization_id = o.id
             WHERE o.retention_days IS NOT NULL AND o.deleted_at <= $1 - o.retention_days * $2
               AND m.revoked_at IS NULL AND m.erased_at IS NULL
             LIMIT $3 OFFSET $4",
        )
        .bind(now.as_millis())
        .bind(DAY)
        .bind(limit)
        .bind(skip)
        .fetch_all(reading.connection()?)
        .await
        .map_err(engine)?;
        reading.end();
        due.into_iter()
            .map(|(organization, member)| {
                let organization = OrganizationId::from_uuid(uuid(&organization, "organization id")?);
                Ok((organization, MemberId::from_uuid(uuid(&member, "member id")?)))
            })
            .collect()
    }
}
