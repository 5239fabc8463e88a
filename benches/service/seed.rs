//! Databases of a stated size, made once and kept under `target/bench-data`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    str::FromStr as _,
};

use indicatif::{ProgressBar, ProgressStyle};
use sha2::{Digest as _, Sha256};
use sqlx::{
    AssertSqlSafe, Connection as _, QueryBuilder, Sqlite, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

use crate::{
    Result,
    people::{self, ORGANIZATIONS, PORTAL_ROLE, People, Person, person},
    servers::Location,
};

/// Part of the file's name. Raise it when what is seeded changes.
const VERSION: u32 = 5;

/// Rows in one statement: at 13 columns far below SQLite's 32,766 parameters.
pub(crate) const ROWS: u64 = 500;

/// Rows in one transaction.
const TRANSACTION: u64 = 100_000;

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("bench-data")
}

pub(crate) fn location(path: &Path) -> Location {
    Location {
        name: format!("sqlite:{}", path.display()),
        password: None,
    }
}

/// A connection with the promises that ours gives.
///
/// # Errors
///
/// It is no `sqlite:` URL.
pub(crate) fn durable(database: &str) -> Result<SqliteConnectOptions> {
    Ok(SqliteConnectOptions::from_str(database)?
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .pragma("secure_delete", "ON"))
}

/// The database with these people, which is made if there is none. It holds no events of how they came in, and nothing in the
/// search index.
pub(crate) async fn database(people: &People) -> Result<PathBuf> {
    let path = folder().join(format!("members-{}-v{VERSION}.db", people.members));
    if path.exists() {
        migrate(&location(&path))?;
        return Ok(path);
    }
    fs::create_dir_all(folder())?;
    let unfinished = tempfile::tempdir_in(folder())?;
    let new = unfinished.path().join("new.db");
    migrate(&location(&new))?;
    fill(&new, people).await?;
    fs::rename(&new, &path)?;
    Ok(path)
}

/// Makes the tables that are missing.
pub(crate) fn migrate(database: &Location) -> Result<()> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_userbridge"));
    database.pass(&mut command);
    let status = command
        .args(["migrate", "--database-url", &database.name])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("userbridge migrate: {status}").into())
    }
}

async fn fill(path: &Path, people: &People) -> Result<()> {
    // Nothing here must survive a crash: the file gets its name when it is whole.
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Memory)
        .synchronous(SqliteSynchronous::Off)
        .foreign_keys(false)
        .pragma("cache_size", "-262144");
    let mut connection = SqliteConnection::connect_with(&options).await?;
    organizations(&mut connection, people).await?;
    // An index made at the end is sorted once, which is several times faster than keeping it in order.
    let indexes: Vec<(String, String)> = sqlx::query_as(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name = 'members'",
    )
    .fetch_all(&mut connection)
    .await?;
    for (name, _) in &indexes {
        sqlx::query(AssertSqlSafe(format!("DROP INDEX {name}")))
            .execute(&mut connection)
            .await?;
    }
    let progress = progress(people.members)?;
    let mut done = 0;
    while done < people.members {
        let mut transaction = connection.begin().await?;
        let end = people.members.min(done + TRANSACTION);
        while done < end {
            let batch: Vec<Person> = (done..end.min(done + ROWS)).map(person).collect();
            insert(&mut transaction, &batch).await?;
            done = end.min(done + ROWS);
            progress.set_position(done);
        }
        transaction.commit().await?;
    }
    progress.set_message("indexes");
    for (_, sql) in indexes {
        sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await?;
    }
    progress.finish_and_clear();
    sqlx::query("PRAGMA journal_mode = WAL")
        .execute(&mut connection)
        .await?;
    connection.close().await?;
    Ok(())
}

/// A bar on standard error. It draws nothing if that is no terminal.
pub(crate) fn progress(members: u64) -> Result<ProgressBar> {
    let style =
        ProgressStyle::with_template("seeding {bar:40} {human_pos} of {human_len} members {msg} {eta}")?;
    Ok(ProgressBar::new(members).with_style(style))
}

async fn organizations(connection: &mut SqliteConnection, people: &People) -> Result<()> {
    let mut transaction = connection.begin().await?;
    for organization in 0..ORGANIZATIONS {
        let id = people::organization_id(organization);
        let key = people.key(organization);
        let last_number = (people.members + ORGANIZATIONS - 1 - organization) / ORGANIZATIONS;
        sqlx::query(
            "INSERT INTO organizations (id, slug, name, created_at, ordinal) VALUES ($1, $2, $3, 0, $4);
             INSERT INTO organization_counters (organization_id, members, teams) VALUES ($1, $5, 1);
             INSERT INTO member_counts (organization_id, role, live) VALUES ($1, '', $5);
             INSERT INTO teams (organization_id, number, slug, name, created_at) VALUES ($1, 1, 'root', 'Root', 0)",
        )
        .bind(&id.as_bytes()[..])
        .bind(format!("organization-{organization}"))
        .bind(format!("Organization {organization}"))
        .bind(organization.cast_signed())
        .bind(last_number.cast_signed())
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "INSERT INTO api_keys (organization_id, id, digest, hint, scopes, created_at, organization_ordinal)
             VALUES ($1, $2, $3, $4, 'public_api', 0, $5)",
        )
        .bind(&id.as_bytes()[..])
        .bind(&people::key_id(organization).as_bytes()[..])
        .bind(&Sha256::digest(key)[..])
        .bind(key.get(..8))
        .bind(organization.cast_signed())
        .execute(&mut *transaction)
        .await?;
    }
    transaction.commit().await?;
    Ok(())
}

pub(crate) async fn insert(connection: &mut SqliteConnection, batch: &[Person]) -> Result<()> {
    let mut members = QueryBuilder::<Sqlite>::new(
        "INSERT INTO members (organization_id, id, user_id, email, name, avatar_url, portal_role, company_name, \
         customer_status, created_at, row, number, updated_at, organization_ordinal) ",
    );
    members.push_values(batch, |mut row, person| {
        row.push_bind(people::organization_id(person.organization).as_bytes().to_vec())
            .push_bind(&person.member_id.as_bytes()[..])
            .push_bind(&person.user_id.as_bytes()[..])
            .push_bind(&person.email)
            .push_bind(person.name())
            .push_bind(person.avatar_url())
            .push_bind(PORTAL_ROLE)
            .push_bind(person.company_name())
            .push_bind(person.customer_status())
            .push_bind(person.created_at.cast_signed())
            .push_bind(person.row())
            .push_bind(person.member_number())
            .push_bind(person.created_at.cast_signed())
            .push_bind(person.organization.cast_signed());
    });
    members.build().execute(&mut *connection).await?;
    Ok(())
}
