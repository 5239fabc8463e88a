//! Rows to members.

use serde::Deserialize;
use sqlx::{Row as _, sqlite::SqliteRow};
use uuid::Uuid;

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
      WHERE t.organization_id = m.organization_id AND t.member = m.number), \
     m.email_since";

/// A member and the row that it is in.
pub(super) struct Stored {
    pub(super) row: i64,
    pub(super) entry: MemberEntry,
}

/// What a row says of a [`Member`]: the first of [`ENTRY_COLUMNS`], or a JSON array of the same.
#[derive(Deserialize)]
pub(in crate::storage::sqlite) struct MemberRow {
    id: Uuid,
    user_id: Uuid,
    email: Option<String>,
    name: Option<String>,
    avatar_url: Option<String>,
    portal_role: Option<String>,
    company_name: Option<String>,
    customer_status: Option<String>,
    created_at: i64,
}

impl MemberRow {
    fn of(row: &SqliteRow) -> Result<Self, StoreError> {
        let column = |index: usize| row.try_get(index).map_err(engine);
        Ok(Self {
            id: uuid(row.try_get(0).map_err(engine)?, "member id")?,
            user_id: uuid(row.try_get(1).map_err(engine)?, "user id")?,
            email: column(2)?,
            name: column(3)?,
            avatar_url: column(4)?,
            portal_role: column(5)?,
            company_name: column(6)?,
            customer_status: column(7)?,
            created_at: row.try_get(8).map_err(engine)?,
        })
    }
}

impl TryFrom<MemberRow> for Member {
    type Error = StoreError;

    fn try_from(row: MemberRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: MemberId::from_uuid(row.id),
            user_id: UserId::from_uuid(row.user_id),
            profile: Profile {
                email: text(row.email, "email", Email::new)?,
                name: text(row.name, "name", DisplayName::new)?,
                avatar_url: text(row.avatar_url, "avatar URL", AvatarUrl::new)?,
                portal_role: text(row.portal_role, "portal role", PortalRole::new)?,
                company_name: text(row.company_name, "company name", CompanyName::new)?,
                customer_status: text(row.customer_status, "customer status", CustomerStatus::new)?,
            },
            created_at: Timestamp::from_millis(row.created_at),
        })
    }
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
            member: MemberRow::of(row)?.try_into()?,
            number: MemberNumber(integer(10)?),
            email_since: Timestamp::from_millis(integer(23)?),
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
