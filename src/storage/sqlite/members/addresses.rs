//! Addresses across organizations: whom one leads to, and those that members had before.
//!
//! Nothing here tells an organization what another one knows: all that comes of it is the id of a user.

use sqlx::{FromRow, SqliteConnection};

use crate::{
    domain::{
        Email, HeldAddress, MemberEntry, MemberId, MemberNumber, OrganizationId, Page, Timestamp, UserId,
    },
    storage::{
        StoreError,
        sqlite::{
            error::engine,
            row::{time, uuid},
        },
    },
};

/// The user who has an address, or had it last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Holder {
    user: UserId,
    /// A live link has it. Of several users, it is the one whose link has had it longest.
    has_it: bool,
    /// The user has a live link in the organization that asks. Under another address: nobody there has this one.
    is_here: bool,
    /// The user has a live link under another address, anywhere.
    is_elsewhere: bool,
}

impl Holder {
    /// Whom the address leads to in the organization that asks. None: to a new user. A user who is there already is not
    /// linked twice, and one who lives under other addresses by now may have left this one to somebody else.
    pub(super) fn leads_to(self) -> Option<UserId> {
        (!self.is_here && (self.has_it || !self.is_elsewhere)).then_some(self.user)
    }
}

/// The live link that has had the address longest; if none has it, the link that had it last, where links to a deleted
/// organization ended with it. In one organization one link has it at a time, so the last to get it lost it last.
///
/// Of the links that ever had it, one row is read for each organization, however often it has linked and revoked it; of
/// the others, entries of an index.
const HOLDER: &str = "
    SELECT m.user_id,
        m.email IS $1 AND m.revoked_at IS NULL AND o.deleted_at IS NULL AS has_it,
        EXISTS (
            SELECT 1 FROM members AS here
            WHERE here.organization_id = $2 AND here.user_id = m.user_id AND here.revoked_at IS NULL
        ) AS is_here,
        EXISTS (
            SELECT 1
            FROM (SELECT DISTINCT organization_id FROM members WHERE user_id = m.user_id) AS linked
            CROSS JOIN members AS any ON any.organization_id = linked.organization_id
                AND any.user_id = m.user_id AND any.revoked_at IS NULL
                AND any.email <> $1
            CROSS JOIN organizations AS o ON o.id = any.organization_id AND o.deleted_at IS NULL
        ) AS is_elsewhere
    FROM members AS m CROSS JOIN organizations AS o ON o.id = m.organization_id
    WHERE m.row = coalesce(
        (
            SELECT m.row
            FROM (SELECT DISTINCT organization_id FROM members WHERE email = $1) AS has
            CROSS JOIN members AS m
                ON m.organization_id = has.organization_id AND m.email = $1 AND m.revoked_at IS NULL
            CROSS JOIN organizations AS o ON o.id = m.organization_id AND o.deleted_at IS NULL
            ORDER BY m.email_since, m.row LIMIT 1
        ),
        (
            SELECT row FROM (
                SELECT m.row, coalesce(m.revoked_at, o.deleted_at) AS until
                FROM (
                    SELECT row, max(email_since) FROM members WHERE email = $1 GROUP BY organization_id
                ) AS had
                CROSS JOIN members AS m ON m.row = had.row
                CROSS JOIN organizations AS o ON o.id = m.organization_id
                UNION ALL
                SELECT m.row, had.until
                FROM (
                    SELECT organization_id, member, max(until) AS until FROM former_addresses
                    WHERE email = $1 GROUP BY organization_id
                ) AS had
                CROSS JOIN members AS m ON m.organization_id = had.organization_id AND m.number = had.member
            )
            ORDER BY until DESC, row DESC LIMIT 1
        )
    )";

#[derive(FromRow)]
struct HolderRow {
    user_id: Vec<u8>,
    has_it: bool,
    is_here: bool,
    is_elsewhere: bool,
}

/// Who has an address, or had it last. None: nobody of whom anything is known.
pub(super) async fn holder(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    email: &Email,
) -> Result<Option<Holder>, StoreError> {
    let found: Option<HolderRow> = sqlx::query_as(HOLDER)
        .bind(email.as_str())
        .bind(&organization.as_uuid().as_bytes()[..])
        .fetch_optional(connection)
        .await
        .map_err(engine)?;
    found
        .map(|row| {
            Ok(Holder {
                user: UserId::from_uuid(uuid(&row.user_id, "user id")?),
                has_it: row.has_it,
                is_here: row.is_here,
                is_elsewhere: row.is_elsewhere,
            })
        })
        .transpose()
}

/// Whether a change ends a time in which the member had its address: it gets another, or it comes back after it was
/// revoked. A revocation is told by the member itself.
pub(super) fn given_up(before: &MemberEntry, after: &MemberEntry) -> bool {
    before.member.profile.email != after.member.profile.email
        || before.revoked_at.is_some() && after.revoked_at.is_none()
}

/// Keeps the address that a member had until a change.
pub(super) async fn keep(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    before: &MemberEntry,
    after: &MemberEntry,
    at: Timestamp,
) -> Result<(), StoreError> {
    let Some(email) = &before.member.profile.email else {
        return Ok(());
    };
    sqlx::query(
        "INSERT INTO former_addresses (organization_id, member, version, email, since, until)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(&organization.as_uuid().as_bytes()[..])
    .bind(before.number.0)
    .bind(after.version)
    .bind(email.as_str())
    .bind(before.email_since.as_millis())
    .bind(before.revoked_at.unwrap_or(at).as_millis())
    .execute(connection)
    .await
    .map_err(engine)?;
    Ok(())
}

/// Removes the addresses that a member had before.
pub(super) async fn forget(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    member: MemberNumber,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM former_addresses WHERE organization_id = $1 AND member = $2")
        .bind(&organization.as_uuid().as_bytes()[..])
        .bind(member.0)
        .execute(connection)
        .await
        .map_err(engine)?;
    Ok(())
}

/// Those that were given up, with the version without it, and those that are not, with the highest number there is.
const OF_USER: &str = "
    SELECT id, number, version, email, since, until FROM (
        SELECT m.id, m.number, f.version, f.email, f.since, f.until
        FROM members AS m
        CROSS JOIN former_addresses AS f ON f.organization_id = m.organization_id AND f.member = m.number
        WHERE m.user_id = $1 AND m.organization_id = $2
        UNION ALL
        SELECT id, number, 9223372036854775807, email, email_since, revoked_at FROM members
        WHERE user_id = $1 AND organization_id = $2 AND email IS NOT NULL
    )
    WHERE (number, version) > ($3, $4) ORDER BY number, version LIMIT $5";

#[derive(FromRow)]
struct HeldRow {
    id: Vec<u8>,
    number: i64,
    version: i64,
    email: String,
    since: i64,
    until: Option<i64>,
}

/// A page of the addresses that a user's links to an organization have or had.
pub(super) async fn of_user(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    user: UserId,
    page: Page<(MemberNumber, i64)>,
) -> Result<Vec<HeldAddress>, StoreError> {
    let (number, version) = page.after.unwrap_or((MemberNumber(0), 0));
    let rows: Vec<HeldRow> = sqlx::query_as(OF_USER)
        .bind(&user.as_uuid().as_bytes()[..])
        .bind(&organization.as_uuid().as_bytes()[..])
        .bind(number.0)
        .bind(version)
        .bind(page.limit)
        .fetch_all(connection)
        .await
        .map_err(engine)?;
    rows.into_iter()
        .map(|row| {
            Ok(HeldAddress {
                member_id: MemberId::from_uuid(uuid(&row.id, "member id")?),
                number: MemberNumber(row.number),
                version: row.version,
                email: Email::new(row.email).map_err(|_| StoreError::Corrupt("email"))?,
                since: Timestamp::from_millis(row.since),
                until: time(row.until),
            })
        })
        .collect()
}
