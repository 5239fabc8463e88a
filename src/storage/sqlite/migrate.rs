//! Brings a file's schema to the version of this program.

use std::{sync::LazyLock, time::Duration};

use sqlx::{
    AssertSqlSafe, Connection as _, SqliteConnection,
    migrate::{MigrateError, Migrator},
    sqlite::SqliteConnectOptions,
};
use tokio::time::{Instant, sleep};

use super::{
    copied::is_marked,
    error::{outage, store_error},
    members::{fill_search, search_is_unfilled},
};
use crate::{
    domain::Outage,
    storage::{Migrate, OpenError, StoreError, copy::Contents, migrations::migrations},
};

/// Embedded in the program. An applied migration is never edited: its checksum is in every database.
static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    migrations!(
        "sqlite":
        "0001_directory",
        "0002_management",
        "0003_revocations",
        "0004_addresses",
        "0005_facets",
        "0006_old_answers",
        "0007_counters",
        "0008_names",
        "0009_credentials",
        "0010_mails",
        "0011_lists",
        "0012_clients",
        "0013_parts",
        "0014_texts",
        "0015_indexes",
        "0016_ordinals",
        "0017_less",
        "0018_superseded",
        "0019_text_versions",
    )
});

/// Says in a file's head whose it is (<https://www.sqlite.org/pragma.html#pragma_application_id>): `usrb` in ASCII.
pub(super) const APPLICATION_ID: i32 = 0x7573_7262;

/// The checksum of the first migration, by which our files from before the id are known.
pub(super) static FIRST_MIGRATION: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let first = MIGRATIONS.iter().min_by_key(|migration| migration.version);
    first
        .map(|migration| migration.checksum.to_vec())
        .unwrap_or_default()
});

/// The version of the schema that this program works on: the number of its last migration.
pub(in crate::storage) fn version() -> i64 {
    let versions = MIGRATIONS.iter().map(|migration| migration.version);
    versions.max().unwrap_or_default()
}

/// How long to wait for another program that migrates the same file.
const PATIENCE: Duration = Duration::from_mins(1);

const PAUSE: Duration = Duration::from_millis(10);

/// Migrates or checks the file. What was cut off has not happened.
pub(super) async fn run(
    options: &SqliteConnectOptions,
    migrate: Migrate,
    contents: Contents,
) -> Result<(), OpenError> {
    let options = options.clone().busy_timeout(PATIENCE);
    let mut connection = open(&options).await.map_err(store_error)?;
    let result = migrate_or_check(&mut connection, migrate, contents).await;
    connection.close().await.map_err(store_error)?;
    result
}

/// Opens the file, again and again while another program turns a new one to its write-ahead log: for that SQLite does not
/// wait.
async fn open(options: &SqliteConnectOptions) -> Result<SqliteConnection, sqlx::Error> {
    let begin = Instant::now();
    loop {
        match SqliteConnection::connect_with(options).await {
            Err(error) if outage(&error) == Some(Outage::Locked) && begin.elapsed() < PATIENCE => {
                sleep(PAUSE).await;
            }
            opened => return opened,
        }
    }
}

async fn migrate_or_check(
    connection: &mut SqliteConnection,
    migrate: Migrate,
    contents: Contents,
) -> Result<(), OpenError> {
    if contents == Contents::Whole && is_marked(connection).await.map_err(store_error)? {
        return Err(OpenError::UnfinishedCopy);
    }
    let found = applied(connection).await?;
    let known = newest();
    match migrate {
        _ if found > known => Err(OpenError::SchemaTooNew { found, known }),
        Migrate::Always => {
            up(connection).await?;
            // Of an unfinished copy it is filled at the end.
            if contents == Contents::Whole {
                fill_search(connection).await?;
            }
            Ok(())
        }
        Migrate::OnlyEmpty if found == 0 => up(connection).await,
        Migrate::OnlyEmpty | Migrate::Never if found < known => Err(OpenError::SchemaTooOld),
        // Its migration was cut off before searches could find everybody, or goes on.
        Migrate::OnlyEmpty | Migrate::Never
            if contents == Contents::Whole && search_is_unfilled(connection).await? =>
        {
            Err(OpenError::SchemaTooOld)
        }
        Migrate::OnlyEmpty | Migrate::Never => Ok(()),
    }
}

/// All in one transaction that begins with the lock: of several programs that start on one file, one migrates, and the
/// others wait for it and find nothing left to do. It always writes, so a file that can't be written is refused here.
async fn up(connection: &mut SqliteConnection) -> Result<(), OpenError> {
    let mut transaction = connection
        .begin_with("BEGIN IMMEDIATE")
        .await
        .map_err(store_error)?;
    MIGRATIONS.run(&mut *transaction).await.map_err(migrate_error)?;
    sqlx::query(AssertSqlSafe(format!("PRAGMA application_id = {APPLICATION_ID}")))
        .execute(&mut *transaction)
        .await
        .map_err(store_error)?;
    transaction.commit().await.map_err(store_error)?;
    Ok(())
}

/// That there is a whole directory, of this version or an earlier one.
pub(super) async fn require_directory(connection: &mut SqliteConnection) -> Result<(), OpenError> {
    if is_marked(connection).await.map_err(store_error)? {
        return Err(OpenError::UnfinishedCopy);
    }
    match (applied(connection).await?, newest()) {
        (0, _) => Err(OpenError::NoDatabase),
        (found, known) if found > known => Err(OpenError::SchemaTooNew { found, known }),
        _ => Ok(()),
    }
}

/// The newest version in the database; 0 if it has none.
async fn applied(connection: &mut SqliteConnection) -> Result<i64, OpenError> {
    let tables: i64 =
        sqlx::query_scalar("SELECT count(*) FROM sqlite_schema WHERE name = '_sqlx_migrations'")
            .fetch_one(&mut *connection)
            .await
            .map_err(store_error)?;
    if tables == 0 {
        return Ok(0);
    }
    sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM _sqlx_migrations")
        .fetch_one(connection)
        .await
        .map_err(|error| store_error(error).into())
}

fn newest() -> i64 {
    MIGRATIONS
        .iter()
        .map(|migration| migration.version)
        .max()
        .unwrap_or_default()
}

fn migrate_error(error: MigrateError) -> OpenError {
    match error {
        MigrateError::VersionMissing(found) => OpenError::SchemaTooNew {
            found,
            known: newest(),
        },
        MigrateError::VersionMismatch(version) => OpenError::SchemaChanged(version),
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => store_error(error).into(),
        other => StoreError::Engine(Box::new(other)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::MIGRATIONS;
    use crate::storage::migrations::assert_whole;

    #[test]
    fn every_file_of_the_folder_is_a_migration() {
        assert_whole("sqlite", &MIGRATIONS);
    }
}
