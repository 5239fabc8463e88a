//! The columns of a member: the one place that lists them, for every statement that reads or writes one.

use std::sync::LazyLock;

use sqlx::{AssertSqlSafe, FromRow, Row as _};

use super::super::{
    columns::{Binds, Columns, Row, Statement, columns},
    dialect::TEAMS,
};
use crate::domain::{Access, Member, OrganizationId, Origin, PersonName, Profile, Role, TeamNumber};

// In the order of the fields: where SQLite makes JSON of a profile, it is read by that.
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

fn bind_changing<'q, V: Binds<'q>>(member: &Member, values: V) -> V {
    let values = member.profile.bind(values);
    let values = member.person.bind(values);
    let values = member.access.bind(values);
    let values = member.origin.bind(values);
    values
        .bind(member.email_since)
        .bind(member.primary_team)
        .bind(member.updated_at)
        .bind(member.last_seen_at)
        .bind(member.revoked_at)
        .bind(member.erased_at)
        .bind(member.version)
}

/// What a [`Member`] is read from, of `members AS m`.
pub(in super::super) static COLUMNS: LazyLock<String> = LazyLock::new(|| {
    let columns: Vec<_> = IDENTITY
        .into_iter()
        .chain(changing())
        .map(|column| format!("m.{column}"))
        .collect();
    format!("{}, {TEAMS} AS teams", columns.join(", "))
});

impl FromRow<'_, Row> for Member {
    fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
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

/// Adds a member: `$1` is its organization, and [`bind`] binds the rest. Columns that only one engine has come last. With
/// the statement comes the number of the first parameter that it does not use.
pub(super) fn insert(more: &[&'static str]) -> (String, usize) {
    let columns = inserted(more);
    let values: Vec<_> = (2..)
        .take(columns.len())
        .map(|number| format!("${number}"))
        .collect();
    let sql = format!(
        "INSERT INTO members (organization_id, {}) VALUES ($1, {})",
        columns.join(", "),
        values.join(", ")
    );
    (sql, columns.len() + 2)
}

/// The columns that [`bind`] binds, and then these.
pub(super) fn inserted(more: &[&'static str]) -> Vec<&'static str> {
    let more = more.iter().copied();
    IDENTITY.into_iter().chain(changing()).chain(more).collect()
}

/// Binds a member, in the order of [`inserted`].
pub(super) fn bind<'q, V: Binds<'q>>(member: &Member, values: V) -> V {
    let values = values
        .bind(member.id)
        .bind(member.user_id)
        .bind(member.number)
        .bind(member.created_at);
    bind_changing(member, values)
}

/// Changes a member's row. Columns that only one engine has come last, and are bound by the caller; `returning` is what
/// comes back of it.
pub(super) fn update(
    organization: OrganizationId,
    member: &Member,
    more: &[&'static str],
    returning: &str,
) -> Statement<'static> {
    let columns: Vec<_> = (3..)
        .zip(changing().chain(more.iter().copied()))
        .map(|(number, column)| format!("{column} = ${number}"))
        .collect();
    let sql = format!(
        "UPDATE members SET {} WHERE organization_id = $1 AND number = $2 RETURNING {returning}",
        columns.join(", ")
    );
    // Safe: it is put together from constants.
    let statement = sqlx::query(AssertSqlSafe(sql))
        .bind(organization)
        .bind(member.number);
    bind_changing(member, statement)
}

/// As what a live member is counted: its role, or nothing.
pub(super) fn counted_role(member: &Member) -> &'static str {
    member.access.role.map_or("", Role::as_str)
}
