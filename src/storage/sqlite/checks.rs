//! What only a file of SQLite can have wrong: pages, keys between its tables, and the search index.

use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};

use super::{
    check,
    copied::SNAPSHOT,
    error::{is_corrupt, store_error},
    files,
    members::search_differences,
    migrate,
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

/// What is wrong with the file: a line for each thing that SQLite finds. It also compares indexes with what they are made of.
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

/// What SQLite says is wrong, each in one line.
pub(super) async fn integrity(connection: &mut SqliteConnection) -> Result<Vec<String>, sqlx::Error> {
    // Safe: it is put together from constants.
    let sql = AssertSqlSafe(format!("PRAGMA integrity_check ({MOST})"));
    let lines: Vec<String> = sqlx::query_scalar(sql).fetch_all(connection).await?;
    let told = lines.iter().filter(|line| *line != "ok");
    // Of some damage it says where in a line of its own.
    Ok(told.map(|line| line.replace('\n', " ")).collect())
}

const fn of(check: &'static str, finding: String) -> Finding {
    Finding {
        check,
        organization_id: None,
        finding,
    }
}

/// Whether whoever is there can be found by a part of a name or an address, and nobody else. The program folds texts, so no
/// statement of a rule can say it.
pub(super) async fn derived(connection: &mut SqliteConnection) -> Result<Vec<Finding>> {
    const CHECK: &str = "search_index";
    let differences = search_differences(connection).await?;
    let mut findings: Vec<_> = differences
        .members
        .iter()
        .take(MOST)
        .map(|(organization, number)| Finding {
            check: CHECK,
            organization_id: Some(*organization),
            finding: format!(
                "member {} is not in the search index with its own texts",
                number.0
            ),
        })
        .collect();
    if differences.members.len() > MOST {
        findings.push(of(CHECK, format!("there are more than these {MOST}")));
    }
    if differences.blocks > 0 {
        let text = format!("{} blocks of the search index are nobody's", differences.blocks);
        findings.push(of("search_index_rest", text));
    }
    Ok(findings)
}

/// What SQLite alone has, but for the search index, at which [`derived`] looks.
pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "member_ordinal",
        says: "member {number} is found as one of another organization: the ordinal is {found} instead of {wanted}",
        sql: "SELECT m.organization_id, m.number, m.organization_ordinal AS found, o.ordinal AS wanted FROM members AS m \
              JOIN organizations AS o ON o.id = m.organization_id WHERE m.organization_ordinal <> o.ordinal",
    },
    Rule {
        name: "member_place",
        says: "member {number} is not found by its user or its address: its place is {found} instead of {wanted}",
        sql: "SELECT organization_id, number, superseded_number AS found, 0 AS wanted FROM members \
              WHERE superseded_number <> 0 AND (revoked_at IS NULL OR superseded_number <> number)",
    },
    Rule {
        name: "key_ordinal",
        says: "a key finds nobody, because it looks in another organization: the ordinal is {found} instead of {wanted}",
        sql: "SELECT k.organization_id, NULL AS number, k.organization_ordinal AS found, o.ordinal AS wanted FROM api_keys AS k \
              JOIN organizations AS o ON o.id = k.organization_id WHERE k.organization_ordinal <> o.ordinal",
    },
];
