//! Changes of members: the row, what is found by it, and what is counted.

use std::{iter, sync::LazyLock};

use async_trait::async_trait;
use sqlx::AssertSqlSafe;

use super::{addresses, find, row, texts};
use crate::{
    domain::{
        Change, Conflict, Email, EventKind, ExternalId, HeldAddress, Member, MemberId, MemberNumber,
        MemberRef, OrganizationId, Source, TeamNumber, Timestamp, UserId,
    },
    storage::{
        AddressHolders, LiveLink, MemberWrites, Result, StoreError,
        sqlite::{columns::Statement, dialect::numbers, many::Rows, transaction::SqliteTransaction},
    },
};

/// The ordinal of an organization.
const ORDINAL: &str = "(SELECT ordinal FROM organizations WHERE id = $1)";

/// Takes the next numbers of members, and reads the ordinal of their organization.
const NEXT_NUMBERS: &str =
    "UPDATE organization_counters SET members = members + $2 WHERE organization_id = $1
     RETURNING members - $2 + 1, (SELECT ordinal FROM organizations WHERE id = $1)";

/// Adds a live member to the rows, to the count of its role, and to the search index. With the ordinal of
/// its organization.
fn insert(organization: OrganizationId, member: &Member, ordinal: i64) -> Statement<'static> {
    static INSERT: LazyLock<String> = LazyLock::new(|| {
        let (member, next) = row::insert(&["organization_ordinal"]);
        format!(
            "INSERT INTO member_counts (organization_id, role, live) VALUES ($1, ${next}, 1)
                 ON CONFLICT (organization_id, role) DO UPDATE SET live = live + 1;
             {member};
             {}",
            texts::put(next + 1)
        )
    });
    // Safe: it is put together from constants.
    let statement = sqlx::query(AssertSqlSafe(INSERT.as_str()));
    let statement = row::bind(member, statement.bind(organization))
        .bind(ordinal)
        .bind(row::counted_role(member));
    texts::bind(statement, ordinal, member)
}

#[async_trait]
impl MemberWrites for SqliteTransaction<'_> {
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
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let query = sqlx::query_as(NEXT_NUMBERS).bind(organization).bind(count);
        let (number, ordinal) = self.one(query).await?;
        self.note_ordinal(organization, ordinal);
        Ok(number)
    }

    async fn insert_member(&mut self, organization: OrganizationId, member: &Member) -> Result<()> {
        let ordinal = self.ordinal(organization).await?;
        self.supersede(ordinal, member).await?;
        self.execute_unique(insert(organization, member, ordinal), Conflict::Member)
            .await?;
        self.set_teams(organization, member.number, &[], &member.teams)
            .await
    }

    async fn make_room(&mut self, organization: OrganizationId, member: &Member) -> Result<()> {
        let ordinal = self.ordinal(organization).await?;
        self.supersede(ordinal, member).await
    }

    async fn insert_members(&mut self, organization: OrganizationId, members: &[Member]) -> Result<()> {
        let ordinal = self.ordinal(organization).await?;
        let first = sqlx::query_scalar("SELECT coalesce(max(row), 0) + 1 FROM members");
        let first: i64 = self.value(first).await?;
        let into = Rows {
            table: "members",
            own: &row::inserted(&["row"]),
            common: &["organization_id", "organization_ordinal"],
            together: 250,
        };
        let bind = |place, member: &Member, statement: Statement<'static>| {
            let row = first.saturating_add(i64::try_from(place).unwrap_or(i64::MAX));
            row::bind(member, statement).bind(row)
        };
        let bind_common = |statement: Statement<'static>| statement.bind(organization).bind(ordinal);
        self.insert_many(into, members, bind, bind_common, Some(Conflict::Member))
            .await?;
        texts::replace(self, ordinal, members.iter().map(|member| (None, member))).await?;
        self.count_new(organization, members).await
    }

    async fn save_member(
        &mut self,
        organization: OrganizationId,
        before: &Member,
        after: &Member,
    ) -> Result<()> {
        let takes_a_place = !before.is_live() || before.profile.email != after.profile.email;
        if after.is_live() && takes_a_place {
            let ordinal = self.ordinal(organization).await?;
            self.supersede(ordinal, after).await?;
        }
        let ordinal = self.save_row(organization, after).await?;
        self.count(organization, before, after).await?;
        self.set_teams(organization, after.number, &before.teams, &after.teams)
            .await?;
        texts::replace(self, ordinal, iter::once((Some(before), after))).await
    }

    async fn describe_members(
        &mut self,
        organization: OrganizationId,
        members: &[(Member, Member)],
    ) -> Result<()> {
        let ordinal = self.ordinal(organization).await?;
        for (_, after) in members {
            self.save_row(organization, after).await?;
        }
        let members = members.iter().map(|(before, after)| (Some(before), after));
        texts::replace(self, ordinal, members).await
    }

    async fn touch_members(
        &mut self,
        organization: OrganizationId,
        members: &[MemberNumber],
        fields: &[&'static str],
        change: &Change,
    ) -> Result<()> {
        let statement = sqlx::query(
            "UPDATE members SET version = version + 1, updated_at = $3
                 WHERE organization_id = $1 AND number IN (SELECT value FROM json_each($2));
             UPDATE organization_counters SET events = events + $4 WHERE organization_id = $1;
             INSERT INTO events (organization_id, sequence, kind, member_id, user_id, actor, source, at, fields, client)
                 SELECT $1,
                     (SELECT events FROM organization_counters WHERE organization_id = $1) - $4
                         + row_number() OVER (ORDER BY m.number),
                     $5, m.id, m.user_id, $6, $7, $3, $8, $9
                 FROM members AS m
                 WHERE m.organization_id = $1 AND m.number IN (SELECT value FROM json_each($2))",
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
        let query = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM members WHERE user_id = $1)");
        self.value(query.bind(user)).await
    }

    async fn address_holders(&mut self, email: &Email) -> Result<AddressHolders> {
        let found = self.optional(addresses::holders(email)).await?;
        Ok(found.unwrap_or_default())
    }

    /// Nobody else changes anything meanwhile.
    async fn hold_addresses(&mut self, _emails: &[Email]) -> Result<()> {
        Ok(())
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
        self.execute(statement).await
    }

    async fn remove_former_addresses(
        &mut self,
        organization: OrganizationId,
        member: MemberNumber,
    ) -> Result<()> {
        let statement =
            sqlx::query("DELETE FROM former_addresses WHERE organization_id = $1 AND member = $2");
        self.execute(statement.bind(organization).bind(member)).await
    }
}

impl SqliteTransaction<'_> {
    /// Replaces a member's row, and returns the ordinal of its organization.
    async fn save_row(&mut self, organization: OrganizationId, member: &Member) -> Result<i64> {
        let superseded = if member.is_live() { 0 } else { member.number.0 };
        let update = row::update(organization, member, &["superseded_number"], ORDINAL);
        let written = self.first_unique(update.bind(superseded), Conflict::Member);
        let written: Option<(i64,)> = written.await?;
        let (ordinal,) = written.ok_or_else(|| StoreError::Engine("a member's row is gone".into()))?;
        Ok(ordinal)
    }

    /// Gives a live member the places of those who were revoked and had its user or its address last. Many who are new take
    /// nobody's: nobody has had their users or addresses.
    async fn supersede(&mut self, ordinal: i64, member: &Member) -> Result<()> {
        let statement = sqlx::query(
            "UPDATE members SET superseded_number = number WHERE row IN (
                 SELECT row FROM members
                 WHERE user_id = $2 AND organization_ordinal = $1 AND superseded_number = 0 AND revoked_at IS NOT NULL
                 UNION ALL
                 SELECT row FROM members
                 WHERE sort_email = $3 AND organization_ordinal = $1 AND superseded_number = 0 AND revoked_at IS NOT NULL
             )",
        )
        .bind(ordinal)
        .bind(member.user_id)
        .bind(member.profile.email.clone());
        self.execute(statement).await
    }

    /// Keeps the counts of live members.
    async fn count(&mut self, organization: OrganizationId, before: &Member, after: &Member) -> Result<()> {
        let counted = |member: &Member| member.is_live().then(|| row::counted_role(member));
        let (out, into) = (counted(before), counted(after));
        if out == into {
            return Ok(());
        }
        let statement = sqlx::query(
            "UPDATE member_counts SET live = live - 1 WHERE organization_id = $1 AND role = $2;
             INSERT INTO member_counts (organization_id, role, live) SELECT $1, $3, 1 WHERE $3 IS NOT NULL
                 ON CONFLICT (organization_id, role) DO UPDATE SET live = live + 1",
        );
        self.execute(statement.bind(organization).bind(out).bind(into))
            .await
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
