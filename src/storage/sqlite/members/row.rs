//! The columns of a member: the one place that lists them, for every statement that reads or writes one.

use std::sync::LazyLock;

use sqlx::{AssertSqlSafe, FromRow, Row as _, sqlite::SqliteRow};

use super::search;
use crate::{
    domain::{Access, Member, OrganizationId, Origin, PersonName, Profile, TeamNumber},
    storage::sqlite::columns::{Columns, Statement, columns},
};

// The hot path reads them too: in the order of the fields.
columns!(Profile {
    email,
    name,
    avatar_url,
    portal_role,
    company_name,
    customer_status,
    locale
});
columns!(PersonName {
    given_name,
    family_name
});
columns!(Access {
    role,
    enabled,
    auth_method,
    onboarded
});
columns!(Origin { source, external_id });

/// Who it is: this never changes.
const IDENTITY: [&str; 4] = ["id", "user_id", "number", "created_at"];

/// What else changes, beside the columns of the parts.
const STATE: [&str; 7] = [
    "email_since",
    "primary_team",
    "updated_at",
    "last_seen_at",
    "revoked_at",
    "erased_at",
    "version",
];

/// All that changes, in the order in which [`bind_changing`] binds it.
fn changing() -> impl Iterator<Item = &'static str> {
    [
        Profile::NAMES,
        PersonName::NAMES,
        Access::NAMES,
        Origin::NAMES,
        &STATE,
    ]
    .into_iter()
    .flatten()
    .copied()
}

fn bind_changing<'q>(member: &Member, statement: Statement<'q>) -> Statement<'q> {
    let statement = member.profile.bind(statement);
    let statement = member.person.bind(statement);
    let statement = member.access.bind(statement);
    let statement = member.origin.bind(statement);
    statement
        .bind(member.email_since)
        .bind(member.primary_team)
        .bind(member.updated_at)
        .bind(member.last_seen_at)
        .bind(member.revoked_at)
        .bind(member.erased_at)
        .bind(member.version)
}

/// What a [`Member`] is read from, of `members AS m`.
pub(in crate::storage::sqlite) static COLUMNS: LazyLock<String> = LazyLock::new(|| {
    let columns: Vec<_> = IDENTITY
        .into_iter()
        .chain(changing())
        .map(|column| format!("m.{column}"))
        .collect();
    format!(
        "{}, (SELECT group_concat(t.team, ' ' ORDER BY t.team) FROM team_members AS t \
         WHERE t.organization_id = m.organization_id AND t.member = m.number) AS teams",
        columns.join(", ")
    )
});

impl FromRow<'_, SqliteRow> for Member {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        let teams: Option<&str> = row.try_get("teams")?;
        let teams = teams.unwrap_or_default().split_whitespace();
        let teams = teams
            .map(|team| team.parse().map(TeamNumber))
            .collect::<Result<_, _>>();
        Ok(Self {
            id: row.try_get("id")?,
            user_id: row.try_get("user_id")?,
            number: row.try_get("number")?,
            created_at: row.try_get("created_at")?,
            profile: Profile::from_row(row)?,
            person: PersonName::from_row(row)?,
            access: Access::from_row(row)?,
            origin: Origin::from_row(row)?,
            email_since: row.try_get("email_since")?,
            primary_team: row.try_get("primary_team")?,
            updated_at: row.try_get("updated_at")?,
            last_seen_at: row.try_get("last_seen_at")?,
            revoked_at: row.try_get("revoked_at")?,
            erased_at: row.try_get("erased_at")?,
            version: row.try_get("version")?,
            teams: teams.map_err(|error: std::num::ParseIntError| sqlx::Error::ColumnDecode {
                index: "teams".to_owned(),
                source: error.into(),
            })?,
        })
    }
}

/// Adds a live member, and its user if that is new, to the rows, to the count of its role and to the search index, in which this is the number of its
/// organization.
pub(super) fn insert(organization: OrganizationId, member: &Member, ordinal: i64) -> Statement<'static> {
    static INSERT: LazyLock<String> = LazyLock::new(|| {
        let columns: Vec<_> = IDENTITY.into_iter().chain(changing()).collect();
        let values: Vec<_> = (3..)
            .take(columns.len())
            .map(|number| format!("${number}"))
            .collect();
        format!(
            "INSERT INTO users (id, created_at) VALUES ($4, $6) ON CONFLICT DO NOTHING;
             INSERT INTO member_counts (organization_id, role, live) VALUES ($1, $2, 1)
                 ON CONFLICT (organization_id, role) DO UPDATE SET live = live + 1;
             INSERT INTO members (organization_id, {}) VALUES ($1, {});
             INSERT OR REPLACE INTO member_search (rowid, organization, name, email)
                 VALUES (last_insert_rowid(), ${}, ${}, ${})",
            columns.join(", "),
            values.join(", "),
            columns.len() + 3,
            columns.len() + 4,
            columns.len() + 5,
        )
    });
    // Safe: it is put together from constants.
    let statement = sqlx::query(AssertSqlSafe(INSERT.as_str()))
        .bind(organization)
        .bind(counted_role(member))
        .bind(member.id)
        .bind(member.user_id)
        .bind(member.number)
        .bind(member.created_at);
    search::bind(bind_changing(member, statement), ordinal, member)
}

/// Changes a member's row, and returns its number and the organization's in the search index.
pub(super) fn update(organization: OrganizationId, member: &Member) -> Statement<'static> {
    static UPDATE: LazyLock<String> = LazyLock::new(|| {
        let columns: Vec<_> = (3..)
            .zip(changing())
            .map(|(number, column)| format!("{column} = ${number}"))
            .collect();
        format!(
            "UPDATE members SET {} WHERE organization_id = $1 AND number = $2
             RETURNING row, (SELECT ordinal FROM organizations WHERE id = $1)",
            columns.join(", ")
        )
    });
    // Safe: it is put together from constants.
    let statement = sqlx::query(AssertSqlSafe(UPDATE.as_str()))
        .bind(organization)
        .bind(member.number);
    bind_changing(member, statement)
}

/// As what a live member is counted: its role, or nothing.
pub(super) fn counted_role(member: &Member) -> &'static str {
    member.access.role.map_or("", crate::domain::Role::as_str)
}

/// A [`PublicMember`](crate::domain::PublicMember) of `members AS m` as a JSON array of its fields.
pub(in crate::storage::sqlite) fn json() -> String {
    let profile: Vec<_> = Profile::NAMES
        .iter()
        .map(|column| format!("m.{column}"))
        .collect();
    format!(
        "json_array(hex(m.id), hex(m.user_id), json_array({}), m.created_at)",
        profile.join(", ")
    )
}
