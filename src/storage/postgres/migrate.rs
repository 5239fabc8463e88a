//! Brings a database's schema to the version of this program.

use std::{
    sync::LazyLock,
    time::{Duration, Instant},
};

use sqlx::{
    Connection as _, PgConnection,
    migrate::{MigrateError, Migrator},
    postgres::PgConnectOptions,
};
use tokio::time::sleep;

use super::{
    connect::{connect_for_long, in_time},
    copied::is_marked,
    error::store_error,
    shards,
};
use crate::storage::{Migrate, OpenError, StoreError, copy::Contents, migrations::migrations};

/// Embedded in the program. An applied migration is never edited: its checksum is in every database.
static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrations = migrations!(
        "postgres":
        "0011_directory",
        "0012_clients",
        "0013_parts",
        "0014_texts",
        "0015_indexes",
        "0016_ordinals",
        "0017_less",
        "0018_touched",
        "0019_text_versions",
    );
    // It would wait for others inside a statement, and with it everything that waits for old statements to end.
    migrations.set_locking(false);
    migrations
});

/// The lock of who migrates: `usrb` in ASCII. It ends with the connection.
const LOCK: i64 = 0x7573_7262;

/// How long to wait for another server that migrates the same database, and how often to try.
const PATIENCE: Duration = Duration::from_mins(10);
const PAUSE: Duration = Duration::from_millis(200);

/// Migrates or checks the database, and returns whether its tables are spread over many nodes. Each migration is a
/// transaction of its own.
pub(super) async fn run(
    options: &PgConnectOptions,
    migrate: Migrate,
    contents: Contents,
    patience: Duration,
) -> Result<bool, OpenError> {
    let mut connection = connect_for_long(options, patience)
        .await
        .map_err(|error| OpenError::NoConnection(Box::new(error)))?;
    let result = migrate_or_check(&mut connection, migrate, contents, patience).await;
    // A server that does not hear it finds out by itself.
    let _ = in_time(patience, connection.close()).await;
    result
}

async fn migrate_or_check(
    connection: &mut PgConnection,
    migrate: Migrate,
    contents: Contents,
    patience: Duration,
) -> Result<bool, OpenError> {
    let encoding = sqlx::query_scalar("SHOW server_encoding").fetch_one(&mut *connection);
    let encoding: String = in_time(patience, encoding).await.map_err(store_error)?;
    if encoding != "UTF8" {
        return Err(OpenError::Encoding(encoding));
    }
    if contents == Contents::Whole
        && in_time(patience, is_marked(connection))
            .await
            .map_err(store_error)?
    {
        return Err(OpenError::UnfinishedCopy);
    }
    let known = newest();
    let check = |found: i64| match migrate {
        _ if found > known => Err(OpenError::SchemaTooNew { found, known }),
        _ if found == known => Ok(false),
        Migrate::Always => Ok(true),
        Migrate::OnlyEmpty if found == 0 => Ok(true),
        Migrate::Never if found == 0 => Err(OpenError::NoDatabase),
        Migrate::OnlyEmpty | Migrate::Never => Err(OpenError::SchemaTooOld),
    };
    if check(applied(connection, patience).await?)? {
        lock(connection, patience).await?;
        // Another server may have been quicker.
        if check(applied(connection, patience).await?)? {
            MIGRATIONS.run(&mut *connection).await.map_err(migrate_error)?;
        }
    }
    let are_shards_possible = shards::are_possible(connection, patience)
        .await
        .map_err(store_error)?;
    if are_shards_possible && migrate == Migrate::Always {
        lock(connection, patience).await?;
        shards::spread(connection).await.map_err(store_error)?;
    }
    Ok(are_shards_possible)
}

async fn lock(connection: &mut PgConnection, patience: Duration) -> Result<(), OpenError> {
    let begin = Instant::now();
    loop {
        let query = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(LOCK);
        let locked: bool = in_time(patience, query.fetch_one(&mut *connection))
            .await
            .map_err(store_error)?;
        if locked {
            return Ok(());
        }
        if begin.elapsed() >= PATIENCE {
            return Err(OpenError::Migrating);
        }
        sleep(PAUSE).await;
    }
}

/// The newest version in the database; 0 if it has none.
async fn applied(connection: &mut PgConnection, patience: Duration) -> Result<i64, OpenError> {
    let query = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL");
    let is_ours: bool = in_time(patience, query.fetch_one(&mut *connection))
        .await
        .map_err(store_error)?;
    if !is_ours {
        return Ok(0);
    }
    let query = sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM _sqlx_migrations");
    in_time(patience, query.fetch_one(connection))
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
    use super::{MIGRATIONS, newest};
    use crate::storage::{migrations::assert_whole, schema_version};

    #[test]
    fn every_file_of_the_folder_is_a_migration() {
        assert_whole("postgres", &MIGRATIONS);
    }

    #[test]
    fn the_newest_version_is_that_of_all_engines() {
        assert_eq!(newest(), schema_version());
    }
}
