//! What PostgreSQL has of a copied directory beside the rows: folded names and addresses, users, and what is looked up by
//! address and by user.

use sqlx::{AssertSqlSafe, PgConnection};

use super::{connect, copy::CopyEnd, error::store_error, migrate, pooler, settings::Settings};
use crate::storage::{
    Migrate, OpenError, Result,
    copy::{Contents, End, MARK, Row, Side, TABLES, Table, Value},
    fold::fold,
};

pub(super) use sqlx::PgConnection as Connection;

/// Begins a transaction that writes.
pub(super) const BEGIN: &str = "BEGIN";

/// Begins a transaction that reads, and sees one moment from its first read on.
pub(super) const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// The users, links and addresses of members between two keys.
const OF_MEMBERS: &[&str] = &[
    "INSERT INTO users (id, created_at)
         SELECT user_id, min(created_at) FROM members
         WHERE (organization_id, number) >= ($1, $2) AND (organization_id, number) <= ($3, $4) GROUP BY user_id
         ON CONFLICT DO NOTHING",
    "INSERT INTO links (user_id, organization_id, member_id, email, role)
         SELECT user_id, organization_id, id, email, role FROM members
         WHERE (organization_id, number) >= ($1, $2) AND (organization_id, number) <= ($3, $4) AND revoked_at IS NULL",
    "INSERT INTO addresses (email, organization_id, member, version, member_id, user_id, since, until)
         SELECT email, organization_id, number, 0, id, user_id, email_since, revoked_at FROM members
         WHERE (organization_id, number) >= ($1, $2) AND (organization_id, number) <= ($3, $4) AND email IS NOT NULL",
];

/// The addresses that members had before, of those between two keys.
const OF_FORMER_ADDRESSES: &[&str] = &[
    "INSERT INTO addresses (email, organization_id, member, version, member_id, user_id, since, until)
         SELECT f.email, f.organization_id, f.member, f.version, m.id, m.user_id, f.since, f.until
         FROM former_addresses AS f
         JOIN members AS m ON m.organization_id = f.organization_id AND m.number = f.member
         WHERE (f.organization_id, f.member, f.version) >= ($1, $2, $3)
             AND (f.organization_id, f.member, f.version) <= ($4, $5, $6)",
];

/// Opens the database of a `postgres:` URL.
pub(in crate::storage) async fn open(url: &str, side: Side) -> Result<Box<dyn End>, OpenError> {
    let (migrate, contents) = match side {
        Side::Source => (Migrate::Never, Contents::Whole),
        Side::Target => (Migrate::Always, Contents::Part),
    };
    let patience = Settings::default().patience;
    let options = connect::parse(url)?;
    pooler::check(&options, patience).await?;
    migrate::run(&options, migrate, contents, patience).await?;
    let connection = connect::connect_for_long(&options, patience).await;
    Ok(Box::new(CopyEnd {
        connection: connection.map_err(store_error)?,
    }))
}

/// Whether an unfinished copy is here.
pub(super) async fn is_marked(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL")
        .bind(MARK)
        .fetch_one(connection)
        .await
}

/// What else makes an empty directory ready.
pub(super) const PREPARE: &[&str] = &[];

/// The names of columns that this engine alone has, and their values in each of the rows.
#[expect(clippy::unused_async, reason = "the other engine asks its database")]
pub(super) async fn more(
    _: &mut PgConnection,
    table: &Table,
    rows: &[Row],
) -> Result<(&'static [&'static str], Vec<Row>), sqlx::Error> {
    if table.name != "members" {
        return Ok((&[], Vec::new()));
    }
    let folded = |row: &Row, column| {
        let value = table.position(column).and_then(|position| row.get(position));
        Value::Text(match value {
            Some(Value::Text(Some(text))) => Some(fold(text)),
            _ => None,
        })
    };
    let values = rows
        .iter()
        .map(|row| vec![folded(row, "name"), folded(row, "email")]);
    Ok((&["folded_name", "folded_email"], values.collect()))
}

/// Statements that derive other rows from those between two keys.
pub(super) fn derived(table: &Table) -> &'static [&'static str] {
    match table.name {
        "members" => OF_MEMBERS,
        "former_addresses" => OF_FORMER_ADDRESSES,
        _ => &[],
    }
}

/// Counts what the planner goes by, which autovacuum would do some minutes later.
pub(super) async fn derive(connection: &mut PgConnection) -> Result<()> {
    let mut tables: Vec<_> = TABLES.iter().map(|table| table.name).collect();
    tables.extend(["users", "links", "addresses"]);
    // Safe: it is put together from constants.
    let statement = sqlx::query(AssertSqlSafe(format!("ANALYZE {}", tables.join(", "))));
    statement.execute(connection).await.map_err(store_error)?;
    Ok(())
}
