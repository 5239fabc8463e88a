//! Which files are taken for the directory's database, and who may read them.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
    process::Command,
};

use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use userbridge::storage::{self, Migrate, OpenError};

use crate::{
    cli::assert_one_line,
    support::{
        database,
        process::{Finished, USERBRIDGE, command, userbridge},
        skip,
    },
};

/// `userbridge serve` on a database that it must refuse.
fn refused(url: &str) -> Finished {
    let free = "127.0.0.1:0";
    let finished = userbridge(url, &["serve", "--grpc-addr", free, "--http-addr", free]);
    assert_eq!((finished.code, finished.stdout.as_str()), (1, ""), "{finished:?}");
    assert_one_line(&finished.stderr);
    finished
}

async fn raw(url: &str) -> SqliteConnection {
    let options = url.parse::<SqliteConnectOptions>().unwrap();
    SqliteConnection::connect_with(&options.create_if_missing(true))
        .await
        .unwrap()
}

async fn error_of(url: &str, migrate: Migrate) -> OpenError {
    match storage::connect(url, migrate).await {
        Ok(_) => panic!("it opened"),
        Err(error) => error,
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

#[tokio::test]
async fn a_url_that_names_no_file_to_be_written_is_refused() {
    let (folder, url) = database();
    for url in [
        "sqlite::memory:",
        "sqlite://:memory:",
        "sqlite:",
        "sqlite:file::memory:",
        &format!("{url}?mode=memory"),
        &format!("{url}?mode=ro"),
        &format!("{url}?immutable=1"),
    ] {
        let error = error_of(url, Migrate::Always).await;
        assert!(matches!(error, OpenError::NoFile), "{url}: {error:?}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    let line = refused("sqlite::memory:").stderr;
    assert!(line.contains(":memory:"), "{line}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_as_it_is() {
    let (folder, url) = database();
    let path = folder.path().join("users.db");
    let text = "no database\n".repeat(1000);
    fs::write(&path, &text).unwrap();
    let error = error_of(&url, Migrate::Always).await;
    assert!(matches!(error, OpenError::NotADatabase), "{error:?}");
    let line = refused(&url).stderr;
    assert!(line.contains(path.to_str().unwrap()), "{line}");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[tokio::test]
async fn a_database_of_another_program_is_refused_and_left_as_it_is() {
    for foreign in [
        "CREATE TABLE things (id INTEGER PRIMARY KEY)",
        "PRAGMA application_id = 252006675",
        // Of another program that migrates with the same library.
        "CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL,
             installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, success BOOLEAN NOT NULL,
             checksum BLOB NOT NULL, execution_time BIGINT NOT NULL);
         INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             VALUES (1, 'things', 1, x'00', 0);
         CREATE TABLE things (id INTEGER PRIMARY KEY)",
    ] {
        let (folder, url) = database();
        let mut connection = raw(&url).await;
        sqlx::raw_sql(AssertSqlSafe(foreign))
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
        let path = folder.path().join("users.db");
        let before = fs::read(&path).unwrap();
        for migrate in [Migrate::Always, Migrate::OnlyEmpty, Migrate::Never] {
            let error = error_of(&url, migrate).await;
            assert!(matches!(error, OpenError::Foreign), "{foreign}: {error:?}");
        }
        let migrate = userbridge(&url, &["migrate"]);
        assert_eq!(migrate.code, 1, "{migrate:?}");
        assert!(migrate.stderr.contains(path.to_str().unwrap()), "{migrate:?}");
        assert_eq!(fs::read(&path).unwrap(), before);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

#[tokio::test]
async fn a_database_says_whose_it_is_also_one_from_before_it_did() {
    const OURS: i64 = 0x7573_7262;
    let (_folder, url) = database();
    for _ in 0..2 {
        storage::connect(&url, Migrate::Always)
            .await
            .unwrap()
            .close()
            .await;
        let mut connection = raw(&url).await;
        let id: i64 = sqlx::query_scalar("PRAGMA application_id")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        assert_eq!(id, OURS);
        sqlx::raw_sql("PRAGMA application_id = 0")
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
    }
    // Those who may not change the schema take it as it is.
    storage::connect(&url, Migrate::Never)
        .await
        .unwrap()
        .close()
        .await;
}

#[tokio::test]
async fn only_its_owner_reads_a_new_database() {
    let (folder, url) = database();
    let storage = storage::connect(&url, Migrate::Always).await.unwrap();
    for file in ["users.db", "users.db-wal", "users.db-shm"] {
        assert_eq!(mode(&folder.path().join(file)), 0o600, "{file}");
    }
    storage.close().await;
    // What somebody has chosen for a file that is there stays.
    let path = folder.path().join("users.db");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let storage = storage::connect(&url, Migrate::Always).await.unwrap();
    assert_eq!(mode(&path), 0o640);
    storage.close().await;
}

/// Runs `userbridge migrate` as somebody to whom the modes of files apply, which they don't to root. None: can't be had.
fn migrate_by_anybody(url: &str) -> Option<Finished> {
    let mut setpriv = command("setpriv");
    setpriv.args(["--bounding-set=-all", "--inh-caps=-all", "--"]);
    let is_root = fs::metadata("/proc/self").ok()?.uid() == 0;
    let mut migrate: Command = if is_root { setpriv } else { command("env") };
    migrate.args([USERBRIDGE, "migrate", "--database-url", url]);
    Some(migrate.output().ok()?.into())
}

#[tokio::test]
async fn a_file_that_may_not_be_written_is_refused_in_one_line_that_names_it() {
    let (folder, url) = database();
    let path = folder.path().join("users.db");
    if migrate_by_anybody(&url).is_none_or(|finished| finished.code != 0) {
        return skip("setpriv is not there, or may not be used");
    }
    for (changed, forbidden, usual) in [(path.as_path(), 0o400, 0o600), (folder.path(), 0o500, 0o700)] {
        fs::set_permissions(changed, fs::Permissions::from_mode(forbidden)).unwrap();
        let finished = migrate_by_anybody(&url).unwrap();
        fs::set_permissions(changed, fs::Permissions::from_mode(usual)).unwrap();
        assert_eq!(finished.code, 1, "{finished:?}");
        assert_one_line(&finished.stderr);
        assert!(finished.stderr.contains(path.to_str().unwrap()), "{finished:?}");
        assert_eq!(migrate_by_anybody(&url).unwrap().code, 0);
    }
    let nowhere = format!("sqlite:{}/no/such/folder/users.db", folder.path().display());
    let line = refused(&nowhere).stderr;
    assert!(line.contains("no/such/folder/users.db"), "{line}");
}

/// While the file is compacted there is a copy of everybody in it.
#[tokio::test]
async fn the_copy_that_compacting_makes_is_beside_the_database_and_for_its_owner_only() {
    let (folder, url) = database();
    storage::connect(&url, Migrate::Always)
        .await
        .unwrap()
        .close()
        .await;
    let mut connection = raw(&url).await;
    // 40 MB, so that it takes a while.
    sqlx::query(
        "WITH RECURSIVE counted (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < 400)
         INSERT INTO idempotency_keys (organization_id, api_key_id, key, request, response, at)
         SELECT x'00', x'00', n, x'00', randomblob(100000), 0 FROM counted",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    connection.close().await.unwrap();
    let mut compact = command(USERBRIDGE)
        .args(["compact", "--database-url", &url])
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let open = format!("/proc/{}/fd", compact.id());
    if !Path::new(&open).exists() {
        compact.wait().unwrap();
        return skip("there is no /proc");
    }
    let mut seen = Vec::new();
    while compact.try_wait().unwrap().is_none() {
        let files = fs::read_dir(&open).into_iter().flatten().flatten();
        for file in files {
            let (Ok(target), Ok(metadata)) = (fs::read_link(file.path()), fs::metadata(file.path())) else {
                continue;
            };
            let name = target.to_string_lossy().into_owned();
            // SQLite's names for temporary files.
            if name.contains("etilqs_") && metadata.len() > 1_000_000 && !seen.contains(&name) {
                assert_eq!(metadata.mode() & 0o777, 0o600);
                // Its name is gone already, so whatever happens nothing stays.
                assert!(name.ends_with("(deleted)"), "{name}");
                seen.push(name);
            }
        }
    }
    assert!(compact.wait().unwrap().success());
    assert!(!seen.is_empty(), "no copy was seen");
    for name in seen {
        assert!(
            name.starts_with(folder.path().canonicalize().unwrap().to_str().unwrap()),
            "{name}"
        );
    }
}
