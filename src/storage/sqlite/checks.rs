//! What only a file of SQLite can have wrong: pages, keys between its tables, and the search index.

use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};

use super::{
    check,
    copied::SNAPSHOT,
    error::{is_corrupt, store_error},
    files, migrate,
    settings::Settings,
};
use crate::storage::{
    Migrate, OpenError, Result, StoreError,
    check::{Finding, MOST, Rule, Tell},
    copy::Contents,
};

/// Opens the file of a `sqlite:` URL and checks it.
pub(in crate::storage) async fn open(url: &str, tell: Tell<'_>) -> Result<Vec<Finding>, OpenError> {
    let options = match prepare(url).await {
        Err(OpenError::Store(StoreError::Engine(error)))
            if error.downcast_ref::<sqlx::Error>().is_some_and(is_corrupt) =>
        {
            return Ok(vec![of("integrity", error.to_string())]);
        }
        prepared => prepared?,
    };
    // One that may only read leaves the files behind that it has made beside the database.
    let mut connection = SqliteConnection::connect_with(&options)
        .await
        .map_err(store_error)?;
    sqlx::query(SNAPSHOT)
        .execute(&mut connection)
        .await
        .map_err(store_error)?;
    let findings = check::run(&mut connection, tell).await;
    connection.close().await.map_err(store_error)?;
    Ok(findings?)
}

async fn prepare(url: &str) -> Result<SqliteConnectOptions, OpenError> {
    let options = files::prepare(url, Migrate::Never, &Settings::default()).await?;
    migrate::run(&options, Migrate::Never, Contents::Whole).await?;
    Ok(options)
}

/// What is wrong with the file: a line for each thing that SQLite finds. It also compares indexes, that of the search too, with
/// what they are made of.
pub(super) async fn damage(connection: &mut SqliteConnection) -> Result<Vec<Finding>> {
    let lines = match integrity(connection).await {
        Ok(lines) => lines,
        Err(error) if is_corrupt(&error) => vec![error.to_string()],
        Err(error) => return Err(store_error(error)),
    };
    Ok(lines.into_iter().map(|line| of("integrity", line)).collect())
}

/// The foreign keys that lead nowhere. The rules find the rows of most of them.
pub(super) async fn broken_keys(connection: &mut SqliteConnection) -> Result<Vec<Finding>> {
    let broken: Vec<(String, String, i64)> = sqlx::query_as(
        r#"SELECT "table", parent, count(*) FROM pragma_foreign_key_check() GROUP BY 1, 2 ORDER BY 1, 2"#,
    )
    .fetch_all(connection)
    .await
    .map_err(store_error)?;
    let finding = |(table, parent, rows)| {
        let text = format!("{rows} rows of {table} refer to rows of {parent} that are not there");
        of("foreign_key", text)
    };
    Ok(broken.into_iter().map(finding).collect())
}

/// What SQLite says is wrong.
pub(super) async fn integrity(connection: &mut SqliteConnection) -> Result<Vec<String>, sqlx::Error> {
    // Safe: it is put together from constants.
    let sql = AssertSqlSafe(format!("PRAGMA integrity_check ({MOST})"));
    let lines: Vec<String> = sqlx::query_scalar(sql).fetch_all(connection).await?;
    Ok(lines.into_iter().filter(|line| line != "ok").collect())
}

const fn of(check: &'static str, finding: String) -> Finding {
    Finding {
        check,
        organization_id: None,
        finding,
    }
}

/// Who can be found by a part of a name or an address.
pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "search_index",
        says: "member {number} is not in the search index",
        sql: "SELECT m.organization_id, m.number, NULL AS found, NULL AS wanted FROM members AS m \
              WHERE m.erased_at IS NULL AND NOT EXISTS (SELECT 1 FROM search_backlog) \
                  AND NOT EXISTS (SELECT 1 FROM member_texts AS s WHERE s.row = m.row)",
    },
    Rule {
        name: "search_index_rest",
        says: "row {number} of the search index is nobody's who may be in it",
        sql: "SELECT m.organization_id, s.row AS number, NULL AS found, NULL AS wanted \
              FROM member_texts AS s LEFT JOIN members AS m ON m.row = s.row \
              WHERE m.row IS NULL OR m.erased_at IS NOT NULL",
    },
];
