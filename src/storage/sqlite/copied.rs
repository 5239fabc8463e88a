//! What SQLite has of a copied directory beside the rows: ordinals of organizations, and the search index.

use sqlx::{Connection as _, SqliteConnection};

use super::{copy::CopyEnd, error::store_error, files, members::fill_search, migrate, settings::Settings};
use crate::storage::{
    Migrate, OpenError, Result,
    copy::{Contents, End, MARK, Row, Side, Table, Value},
};

pub(super) use sqlx::SqliteConnection as Connection;

/// Begins a transaction that writes.
pub(super) const BEGIN: &str = "BEGIN IMMEDIATE";

/// Begins a transaction that reads, and sees one moment from its first read on.
pub(super) const SNAPSHOT: &str = "BEGIN";

/// Opens the file of a `sqlite:` URL.
pub(in crate::storage) async fn open(url: &str, side: Side) -> Result<Box<dyn End>, OpenError> {
    let (migrate, contents) = match side {
        Side::Source => (Migrate::Never, Contents::Whole),
        Side::Target => (Migrate::Always, Contents::Part),
    };
    let options = files::prepare(url, migrate, &Settings::default()).await?;
    migrate::run(&options, migrate, contents).await?;
    // Opened for reading alone, it would leave files beside the database when it is closed.
    let options = options.pragma("query_only", (side == Side::Source).to_string());
    let connection = SqliteConnection::connect_with(&options).await;
    Ok(Box::new(CopyEnd {
        connection: connection.map_err(store_error)?,
    }))
}

/// Whether an unfinished copy is here.
pub(super) async fn is_marked(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = $1)")
        .bind(MARK)
        .fetch_one(connection)
        .await
}

/// What else makes an empty directory ready: all members are put into the search index when they are here.
pub(super) const PREPARE: &[&str] = &["INSERT INTO search_backlog (next) VALUES (0)"];

/// The names of columns that this engine alone has, and their values in each of the rows.
pub(super) async fn more(
    connection: &mut SqliteConnection,
    table: &Table,
    rows: &[Row],
) -> Result<(&'static [&'static str], Vec<Row>), sqlx::Error> {
    match table.name {
        "organizations" => Ok((&["ordinal"], new_ordinals(connection, rows).await?)),
        "members" => {
            let mut more = ordinals_of(connection, table, rows).await?;
            for (more, row) in more.iter_mut().zip(rows) {
                more.push(superseded(table, row));
            }
            Ok((&["organization_ordinal", "superseded_number"], more))
        }
        "api_keys" => Ok((
            &["organization_ordinal"],
            ordinals_of(connection, table, rows).await?,
        )),
        _ => Ok((&[], Vec::new())),
    }
}

async fn new_ordinals(connection: &mut SqliteConnection, rows: &[Row]) -> Result<Vec<Row>, sqlx::Error> {
    let last: i64 = sqlx::query_scalar("SELECT coalesce(max(ordinal), 0) FROM organizations")
        .fetch_one(connection)
        .await?;
    let ordinals = (last + 1..).take(rows.len());
    let values = ordinals.map(|ordinal| vec![Value::Integer(Some(ordinal))]);
    Ok(values.collect())
}

/// Those of the organizations of rows; 0 of none. Rows of one follow each other.
async fn ordinals_of(
    connection: &mut SqliteConnection,
    table: &Table,
    rows: &[Row],
) -> Result<Vec<Row>, sqlx::Error> {
    let column = table.position("organization_id");
    let mut ordinals = Vec::with_capacity(rows.len());
    let mut last = None;
    for row in rows {
        let organization = column.and_then(|column| row.get(column));
        let ordinal = match (last, organization) {
            (Some((of, ordinal)), Some(organization)) if of == organization => ordinal,
            (_, Some(organization @ Value::Uuid(id))) => {
                let ordinal: Option<i64> =
                    sqlx::query_scalar("SELECT ordinal FROM organizations WHERE id = $1")
                        .bind(id)
                        .fetch_optional(&mut *connection)
                        .await?;
                let ordinal = ordinal.unwrap_or_default();
                last = Some((organization, ordinal));
                ordinal
            }
            _ => 0,
        };
        ordinals.push(vec![Value::Integer(Some(ordinal))]);
    }
    Ok(ordinals)
}

/// 0 of a live member, else its number: whoever was revoked holds nobody's place.
fn superseded(table: &Table, row: &Row) -> Value {
    let value = |column| table.position(column).and_then(|position| row.get(position));
    match (value("revoked_at"), value("number")) {
        (Some(Value::Integer(Some(_))), Some(Value::Integer(number))) => Value::Integer(*number),
        _ => Value::Integer(Some(0)),
    }
}

/// Statements that derive other rows from those between two keys.
pub(super) const fn derived(_: &Table) -> &'static [&'static str] {
    &[]
}

/// Fills the search index.
pub(super) async fn derive(connection: &mut SqliteConnection) -> Result<()> {
    fill_search(connection).await
}
