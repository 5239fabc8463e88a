//! Brings a file's schema to the version of this program.

use std::time::Duration;

use sqlx::{
    Connection as _, SqliteConnection,
    migrate::{MigrateError, Migrator},
    sqlite::SqliteConnectOptions,
};

use super::{error::engine, members::fill_search};
use crate::storage::{Migrate, StoreError};

/// Embedded in the program. An applied migration is never edited: its checksum is in every database.
static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// How long to wait for another program that migrates the same file.
const PATIENCE: Duration = Duration::from_mins(1);

/// Migrates or checks the file. What was cut off has not happened.
pub(super) async fn run(options: &SqliteConnectOptions, migrate: Migrate) -> Result<(), StoreError> {
    if migrate == Migrate::Never && !options.get_filename().exists() {
        return Err(StoreError::NoDatabase);
    }
    let options = options.clone().busy_timeout(PATIENCE);
    let mut connection = SqliteConnection::connect_with(&options).await.map_err(engine)?;
    let result = migrate_or_check(&mut connection, migrate).await;
    connection.close().await.map_err(engine)?;
    result
}

async fn migrate_or_check(connection: &mut SqliteConnection, migrate: Migrate) -> Result<(), StoreError> {
    let found = applied(connection).await?;
    let known = newest();
    match migrate {
        _ if found > known => Err(StoreError::SchemaTooNew { found, known }),
        Migrate::Always => {
            up(connection).await?;
            fill_search(connection).await
        }
        Migrate::OnlyEmpty if found == 0 => up(connection).await,
        Migrate::OnlyEmpty | Migrate::Never if found < known => Err(StoreError::SchemaTooOld),
        Migrate::OnlyEmpty | Migrate::Never => Ok(()),
    }
}

/// All in one transaction that begins with the lock: of several programs that start on one file, one migrates, and the
/// others wait for it and find nothing left to do.
async fn up(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(engine)?;
    MIGRATIONS.run(&mut *transaction).await.map_err(migrate_error)?;
    transaction.commit().await.map_err(engine)
}

/// The newest version in the database; 0 if it has none.
async fn applied(connection: &mut SqliteConnection) -> Result<i64, StoreError> {
    let tables: i64 =
        sqlx::query_scalar("SELECT count(*) FROM sqlite_schema WHERE name = '_sqlx_migrations'")
            .fetch_one(&mut *connection)
            .await
            .map_err(engine)?;
    if tables == 0 {
        return Ok(0);
    }
    sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM _sqlx_migrations")
        .fetch_one(connection)
        .await
        .map_err(engine)
}

fn newest() -> i64 {
    MIGRATIONS
        .iter()
        .map(|migration| migration.version)
        .max()
        .unwrap_or_default()
}

fn migrate_error(error: MigrateError) -> StoreError {
    match error {
        MigrateError::VersionMissing(found) => StoreError::SchemaTooNew {
            found,
            known: newest(),
        },
        MigrateError::VersionMismatch(version) => StoreError::SchemaChanged(version),
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => engine(error),
        other => StoreError::Engine(Box::new(other)),
    }
}
