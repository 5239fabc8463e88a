//! Rows to members.

use sqlx::{Row as _, sqlite::SqliteRow};

use crate::{
    domain::{
        Access, AuthMethod, AvatarUrl, CompanyName, CustomerStatus, DisplayName, Email, ExternalId, Member,
        MemberEntry, MemberId, MemberNumber, Origin, PortalRole, Profile, Role, Source, TeamNumber,
        Timestamp, UserId,
    },
    storage::{
        StoreError,
        sqlite::{
            error::engine,
            row::{text, time, uuid},
        },
    },
};

/// The columns that [`entry_from_row`] reads, of `members AS m`.
pub(super) const ENTRY_COLUMNS: &str = "m.id, m.user_id, m.email, m.name, m.avatar_url, m.portal_role, \
     m.company_name, m.customer_status, m.created_at, m.row, m.number, m.role, m.enabled, m.auth_method, m.source, \
     m.external_id, m.primary_team, m.updated_at, m.last_seen_at, m.revoked_at, m.erased_at, m.version, \
     (SELECT group_concat(t.team, ' ' ORDER BY t.team) FROM team_members AS t \
      WHERE t.organization_id = m.organization_id AND t.member = m.number)";

/// A member and the row that it is in.
pub(super) struct Stored {
    pub(super) row: i64,
    pub(super) entry: MemberEntry,
}

/// The member in a row of [`ENTRY_COLUMNS`].
fn member_from_row(row: &SqliteRow) -> Result<Member, StoreError> {
    let column = |index: usize| row.try_get::<Option<String>, _>(index).map_err(engine);
    Ok(Member {
        id: MemberId::from_uuid(uuid(row.try_get(0).map_err(engine)?, "member id")?),
        user_id: UserId::from_uuid(uuid(row.try_get(1).map_err(engine)?, "user id")?),
        profile: Profile {
            email: text(column(2)?, "email", Email::new)?,
            name: text(column(3)?, "name", DisplayName::new)?,
            avatar_url: text(column(4)?, "avatar URL", AvatarUrl::new)?,
            portal_role: text(column(5)?, "portal role", PortalRole::new)?
                .ok_or(StoreError::Corrupt("portal role"))?,
            company_name: text(column(6)?, "company name", CompanyName::new)?,
            customer_status: text(column(7)?, "customer status", CustomerStatus::new)?,
        },
        created_at: Timestamp::from_millis(row.try_get(8).map_err(engine)?),
    })
}

/// The entry in a row of [`ENTRY_COLUMNS`].
pub(super) fn entry_from_row(row: &SqliteRow) -> Result<Stored, StoreError> {
    let column = |index: usize| row.try_get::<Option<String>, _>(index).map_err(engine);
    let integer = |index: usize| row.try_get::<i64, _>(index).map_err(engine);
    let moment = |index: usize| row.try_get::<Option<i64>, _>(index).map_err(engine).map(time);
    let role = column(11)?.map(|name| name.parse::<Role>()).transpose();
    let auth_method = column(13)?.map(|name| name.parse::<AuthMethod>()).transpose();
    let teams = column(22)?.unwrap_or_default();
    let teams = teams
        .split_whitespace()
        .map(|team| team.parse().map(TeamNumber))
        .collect::<Result<_, _>>();
    Ok(Stored {
        row: integer(9)?,
        entry: MemberEntry {
            member: member_from_row(row)?,
            number: MemberNumber(integer(10)?),
            access: Access {
                role: role.map_err(|_| StoreError::Corrupt("role"))?,
                enabled: integer(12)? != 0,
                auth_method: auth_method.map_err(|_| StoreError::Corrupt("auth method"))?,
            },
            origin: Origin {
                source: text(column(14)?, "source", Source::new)?.ok_or(StoreError::Corrupt("source"))?,
                external_id: text(column(15)?, "external id", ExternalId::new)?,
            },
            teams: teams.map_err(|_| StoreError::Corrupt("team"))?,
            primary_team: TeamNumber(integer(16)?),
            updated_at: Timestamp::from_millis(integer(17)?),
            last_seen_at: moment(18)?,
            revoked_at: moment(19)?,
            erased_at: moment(20)?,
            version: integer(21)?,
        },
    })
}
