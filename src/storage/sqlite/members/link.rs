//! Linking: find the live link that is there, or make one.

use sqlx::SqliteConnection;

use super::{
    change::{find, require_team, save, set_teams},
    row::Stored,
    search,
};
use crate::{
    domain::{
        Access, AuthMethod, AvatarUrl, CompanyName, CustomerStatus, DisplayName, Email, EventKind,
        ExternalId, Member, MemberEntry, MemberNumber, OrganizationId, Profile, Role, TeamNumber, UserId,
    },
    storage::{
        Change, Conflict, LinkMember, LinkOutcome, Linked, MemberKey, Missing, StoreError,
        sqlite::{
            error::{engine, unique},
            events::{self, Subject},
            row::uuid,
        },
    },
};

/// Links a user, or finds and updates the link that is there.
pub(super) async fn link(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    link: LinkMember,
    change: &Change,
) -> Result<Linked, StoreError> {
    match existing(connection, organization, &link).await? {
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

async fn refresh(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    stored: Stored,
    link: LinkMember,
    change: &Change,
) -> Result<Linked, StoreError> {
    let mut entry = stored.entry.clone();
    let mut fields = link.values.apply(&mut entry);
    // An external id means nothing without its source. One of the same source replaces the old; a member without any
    // takes both; otherwise the member stays with the source that it has.
    let same_source = link.origin.source == entry.origin.source;
    let new_id = link.origin.external_id.is_some() && link.origin.external_id != entry.origin.external_id;
    if new_id && (same_source || entry.origin.external_id.is_none()) {
        if !same_source {
            fields.push("source");
        }
        fields.push("external_id");
        entry.origin = link.origin;
    }
    if fields.is_empty() {
        return Ok(Linked {
            entry,
            outcome: LinkOutcome::Found,
        });
    }
    let event = (EventKind::MemberUpdated, &fields[..]);
    let (entry, _) = save(connection, organization, &stored, entry, event, change).await?;
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
    let user_id = find_or_add_user(connection, &link, email.as_ref(), change).await?;
    let mut entry = MemberEntry {
        member: Member {
            id: link.id,
            user_id,
            profile: Profile::default(),
            created_at: change.at,
        },
        number,
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
    let mut fields = link.values.apply(&mut entry);
    fields.push("source");
    if entry.origin.external_id.is_some() {
        fields.push("external_id");
    }
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
        &fields,
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

/// The user to link: the one who is named, the one whom the address belongs to, or a new one.
async fn find_or_add_user(
    connection: &mut SqliteConnection,
    link: &LinkMember,
    email: Option<&Email>,
    change: &Change,
) -> Result<UserId, StoreError> {
    let email = email.map(Email::as_str);
    let query = if let Some(id) = &link.user_id {
        sqlx::query_scalar("SELECT id FROM users WHERE id = $1").bind(&id.as_uuid().as_bytes()[..])
    } else {
        sqlx::query_scalar("SELECT id FROM users WHERE email = $1").bind(email)
    };
    let found: Option<Vec<u8>> = query.fetch_optional(&mut *connection).await.map_err(engine)?;
    match found {
        Some(id) => Ok(UserId::from_uuid(uuid(&id, "user id")?)),
        None if link.user_id.is_some() => Err(Missing::User.into()),
        None => {
            sqlx::query("INSERT INTO users (id, email, created_at) VALUES ($1, $2, $3)")
                .bind(&link.new_user_id.as_uuid().as_bytes()[..])
                .bind(email)
                .bind(change.at.as_millis())
                .execute(connection)
                .await
                .map_err(engine)?;
            Ok(link.new_user_id)
        }
    }
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
                              primary_team, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)",
    )
    .bind(&organization.as_uuid().as_bytes()[..])
    .bind(&entry.member.id.as_uuid().as_bytes()[..])
    .bind(&entry.member.user_id.as_uuid().as_bytes()[..])
    .bind(profile.email.as_ref().map(Email::as_str))
    .bind(profile.name.as_ref().map(DisplayName::as_str))
    .bind(profile.avatar_url.as_ref().map(AvatarUrl::as_str))
    .bind(profile.portal_role.as_str())
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
    .execute(connection)
    .await
    .map_err(|error| unique(error, Conflict::Member))?;
    Ok(inserted.last_insert_rowid())
}
