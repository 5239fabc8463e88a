//! Linking: find the live link that is there, or make one.

use sqlx::SqliteConnection;

use super::{
    addresses::{self, Holder},
    change::{find, require_team, save, set_teams},
    row::Stored,
    search,
};
use crate::{
    domain::{
        Access, AuthMethod, AvatarUrl, CompanyName, CustomerStatus, DisplayName, Email, EventKind,
        ExternalId, Member, MemberEntry, MemberNumber, OrganizationId, PortalRole, Profile, Role, TeamNumber,
        UserId,
    },
    storage::{
        Change, Conflict, LinkMember, LinkOutcome, Linked, MemberKey, Missing, StoreError,
        sqlite::{
            error::{engine, unique},
            events::{self, Subject},
        },
    },
};

/// Links a user, or finds and updates the link that is there.
pub(super) async fn link(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    mut link: LinkMember,
    change: &Change,
) -> Result<Linked, StoreError> {
    let existing = existing(connection, organization, &link).await?;
    if link.staff && link.values.role.flatten().is_none() {
        let role = match existing.as_ref().and_then(|stored| stored.entry.access.role) {
            Some(role) => role,
            None => default_role(connection, organization).await?,
        };
        link.values.role = Some(Some(role));
    }
    match existing {
        Some(stored) if link.only_without_role && stored.entry.access.role.is_some() => {
            Err(Conflict::Member.into())
        }
        Some(stored) => refresh(connection, organization, stored, link, change).await,
        None => create(connection, organization, link, change).await,
    }
}

async fn existing(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    link: &LinkMember,
) -> Result<Option<Stored>, StoreError> {
    let mut keys = Vec::with_capacity(3);
    if let Some(user) = link.user_id {
        keys.push(MemberKey::UserId(user));
    }
    if let Some(id) = &link.origin.external_id {
        keys.push(MemberKey::ExternalId(link.origin.source.clone(), id.clone()));
    }
    if let Some(Some(email)) = &link.values.email {
        keys.push(MemberKey::Email(email.clone()));
    }
    for key in keys {
        let found = find(&mut *connection, organization, &key).await?;
        // A link of another user than the one who is named is no link of this user.
        let found = found.filter(|stored| {
            link.user_id
                .is_none_or(|user| user == stored.entry.member.user_id)
        });
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The role of staff for whom none is given.
async fn default_role(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
) -> Result<Role, StoreError> {
    let role: Option<String> =
        sqlx::query_scalar("SELECT default_role FROM organizations WHERE id = $1 AND deleted_at IS NULL")
            .bind(&organization.as_uuid().as_bytes()[..])
            .fetch_optional(connection)
            .await
            .map_err(engine)?;
    let role = role.ok_or(Missing::Organization)?;
    role.parse().map_err(|_| StoreError::Corrupt("default role"))
}

async fn refresh(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    stored: Stored,
    link: LinkMember,
    change: &Change,
) -> Result<Linked, StoreError> {
    let mut entry = stored.entry.clone();
    link.values.or_end_user(&entry).apply(&mut entry);
    // The source of a member is what linked it first, and its external id means nothing without it. So a source alone
    // changes nothing; an external id replaces one of the same source; and a member without any takes both.
    let same_source = link.origin.source == entry.origin.source;
    if link.origin.external_id.is_some() && (same_source || entry.origin.external_id.is_none()) {
        entry.origin = link.origin;
    }
    if entry == stored.entry {
        return Ok(Linked {
            entry,
            outcome: LinkOutcome::Found,
        });
    }
    let kind = EventKind::MemberUpdated;
    let (entry, _) = save(connection, organization, &stored, entry, kind, change).await?;
    Ok(Linked {
        entry,
        outcome: LinkOutcome::Updated,
    })
}

async fn create(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    link: LinkMember,
    change: &Change,
) -> Result<Linked, StoreError> {
    let (number, ordinal) = next_number(connection, organization).await?;
    let email = link.values.email.clone().flatten();
    let user_id = find_or_add_user(connection, organization, &link, email.as_ref(), change).await?;
    let mut entry = MemberEntry {
        member: Member {
            id: link.id,
            user_id,
            profile: Profile::default(),
            created_at: change.at,
        },
        number,
        email_since: change.at,
        access: Access::default(),
        origin: link.origin,
        teams: Vec::new(),
        primary_team: TeamNumber::ROOT,
        updated_at: change.at,
        last_seen_at: None,
        revoked_at: None,
        erased_at: None,
        version: 1,
    };
    link.values.or_end_user(&entry).apply(&mut entry);
    require_team(connection, organization, entry.primary_team).await?;
    let row = insert(connection, organization, &entry).await?;
    set_teams(connection, organization, number, &[], &entry.teams).await?;
    search::put(connection, ordinal, row, &entry).await?;
    let subject = Subject::Member(entry.member.id, user_id);
    events::append(
        connection,
        Some(organization),
        EventKind::MemberLinked,
        subject,
        &MemberEntry::changes(None, &entry),
        change,
    )
    .await?;
    Ok(Linked {
        entry,
        outcome: LinkOutcome::Created,
    })
}

async fn next_number(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
) -> Result<(MemberNumber, i64), StoreError> {
    let row: Option<(i64, i64)> = sqlx::query_as(
        "UPDATE organizations SET last_member_number = last_member_number + 1
         WHERE id = $1 AND deleted_at IS NULL RETURNING last_member_number, ordinal",
    )
    .bind(&organization.as_uuid().as_bytes()[..])
    .fetch_optional(connection)
    .await
    .map_err(engine)?;
    let (number, ordinal) = row.ok_or(Missing::Organization)?;
    Ok((MemberNumber(number), ordinal))
}

/// The user to link: the one who is named, the one whom the address leads to, or a new one.
async fn find_or_add_user(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    link: &LinkMember,
    email: Option<&Email>,
    change: &Change,
) -> Result<UserId, StoreError> {
    if let Some(user) = link.user_id {
        let found: Option<i64> = sqlx::query_scalar("SELECT 1 FROM users WHERE id = $1")
            .bind(&user.as_uuid().as_bytes()[..])
            .fetch_optional(connection)
            .await
            .map_err(engine)?;
        return found.map(|_| user).ok_or(Missing::User.into());
    }
    if let Some(email) = email {
        let holder = addresses::holder(connection, organization, email).await?;
        if let Some(user) = holder.and_then(Holder::leads_to) {
            return Ok(user);
        }
    }
    sqlx::query("INSERT INTO users (id, created_at) VALUES ($1, $2)")
        .bind(&link.new_user_id.as_uuid().as_bytes()[..])
        .bind(change.at.as_millis())
        .execute(connection)
        .await
        .map_err(engine)?;
    Ok(link.new_user_id)
}

/// Adds the row and returns its number.
async fn insert(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    entry: &MemberEntry,
) -> Result<i64, StoreError> {
    let profile = &entry.member.profile;
    let inserted = sqlx::query(
        "INSERT INTO members (organization_id, id, user_id, email, name, avatar_url, portal_role, company_name,
                              customer_status, created_at, number, role, enabled, auth_method, source, external_id,
                              primary_team, updated_at, email_since)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)",
    )
    .bind(&organization.as_uuid().as_bytes()[..])
    .bind(&entry.member.id.as_uuid().as_bytes()[..])
    .bind(&entry.member.user_id.as_uuid().as_bytes()[..])
    .bind(profile.email.as_ref().map(Email::as_str))
    .bind(profile.name.as_ref().map(DisplayName::as_str))
    .bind(profile.avatar_url.as_ref().map(AvatarUrl::as_str))
    .bind(profile.portal_role.as_ref().map(PortalRole::as_str))
    .bind(profile.company_name.as_ref().map(CompanyName::as_str))
    .bind(profile.customer_status.as_ref().map(CustomerStatus::as_str))
    .bind(entry.member.created_at.as_millis())
    .bind(entry.number.0)
    .bind(entry.access.role.map(Role::as_str))
    .bind(entry.access.enabled)
    .bind(entry.access.auth_method.map(AuthMethod::as_str))
    .bind(entry.origin.source.as_str())
    .bind(entry.origin.external_id.as_ref().map(ExternalId::as_str))
    .bind(entry.primary_team.0)
    .bind(entry.updated_at.as_millis())
    .bind(entry.email_since.as_millis())
    .execute(connection)
    .await
    .map_err(|error| unique(error, Conflict::Member))?;
    Ok(inserted.last_insert_rowid())
}
