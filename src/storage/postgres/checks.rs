//! What only PostgreSQL has twice: who is looked up by user and by address. Pages and indexes are for its own programs.

use sqlx::{Connection as _, PgConnection};

use super::{check, connect, copied::SNAPSHOT, error::store_error, migrate, pooler, settings::Settings};
use crate::storage::{
    Migrate, OpenError, Result,
    check::{Finding, Rule, Tell},
    copy::Contents,
};

/// Opens the database of a `postgres:` URL and checks it.
pub(in crate::storage) async fn open(url: &str, tell: Tell<'_>) -> Result<Vec<Finding>, OpenError> {
    let patience = Settings::default().patience;
    let options = connect::parse(url)?;
    pooler::check(&options, patience).await?;
    migrate::run(&options, Migrate::Never, Contents::Whole, patience).await?;
    let mut connection = connect::connect_for_long(&options, patience)
        .await
        .map_err(store_error)?;
    connect::in_time(patience, sqlx::query(SNAPSHOT).execute(&mut connection))
        .await
        .map_err(store_error)?;
    let findings = check::run(&mut connection, tell).await;
    // A server that does not hear it finds out by itself.
    let _ = connect::in_time(patience, connection.close()).await;
    Ok(findings?)
}

/// Nothing: a row that PostgreSQL gives out has passed its own checks.
#[expect(clippy::unused_async, reason = "the other engine asks its database")]
pub(super) async fn damage(_: &mut PgConnection) -> Result<Vec<Finding>> {
    Ok(Vec::new())
}

/// None: PostgreSQL lets none come to be.
#[expect(clippy::unused_async, reason = "the other engine asks its database")]
pub(super) async fn broken_keys(_: &mut PgConnection) -> Result<Vec<Finding>> {
    Ok(Vec::new())
}

/// None: its rules say it.
#[expect(clippy::unused_async, reason = "the other engine asks its database")]
pub(super) async fn derived(_: &mut PgConnection) -> Result<Vec<Finding>> {
    Ok(Vec::new())
}

/// The look-up tables against the rows that they are made of, in both directions.
pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "member_user",
        says: "the user of member {number} is not there",
        sql: "SELECT m.organization_id, m.number, NULL AS found, NULL AS wanted FROM members AS m \
              WHERE NOT EXISTS (SELECT 1 FROM users AS u WHERE u.id = m.user_id)",
    },
    Rule {
        name: "link_of_member",
        says: "member {number} is not looked up by its user as the member that it is",
        sql: "SELECT m.organization_id, m.number, NULL AS found, NULL AS wanted FROM members AS m \
              LEFT JOIN links AS l ON l.user_id = m.user_id AND l.organization_id = m.organization_id \
              WHERE m.revoked_at IS NULL AND (l.member_id IS DISTINCT FROM m.id \
                  OR l.email IS DISTINCT FROM m.email OR l.role IS DISTINCT FROM m.role)",
    },
    Rule {
        name: "member_of_link",
        says: "a user is looked up as a member that is not there, or revoked",
        sql: "SELECT l.organization_id, NULL AS number, NULL AS found, NULL AS wanted FROM links AS l \
              WHERE NOT EXISTS (SELECT 1 FROM members AS m WHERE m.organization_id = l.organization_id \
                  AND m.id = l.member_id AND m.user_id = l.user_id AND m.revoked_at IS NULL)",
    },
    Rule {
        name: "address_of_member",
        says: "an address of member {number} does not lead there as it should",
        sql: "SELECT w.organization_id, w.member AS number, NULL AS found, NULL AS wanted FROM ( \
                  SELECT email, organization_id, number AS member, 0 AS version, id, user_id, email_since, revoked_at \
                  FROM members WHERE email IS NOT NULL \
                  UNION ALL \
                  SELECT f.email, f.organization_id, f.member, f.version, m.id, m.user_id, f.since, f.until \
                  FROM former_addresses AS f \
                  JOIN members AS m ON m.organization_id = f.organization_id AND m.number = f.member \
                  EXCEPT \
                  SELECT email, organization_id, member, version, member_id, user_id, since, until FROM addresses \
              ) AS w",
    },
    Rule {
        name: "member_of_address",
        says: "an address leads to member {number}, who does not have it and did not have it",
        sql: "SELECT a.organization_id, a.member AS number, NULL AS found, NULL AS wanted FROM addresses AS a \
              WHERE NOT EXISTS (SELECT 1 FROM members AS m WHERE m.organization_id = a.organization_id \
                      AND m.number = a.member AND m.email = a.email AND a.version = 0) \
                  AND NOT EXISTS (SELECT 1 FROM former_addresses AS f WHERE f.organization_id = a.organization_id \
                      AND f.member = a.member AND f.version = a.version AND f.email = a.email)",
    },
];
