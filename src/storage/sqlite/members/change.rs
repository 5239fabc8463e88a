//! Changes of a member: read it, change it, write all of it back, in one transaction with its event.

use sqlx::{AssertSqlSafe, SqliteConnection};

use super::{
    addresses,
    row::{ENTRY_COLUMNS, Stored, entry_from_row},
    search,
};
use crate::{
    domain::{
        Access, Actor, AuthMethod, AvatarUrl, CompanyName, CustomerStatus, DisplayName, Email, EventKind,
        ExternalId, MemberEntry, MemberId, MemberNumber, OrganizationId, PortalRole, Profile, Role, Source,
        TeamNumber, Timestamp,
    },
    storage::{
        Change, Conflict, Erasure, MemberKey, Missing, Precondition, StoreError,
        sqlite::{
            answers,
            error::{engine, unique},
            events::{self, Subject},
        },
    },
};

/// The member that a key names, revoked ones too where the key can name them.
pub(super) async fn find<'e>(
    executor: impl sqlx::SqliteExecutor<'e>,
    organization: OrganizationId,
    key: &MemberKey,
) -> Result<Option<Stored>, StoreError> {
    let property = match key {
        MemberKey::Id(_) => "m.id = $2",
        MemberKey::Number(_) => "m.number = $2",
        MemberKey::UserId(_) => "m.user_id = $2 AND m.revoked_at IS NULL",
        MemberKey::Email(_) => "m.email = $2 AND m.revoked_at IS NULL",
        MemberKey::ExternalId(..) => "m.source = $2 AND m.external_id = $3 AND m.revoked_at IS NULL",
    };
    let sql = format!("SELECT {ENTRY_COLUMNS} FROM members AS m WHERE m.organization_id = $1 AND {property}");
    // Safe: it is put together from constants.
    let query = sqlx::query(AssertSqlSafe(sql)).bind(&organization.as_uuid().as_bytes()[..]);
    let query = match key {
        MemberKey::Id(id) => query.bind(&id.as_uuid().as_bytes()[..]),
        MemberKey::Number(MemberNumber(number)) => query.bind(number),
        MemberKey::UserId(id) => query.bind(&id.as_uuid().as_bytes()[..]),
        MemberKey::Email(email) => query.bind(email.as_str()),
        MemberKey::ExternalId(source, id) => query.bind(source.as_str()).bind(id.as_str()),
    };
    let row = query.fetch_optional(executor).await.map_err(engine)?;
    row.as_ref().map(entry_from_row).transpose()
}

/// The live member with this id, if it has this version.
pub(super) async fn live(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    id: MemberId,
    version: Option<i64>,
) -> Result<Stored, StoreError> {
    let stored = find(&mut *connection, organization, &MemberKey::Id(id)).await?;
    let stored = stored
        .filter(|stored| stored.entry.revoked_at.is_none())
        .ok_or(Missing::Member)?;
    if version.is_some_and(|version| version != stored.entry.version) {
        return Err(StoreError::VersionMismatch);
    }
    Ok(stored)
}

/// Writes a changed member back, with its event, and returns it and the event's number.
pub(super) async fn save(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    before: &Stored,
    mut after: MemberEntry,
    kind: EventKind,
    change: &Change,
) -> Result<(MemberEntry, i64), StoreError> {
    after.version = before.entry.version + 1;
    after.updated_at = change.at;
    if is_acting_owner(&before.entry) && !is_acting_owner(&after) {
        require_other_owner(connection, organization, after.number).await?;
    }
    if after.revoked_at.is_none() && !after.has_facet() {
        return Err(Precondition::LastFacet.into());
    }
    if after.erased_at.is_some() {
        addresses::forget(connection, organization, after.number).await?;
    } else if addresses::given_up(&before.entry, &after) {
        addresses::keep(connection, organization, &before.entry, &after, change.at).await?;
        after.email_since = change.at;
    }
    if after.primary_team != before.entry.primary_team {
        require_team(connection, organization, after.primary_team).await?;
    }
    update(connection, organization, &after).await?;
    if after.teams != before.entry.teams {
        set_teams(
            connection,
            organization,
            after.number,
            &before.entry.teams,
            &after.teams,
        )
        .await?;
    }
    let (old, new) = (&before.entry.member.profile, &after.member.profile);
    if after.erased_at.is_some() {
        search::remove(connection, before.row).await?;
    } else if old.name != new.name || old.email != new.email {
        let ordinal = ordinal(connection, organization).await?;
        search::put(connection, ordinal, before.row, &after).await?;
    }
    let subject = Subject::Member(after.member.id, after.member.user_id);
    let fields = MemberEntry::changes(Some(&before.entry), &after);
    let sequence = events::append(connection, Some(organization), kind, subject, &fields, change).await?;
    Ok((after, sequence))
}

/// Makes a revoked member live again.
pub(super) async fn restore(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    id: MemberId,
    change: &Change,
) -> Result<MemberEntry, StoreError> {
    let stored = find(&mut *connection, organization, &MemberKey::Id(id))
        .await?
        .ok_or(Missing::Member)?;
    let revoked_at = stored.entry.revoked_at.ok_or(Precondition::MemberNotRevoked)?;
    if stored.entry.erased_at.is_some() {
        return Err(Precondition::MemberErased.into());
    }
    let retention_days = retention_days(connection, organization).await?;
    if retention_days.is_some_and(|days| retention_end(revoked_at, days) <= change.at) {
        return Err(Precondition::RetentionPassed.into());
    }
    let entry = MemberEntry {
        revoked_at: None,
        ..stored.entry.clone()
    };
    let kind = EventKind::MemberRestored;
    Ok(save(connection, organization, &stored, entry, kind, change)
        .await?
        .0)
}

/// Removes a member's personal data.
pub(super) async fn erase(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    id: MemberId,
    change: &Change,
) -> Result<Erasure, StoreError> {
    let mut stored = find(&mut *connection, organization, &MemberKey::Id(id))
        .await?
        .ok_or(Missing::Member)?;
    if let Some(at) = stored.entry.erased_at {
        return Ok(Erasure {
            at,
            sequence: erased_in(connection, organization, &stored.entry).await?,
        });
    }
    // It was found due some moments ago. By now it may be restored, or the time be longer.
    if change.actor == Actor::Retention && !is_due(connection, organization, &stored.entry, change.at).await?
    {
        return Err(Missing::Member.into());
    }
    if stored.entry.revoked_at.is_none() {
        let entry = MemberEntry {
            revoked_at: Some(change.at),
            ..stored.entry.clone()
        };
        let kind = EventKind::MemberRevoked;
        stored.entry = save(connection, organization, &stored, entry, kind, change)
            .await?
            .0;
    }
    let mut entry = stored.entry.clone();
    entry.member.profile = Profile::default();
    entry.access = Access::default();
    entry.origin.external_id = None;
    entry.teams = Vec::new();
    entry.primary_team = TeamNumber::ROOT;
    entry.last_seen_at = None;
    entry.erased_at = Some(change.at);
    let kind = EventKind::MemberErased;
    let (_, sequence) = save(connection, organization, &stored, entry, kind, change).await?;
    // Kept answers may show the member.
    answers::forget(connection, organization, &id.to_string()).await?;
    Ok(Erasure {
        at: change.at,
        sequence,
    })
}

/// Whether a member's retention time has passed. It begins with the end of the link, or of the organization.
async fn is_due(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    entry: &MemberEntry,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let (days, deleted_at): (Option<u16>, Option<i64>) =
        sqlx::query_as("SELECT retention_days, deleted_at FROM organizations WHERE id = $1")
            .bind(&organization.as_uuid().as_bytes()[..])
            .fetch_one(connection)
            .await
            .map_err(engine)?;
    let ended_at = entry.revoked_at.or(deleted_at.map(Timestamp::from_millis));
    Ok(ended_at
        .zip(days)
        .is_some_and(|(ended_at, days)| retention_end(ended_at, days) <= now))
}

async fn retention_days(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
) -> Result<Option<u16>, StoreError> {
    sqlx::query_scalar("SELECT retention_days FROM organizations WHERE id = $1 AND deleted_at IS NULL")
        .bind(&organization.as_uuid().as_bytes()[..])
        .fetch_optional(connection)
        .await
        .map_err(engine)?
        .ok_or(StoreError::NotFound(Missing::Organization))
}

/// When a member that was revoked at a moment can't be restored any more.
pub(super) fn retention_end(revoked_at: Timestamp, days: u16) -> Timestamp {
    revoked_at.saturating_add(std::time::Duration::from_hours(24 * u64::from(days)))
}

/// The organization's number in the search index.
pub(super) async fn ordinal(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
) -> Result<i64, StoreError> {
    sqlx::query_scalar("SELECT ordinal FROM organizations WHERE id = $1")
        .bind(&organization.as_uuid().as_bytes()[..])
        .fetch_one(connection)
        .await
        .map_err(engine)
}

/// Puts a member into teams and takes it out of others. Both lists are ascending.
pub(super) async fn set_teams(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    member: MemberNumber,
    before: &[TeamNumber],
    after: &[TeamNumber],
) -> Result<(), StoreError> {
    for team in before.iter().filter(|team| !after.contains(team)) {
        sqlx::query("DELETE FROM team_members WHERE organization_id = $1 AND team = $2 AND member = $3")
            .bind(&organization.as_uuid().as_bytes()[..])
            .bind(team.0)
            .bind(member.0)
            .execute(&mut *connection)
            .await
            .map_err(engine)?;
    }
    for team in after.iter().filter(|team| !before.contains(team)) {
        require_team(connection, organization, *team).await?;
        sqlx::query("INSERT INTO team_members (organization_id, team, member) VALUES ($1, $2, $3)")
            .bind(&organization.as_uuid().as_bytes()[..])
            .bind(team.0)
            .bind(member.0)
            .execute(&mut *connection)
            .await
            .map_err(engine)?;
    }
    Ok(())
}

/// That the organization has the team.
pub(super) async fn require_team(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    team: TeamNumber,
) -> Result<(), StoreError> {
    let found: i64 =
        sqlx::query_scalar("SELECT count(*) FROM teams WHERE organization_id = $1 AND number = $2")
            .bind(&organization.as_uuid().as_bytes()[..])
            .bind(team.0)
            .fetch_one(connection)
            .await
            .map_err(engine)?;
    if found == 0 {
        Err(Missing::Team.into())
    } else {
        Ok(())
    }
}

fn is_acting_owner(entry: &MemberEntry) -> bool {
    entry.revoked_at.is_none() && entry.access.is_enabled_owner()
}

async fn require_other_owner(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    member: MemberNumber,
) -> Result<(), StoreError> {
    let other: Option<i64> = sqlx::query_scalar(
        "SELECT number FROM members
         WHERE organization_id = $1 AND role = $2 AND role IS NOT NULL AND revoked_at IS NULL AND enabled = 1
           AND number <> $3
         LIMIT 1",
    )
    .bind(&organization.as_uuid().as_bytes()[..])
    .bind(Role::Owner.as_str())
    .bind(member.0)
    .fetch_optional(&mut *connection)
    .await
    .map_err(engine)?;
    if other.is_some() || is_deleted(connection, organization).await? {
        Ok(())
    } else {
        Err(Precondition::LastOwner.into())
    }
}

async fn is_deleted(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
) -> Result<bool, StoreError> {
    sqlx::query_scalar("SELECT deleted_at IS NOT NULL FROM organizations WHERE id = $1")
        .bind(&organization.as_uuid().as_bytes()[..])
        .fetch_one(connection)
        .await
        .map_err(engine)
}

async fn update(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    entry: &MemberEntry,
) -> Result<(), StoreError> {
    let profile = &entry.member.profile;
    let updated = sqlx::query(
        "UPDATE members SET
             email = $3, name = $4, avatar_url = $5, portal_role = $6, company_name = $7, customer_status = $8,
             role = $9, enabled = $10, auth_method = $11, source = $12, external_id = $13, primary_team = $14,
             updated_at = $15, last_seen_at = $16, revoked_at = $17, erased_at = $18, version = $19, email_since = $20
         WHERE organization_id = $1 AND number = $2",
    )
    .bind(&organization.as_uuid().as_bytes()[..])
    .bind(entry.number.0)
    .bind(profile.email.as_ref().map(Email::as_str))
    .bind(profile.name.as_ref().map(DisplayName::as_str))
    .bind(profile.avatar_url.as_ref().map(AvatarUrl::as_str))
    .bind(profile.portal_role.as_ref().map(PortalRole::as_str))
    .bind(profile.company_name.as_ref().map(CompanyName::as_str))
    .bind(profile.customer_status.as_ref().map(CustomerStatus::as_str))
    .bind(entry.access.role.map(Role::as_str))
    .bind(entry.access.enabled)
    .bind(entry.access.auth_method.map(AuthMethod::as_str))
    .bind(Source::as_str(&entry.origin.source))
    .bind(entry.origin.external_id.as_ref().map(ExternalId::as_str))
    .bind(entry.primary_team.0)
    .bind(entry.updated_at.as_millis())
    .bind(entry.last_seen_at.map(Timestamp::as_millis))
    .bind(entry.revoked_at.map(Timestamp::as_millis))
    .bind(entry.erased_at.map(Timestamp::as_millis))
    .bind(entry.version)
    .bind(entry.email_since.as_millis())
    .execute(connection)
    .await
    .map_err(|error| unique(error, Conflict::Member))?;
    if updated.rows_affected() == 1 {
        Ok(())
    } else {
        Err(Missing::Member.into())
    }
}

async fn erased_in(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    entry: &MemberEntry,
) -> Result<i64, StoreError> {
    sqlx::query_scalar(
        "SELECT max(sequence) FROM events
         WHERE organization_id = $1 AND user_id = $2 AND member_id = $3 AND kind = $4",
    )
    .bind(&organization.as_uuid().as_bytes()[..])
    .bind(&entry.member.user_id.as_uuid().as_bytes()[..])
    .bind(&entry.member.id.as_uuid().as_bytes()[..])
    .bind(EventKind::MemberErased.as_str())
    .fetch_one(connection)
    .await
    .map_err(engine)
}
