//! Changes of members: the row, what it is found by, and what is counted.

use std::slice;

use async_trait::async_trait;
use sqlx::AssertSqlSafe;

use super::{addresses, descriptions, find, row, search};
use crate::{
    domain::{
        Change, Conflict, Email, EventKind, ExternalId, HeldAddress, Member, MemberId, MemberNumber,
        MemberRef, OrganizationId, Source, TeamNumber, Timestamp, UserId,
    },
    storage::{
        AddressHolders, LiveLink, MemberWrites, Result, StoreError,
        postgres::{columns::Binds as _, dialect::numbers, many::Rows, transaction::PostgresTransaction},
    },
};

/// From so many new members on, four times as many as otherwise are put into the index of searches together: each takes less then. Those
/// that wait at the end are put there by whoever comes next, in a quarter of a second at most by reckoning.
const MANY: usize = 1_000;
const SEARCHED_LATER: &str = "SET LOCAL gin_pending_list_limit = '16MB'";

fn gone() -> StoreError {
    StoreError::Engine("a member's row is gone".into())
}

#[async_trait]
impl MemberWrites for PostgresTransaction<'_> {
    async fn stored_member(
        &mut self,
        organization: OrganizationId,
        member: &MemberRef,
    ) -> Result<Option<Member>> {
        self.optional(find::member(organization, member)).await
    }

    async fn members_by_email(
        &mut self,
        organization: OrganizationId,
        emails: &[Email],
    ) -> Result<Vec<Member>> {
        self.rows(find::by_email(organization, emails)).await
    }

    async fn members_by_external_id(
        &mut self,
        organization: OrganizationId,
        source: &Source,
        ids: &[ExternalId],
    ) -> Result<Vec<Member>> {
        self.rows(find::by_external_id(organization, source, ids)).await
    }

    async fn live_numbers(
        &mut self,
        organization: OrganizationId,
        members: &[MemberId],
    ) -> Result<Vec<MemberNumber>> {
        self.all(find::live_numbers(organization, members)).await
    }

    async fn has_other_owner(&mut self, organization: OrganizationId, besides: MemberNumber) -> Result<bool> {
        self.value(find::other_owner(organization, besides)).await
    }

    async fn has_owner(&mut self, organization: OrganizationId, members: &[MemberNumber]) -> Result<bool> {
        self.value(find::owner_among(organization, members)).await
    }

    async fn next_member_numbers(
        &mut self,
        organization: OrganizationId,
        count: usize,
    ) -> Result<MemberNumber> {
        let query = sqlx::query_scalar(
            "UPDATE organization_counters SET members = members + $2 WHERE organization_id = $1
             RETURNING members - $2 + 1",
        );
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let first = self.value(query.bind(organization).bind(count)).await?;
        self.note_growth(first, count);
        Ok(first)
    }

    async fn insert_member(&mut self, organization: OrganizationId, member: &Member) -> Result<()> {
        let user = sqlx::query("INSERT INTO users (id, created_at) VALUES ($1, $2) ON CONFLICT DO NOTHING");
        self.execute(user.bind(member.user_id).bind(member.created_at))
            .await?;
        // Safe: it is put together from constants.
        let statement = sqlx::query(AssertSqlSafe(row::insert(&search::COLUMNS).0));
        let statement = search::bind(member, row::bind(member, statement.bind(organization)));
        self.execute_unique(statement, Conflict::Member).await?;
        self.count(organization, None, member).await?;
        self.follow(organization, None, member).await?;
        self.set_teams(organization, member.number, &[], &member.teams)
            .await
    }

    /// Its indexes have live links alone.
    async fn make_room(&mut self, _organization: OrganizationId, _member: &Member) -> Result<()> {
        Ok(())
    }

    async fn insert_members(&mut self, organization: OrganizationId, members: &[Member]) -> Result<()> {
        if members.len() >= MANY {
            self.execute(sqlx::query(SEARCHED_LATER)).await?;
        }
        let ids = members.iter().map(|member| *member.user_id.as_uuid());
        let times = members.iter().map(|member| member.created_at.as_millis());
        let users = sqlx::query(
            "INSERT INTO users (id, created_at) SELECT * FROM unnest($1::uuid[], $2::bigint[]) ON CONFLICT DO NOTHING",
        )
        .bind(ids.collect::<Vec<_>>())
        .bind(times.collect::<Vec<_>>());
        self.execute(users).await?;
        let mut columns = row::inserted(&search::COLUMNS);
        columns.push("organization_id");
        let bind = |member: &Member, row: &mut Rows| {
            search::bind(member, row::bind(member, row)).bind(organization);
        };
        self.insert_many("members", &columns, members.iter(), bind, Conflict::Member)
            .await?;
        self.follow_new(organization, members).await?;
        self.count_new(organization, members).await
    }

    async fn save_member(
        &mut self,
        organization: OrganizationId,
        before: &Member,
        after: &Member,
    ) -> Result<()> {
        let statement = row::update(organization, after, &search::COLUMNS, "number");
        let statement = search::bind(after, statement);
        let written: Option<(MemberNumber,)> = self.first_unique(statement, Conflict::Member).await?;
        written.ok_or_else(gone)?;
        self.count(organization, Some(before), after).await?;
        self.set_teams(organization, after.number, &before.teams, &after.teams)
            .await?;
        self.follow(organization, Some(before), after).await
    }

    async fn describe_members(
        &mut self,
        organization: OrganizationId,
        members: &[(Member, Member)],
    ) -> Result<()> {
        let statement = descriptions::update(organization, members);
        let changed = self.changed(statement).await?;
        if changed == members.len() as u64 {
            Ok(())
        } else {
            Err(gone())
        }
    }

    async fn touch_members(
        &mut self,
        organization: OrganizationId,
        members: &[MemberNumber],
        fields: &[&'static str],
        change: &Change,
    ) -> Result<()> {
        let statement = sqlx::query(
            "WITH touched AS (
                 UPDATE members SET version = version + 1, updated_at = $3
                     WHERE organization_id = $1 AND number = ANY ($2) RETURNING number, id, user_id
             ), counted AS (
                 UPDATE organization_counters SET events = events + $4 WHERE organization_id = $1 RETURNING events
             )
             INSERT INTO events (organization_id, sequence, kind, member_id, user_id, actor, source, at, fields, client)
                 SELECT $1, c.events - $4 + row_number() OVER (ORDER BY t.number),
                     $5, t.id, t.user_id, $6, $7, $3, $8, $9
                 FROM touched AS t CROSS JOIN counted AS c",
        )
        .bind(organization)
        .bind(numbers(members))
        .bind(change.at)
        .bind(i64::try_from(members.len()).unwrap_or(i64::MAX))
        .bind(EventKind::MemberUpdated)
        .bind(change.actor)
        .bind(&change.source)
        .bind(fields.join(" "))
        .bind(&change.client);
        self.execute(statement).await
    }

    async fn record_seen(
        &mut self,
        organization: OrganizationId,
        member: MemberId,
        at: Timestamp,
        now: Timestamp,
    ) -> Result<()> {
        let statement = find::record_seen(organization, member, at, now);
        self.execute(statement).await
    }

    async fn user_exists(&mut self, user: UserId) -> Result<bool> {
        let query = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM users WHERE id = $1)");
        self.value(query.bind(user)).await
    }

    async fn address_holders(&mut self, email: &Email) -> Result<AddressHolders> {
        self.execute(addresses::lock(slice::from_ref(email))).await?;
        self.one(addresses::holders(email)).await
    }

    async fn hold_addresses(&mut self, emails: &[Email]) -> Result<()> {
        self.execute(addresses::lock(emails)).await
    }

    async fn linked_addresses(&mut self, emails: &[Email]) -> Result<Vec<Email>> {
        self.all(addresses::linked(emails)).await
    }

    async fn live_links(&mut self, user: UserId) -> Result<Vec<LiveLink>> {
        self.rows(addresses::live_links(user)).await
    }

    async fn keep_former_address(
        &mut self,
        organization: OrganizationId,
        address: &HeldAddress,
    ) -> Result<()> {
        let statement = sqlx::query(
            "INSERT INTO former_addresses (organization_id, member, version, email, since, until)
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(organization)
        .bind(address.number)
        .bind(address.version)
        .bind(&address.email)
        .bind(address.since)
        .bind(address.until);
        self.execute(statement).await?;
        let user =
            sqlx::query_scalar("SELECT user_id FROM members WHERE organization_id = $1 AND number = $2");
        let user: UserId = self.value(user.bind(organization).bind(address.number)).await?;
        let statement = sqlx::query(
            "INSERT INTO addresses (organization_id, member, version, email, since, until, member_id, user_id)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(organization)
        .bind(address.number)
        .bind(address.version)
        .bind(&address.email)
        .bind(address.since)
        .bind(address.until)
        .bind(address.member_id)
        .bind(user);
        self.execute(statement).await
    }

    async fn remove_former_addresses(
        &mut self,
        organization: OrganizationId,
        member: MemberNumber,
    ) -> Result<()> {
        let query = sqlx::query_scalar(
            "DELETE FROM former_addresses WHERE organization_id = $1 AND member = $2 RETURNING email",
        );
        let emails: Vec<Email> = self.all(query.bind(organization).bind(member)).await?;
        for email in emails {
            let statement = sqlx::query(
                "DELETE FROM addresses
                 WHERE email = $1 AND organization_id = $2 AND member = $3 AND version <> 0",
            );
            self.execute(statement.bind(email).bind(organization).bind(member))
                .await?;
        }
        Ok(())
    }
}

impl PostgresTransaction<'_> {
    /// Keeps the counts of live members.
    async fn count(
        &mut self,
        organization: OrganizationId,
        before: Option<&Member>,
        after: &Member,
    ) -> Result<()> {
        let counted =
            |member: Option<&Member>| member.filter(|member| member.is_live()).map(row::counted_role);
        let (out, into) = (counted(before), counted(Some(after)));
        if out == into {
            return Ok(());
        }
        if let Some(role) = out {
            let statement = sqlx::query(
                "UPDATE member_counts SET live = live - 1 WHERE organization_id = $1 AND role = $2",
            );
            self.execute(statement.bind(organization).bind(role)).await?;
        }
        if let Some(role) = into {
            let statement = sqlx::query(
                "INSERT INTO member_counts (organization_id, role, live) VALUES ($1, $2, 1)
                     ON CONFLICT (organization_id, role) DO UPDATE SET live = member_counts.live + 1",
            );
            self.execute(statement.bind(organization).bind(role)).await?;
        }
        Ok(())
    }

    /// Puts a member into teams and takes it out of others. Both lists are ascending.
    async fn set_teams(
        &mut self,
        organization: OrganizationId,
        member: MemberNumber,
        before: &[TeamNumber],
        after: &[TeamNumber],
    ) -> Result<()> {
        use crate::storage::TeamWrites as _;
        for team in before.iter().filter(|team| !after.contains(team)) {
            self.take_out_of_team(organization, *team, &[member]).await?;
        }
        for team in after.iter().filter(|team| !before.contains(team)) {
            self.put_in_team(organization, *team, &[member]).await?;
        }
        Ok(())
    }
}
