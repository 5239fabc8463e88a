//! How a file is made, opened and migrated.

use std::{fs, io::Read as _, process::Stdio, time::Duration};

use sqlx::Connection as _;
use userbridge::{
    domain::{Clock as _, Random as _, Timestamp},
    storage::{self, Migrate, OpenError},
};

use super::{migrated, raw};
use crate::support::{
    CLOCK, RANDOM, database,
    process::{Process, Serve, USERBRIDGE, command, serve, userbridge},
};

async fn error_of(url: &str, migrate: Migrate) -> OpenError {
    match storage::connect(url, migrate).await {
        Ok(_) => panic!("it opened"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_database_of_a_newer_program_is_refused() {
    let (folder, url) = migrated().await;
    let mut connection = raw(&url).await;
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9000, 'from the future', 1, x'00', 0)",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    connection.close().await.unwrap();
    for migrate in [Migrate::Always, Migrate::OnlyEmpty, Migrate::Never] {
        let error = error_of(&url, migrate).await;
        assert!(
            matches!(error, OpenError::SchemaTooNew { found: 9000, .. }),
            "{error:?}"
        );
    }
    let before = fs::read(folder.path().join("users.db")).unwrap();
    for arguments in [
        &[
            "serve",
            "--grpc-addr",
            "127.0.0.1:0",
            "--http-addr",
            "127.0.0.1:0",
        ][..],
        &["migrate"],
        &["org", "list"],
    ] {
        let refused = userbridge(&url, arguments);
        assert_eq!(refused.code, 1);
        assert_eq!(refused.stdout, "");
        let line = refused.stderr.lines().last().unwrap();
        let file = folder.path().join("users.db");
        assert!(
            line.starts_with(&format!(
                "error: {}: the database has schema version 9000, and this program knows versions up to ",
                file.display()
            )) && line.ends_with(": run a newer userbridge"),
            "{line}"
        );
    }
    assert_eq!(fs::read(folder.path().join("users.db")).unwrap(), before);
}

#[tokio::test]
async fn a_migration_that_is_not_this_programs_is_refused() {
    let (_folder, url) = migrated().await;
    let mut connection = raw(&url).await;
    sqlx::query("UPDATE _sqlx_migrations SET checksum = x'00'")
        .execute(&mut connection)
        .await
        .unwrap();
    let error = error_of(&url, Migrate::Always).await;
    assert!(matches!(error, OpenError::SchemaChanged(1)), "{error:?}");
}

#[tokio::test]
async fn a_database_that_is_not_there_is_made_only_where_that_was_asked_for() {
    let (folder, url) = database();
    let error = error_of(&url, Migrate::Never).await;
    assert!(matches!(error, OpenError::NoDatabase), "{error:?}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    storage::connect(&url, Migrate::OnlyEmpty)
        .await
        .unwrap()
        .close()
        .await;
    storage::connect(&url, Migrate::Never)
        .await
        .unwrap()
        .close()
        .await;
    for url in ["mysql://localhost/users", "users.db", ""] {
        let error = error_of(url, Migrate::Always).await;
        assert!(matches!(error, OpenError::UnknownEngine), "{url}: {error:?}");
    }
}

/// What is left of a start that was cut off before its first migration was on disk.
#[tokio::test]
async fn a_server_starts_on_a_file_that_was_only_begun() {
    for begun in [
        // Nothing but the file.
        None,
        Some("VACUUM"),
        Some("PRAGMA journal_mode = wal"),
        // The migrator's own table, without a row.
        Some(
            "CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL,
                 installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, success BOOLEAN NOT NULL,
                 checksum BLOB NOT NULL, execution_time BIGINT NOT NULL)",
        ),
    ] {
        let (folder, url) = database();
        match begun {
            None => fs::write(folder.path().join("users.db"), "").unwrap(),
            Some(sql) => {
                let mut connection = raw(&url).await;
                sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
                connection.close().await.unwrap();
            }
        }
        assert_works(&url);
    }
}

/// A number from 0 up to `end`.
fn random(end: u64) -> u64 {
    let mut bytes = [0; 8];
    RANDOM.fill(&mut bytes).unwrap();
    u64::from_le_bytes(bytes) % end
}

#[tokio::test]
async fn a_migration_killed_at_any_moment_leaves_a_database_that_works() {
    // How long an undisturbed one takes, so that the blows fall all over it.
    let begin = CLOCK.now();
    let (_folder, url) = database();
    assert_eq!(userbridge(&url, &["migrate"]).code, 0);
    let whole = micros_between(begin, CLOCK.now());
    for _ in 0..15 {
        let (_folder, url) = database();
        for _ in 0..2 {
            let mut migrate = Process::start(
                command(USERBRIDGE)
                    .args(["migrate", "--database-url", &url])
                    .stderr(Stdio::null()),
            );
            tokio::time::sleep(Duration::from_micros(random(whole))).await;
            migrate.kill();
        }
        assert_eq!(userbridge(&url, &["migrate"]).code, 0, "{url}");
        let mut connection = raw(&url).await;
        let verdict: String = sqlx::query_scalar("PRAGMA integrity_check")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        assert_eq!(verdict, "ok");
        connection.close().await.unwrap();
        assert_eq!(userbridge(&url, &["org", "create", "acme"]).code, 0);
    }
}

fn micros_between(begin: Timestamp, end: Timestamp) -> u64 {
    u64::try_from((end.as_millis() - begin.as_millis()) * 1000)
        .unwrap()
        .max(1000)
}

#[test]
fn a_server_killed_while_it_starts_starts_again() {
    for _ in 0..5 {
        let (_folder, url) = database();
        let mut serve = Process::start(
            serve()
                .args(["--database-url", &url])
                .env("USERBRIDGE_LOG", "off"),
        );
        std::thread::sleep(Duration::from_micros(random(30_000)));
        serve.kill();
        assert_works(&url);
    }
}

#[test]
fn many_programs_migrate_one_new_file_at_once() {
    for _ in 0..4 {
        let (_folder, url) = database();
        let mut migrating: Vec<_> = (0..4)
            .map(|_| {
                command(USERBRIDGE)
                    .args(["migrate", "--database-url", &url])
                    .stdout(Stdio::null())
                    .stderr(Stdio::piped())
                    .spawn()
                    .unwrap()
            })
            .collect();
        for child in &mut migrating {
            let status = child.wait().unwrap();
            let mut said = String::new();
            child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            assert!(status.success(), "{said}");
        }
        assert_works(&url);
    }
}

/// A server starts on it and stops again.
fn assert_works(url: &str) {
    let mut serve = Serve::start(url);
    assert_eq!(userbridge(url, &["org", "create", "acme"]).code, 0);
    serve.process.terminate();
    assert!(serve.process.wait().success());
}
