//! What only a database in a file can do wrong.

use std::{fs, io::Read as _, path::Path, pin::pin, process::Stdio, time::Duration};

use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;
use tokio::time::timeout;
use tokio_stream::StreamExt as _;
use userbridge::{
    domain::{
        Actor, Change, Clock as _, Event, EventKind, EventQuery, Idempotency, KeyDigest, LinkRequest, Member,
        MemberFilter, MemberLookup, MemberPatch, Organization, PortalRole, Presented, Random as _, Role,
        Scope, Timestamp,
    },
    service::{Credential, Directory, Read, ServiceError, Write},
    storage::{self, Migrate, OpenError},
};

use crate::support::{
    CLOCK, Count as _, Form, RANDOM, Tenant, TestApp, database, first,
    process::{Process, Serve, USERBRIDGE, command, serve, userbridge},
};

async fn raw(url: &str) -> SqliteConnection {
    let options = url.parse::<SqliteConnectOptions>().unwrap();
    SqliteConnection::connect_with(&options.create_if_missing(true))
        .await
        .unwrap()
}

async fn migrated() -> (TempDir, String) {
    let (folder, url) = database();
    storage::connect(&url, Migrate::Always)
        .await
        .unwrap()
        .close()
        .await;
    (folder, url)
}

async fn error_of(url: &str, migrate: Migrate) -> OpenError {
    match storage::connect(url, migrate).await {
        Ok(_) => panic!("it opened"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn the_file_is_in_write_ahead_mode_and_strict_about_references() {
    let (_folder, url) = migrated().await;
    let mut connection = raw(&url).await;
    // It is a property of the file, so a connection that asks for nothing sees it.
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(mode, "wal");
    let broken = sqlx::query("PRAGMA foreign_key_check")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    assert!(broken.is_empty());
}

#[tokio::test]
async fn the_event_log_refuses_to_be_changed_or_shortened() {
    let app = TestApp::start(Form::Embedded).await;
    app.tenant("acme").await;
    let mut connection = raw(app.database_url()).await;
    let count = "SELECT count(*) FROM events";
    let before: i64 = sqlx::query_scalar(count)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert!(before > 0);
    for change in [
        "UPDATE events SET actor = 'nobody'",
        "UPDATE events SET sequence = sequence + 1000",
        "DELETE FROM events",
        "DELETE FROM events WHERE sequence = 1",
    ] {
        let error = sqlx::query(change).execute(&mut connection).await.unwrap_err();
        assert!(error.to_string().contains("append-only"), "{error}");
    }
    let after: i64 = sqlx::query_scalar(count)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(after, before);
}

#[tokio::test]
async fn no_key_is_in_the_files_and_no_profile_is_in_the_log() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.tenant("acme").await;
    let admin = app.key(&acme.organization, &[Scope::Admin]).await;
    let sally = app.member(&acme.organization, "sally@acme.example.com").await;
    let user = sally.user_id.to_string();
    app.retrieve(&acme.key, &user).await.unwrap();
    app.delete(&acme.key, &user).await.unwrap();
    app.ping("pb_presented_but_unknown").await.unwrap_err();
    // While the server runs: the write-ahead log is part of what is stored.
    let folder = Path::new(app.database_url().strip_prefix("sqlite:").unwrap())
        .parent()
        .unwrap();
    let mut stored = String::new();
    for file in fs::read_dir(folder).unwrap() {
        stored.push_str(&String::from_utf8_lossy(&fs::read(file.unwrap().path()).unwrap()));
    }
    assert!(stored.contains("sally@acme.example.com"));
    for secret in [&acme.key, &admin] {
        assert!(!stored.contains(secret));
        // The random half, or the end of it.
        assert!(!stored.contains(secret.strip_prefix("pb_").unwrap()));
        assert!(!stored.contains(secret.get(20..).unwrap()));
    }
    assert!(!stored.contains("presented_but_unknown"));

    let mut connection = raw(app.database_url()).await;
    let told: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM events WHERE instr(kind || actor || fields, 'sally') OR instr(fields, 'Doe')",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!(told, 0);
}

#[tokio::test]
async fn everybody_is_found_after_the_file_was_compacted() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.tenant("acme").await;
    let mut members = Vec::new();
    for index in 0..5 {
        let email = format!("{index}@acme.example.com");
        members.push((app.member(&acme.organization, &email).await, email));
    }
    app.delete(&acme.key, &members.remove(1).0.user_id.to_string())
        .await
        .unwrap();
    let mut connection = raw(app.database_url()).await;
    sqlx::query("VACUUM").execute(&mut connection).await.unwrap();
    for (member, email) in members {
        let found = app.retrieve_email(&acme.key, &email).await.unwrap();
        assert_eq!(found.id, member.id.to_string());
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

/// In one batch with it are look-ups of others, of other organizations too.
#[tokio::test]
async fn a_row_that_is_not_readable_is_an_error_for_whoever_asks_for_it_alone() {
    let app = TestApp::start(Form::Embedded).await;
    let (acme, globex) = (app.tenant("acme").await, app.tenant("globex").await);
    let broken = app.member(&acme.organization, "broken@acme.example.com").await;
    let sound = app.member(&globex.organization, "sound@globex.example.com").await;
    // Not UTF-8: no program of ours writes this.
    sqlx::query("UPDATE members SET name = CAST(x'c328' AS TEXT) WHERE user_id = $1")
        .bind(&broken.user_id.as_uuid().as_bytes()[..])
        .execute(&mut raw(app.database_url()).await)
        .await
        .unwrap();
    let ask = |key: &str, member: &Member| {
        let (key, lookup) = (KeyDigest::of(key), MemberLookup::UserId(member.user_id));
        let directory = app.directory();
        async move { directory.retrieve_user(key, lookup).await }
    };
    // Asked for at once, they are looked up at once.
    let (first, second, third) = tokio::join!(
        ask(&globex.key, &sound),
        ask(&acme.key, &broken),
        ask(&globex.key, &sound)
    );
    assert_eq!(
        (first.unwrap(), third.unwrap()),
        (sound.clone().into(), sound.into())
    );
    assert!(matches!(second, Err(ServiceError::Internal(_))), "{second:?}");
}

/// In one batch with it are revocations of others, of other organizations too.
#[tokio::test]
async fn a_revocation_that_fails_leaves_nothing_behind_and_fails_alone() {
    let app = TestApp::start(Form::Embedded).await;
    let (acme, globex) = (app.tenant("acme").await, app.tenant("globex").await);
    let gone = app.member(&acme.organization, "gone@acme.example.com").await;
    let stays = app.member(&acme.organization, "stays@acme.example.com").await;
    let viewer = staff(&app, &acme, "viewer@acme.example.com").await;
    let other = app.member(&globex.organization, "other@globex.example.com").await;
    // Fails when the members are revoked already and the first event is written.
    let mut connection = raw(app.database_url()).await;
    let trigger = format!(
        "CREATE TRIGGER broken BEFORE INSERT ON events WHEN hex(new.user_id) = '{:X}' AND new.kind = 'member.revoked'
         BEGIN SELECT RAISE (FAIL, 'broken'); END",
        stays.user_id.as_uuid().simple()
    );
    sqlx::query(sqlx::AssertSqlSafe(trigger))
        .execute(&mut connection)
        .await
        .unwrap();
    let revoke = |tenant: &Tenant, member: &Member| {
        let (key, user, directory) = (KeyDigest::of(&tenant.key), member.user_id, app.directory());
        async move { directory.delete_user(key, user, None).await }
    };
    let (first, second, third, fourth) = tokio::join!(
        revoke(&acme, &gone),
        revoke(&acme, &stays),
        revoke(&globex, &other),
        revoke(&acme, &viewer)
    );
    assert!(
        first.is_ok() && third.is_ok() && fourth.is_ok(),
        "{first:?} {third:?} {fourth:?}"
    );
    assert!(matches!(second, Err(ServiceError::Internal(_))), "{second:?}");

    let storage = app.storage().await;
    for (tenant, member, is_live) in [
        (&acme, &gone, false),
        (&acme, &stays, true),
        (&globex, &other, false),
    ] {
        let lookup = MemberLookup::UserId(member.user_id);
        let found = storage.key_and_member(KeyDigest::of(&tenant.key), lookup).await;
        assert_eq!(found.unwrap().member.is_some(), is_live);
        let query = EventQuery {
            limit: 100,
            ..EventQuery::default()
        };
        let events = storage.events(Some(tenant.organization.id), query).await.unwrap();
        let told =
            |event: &Event| event.kind == EventKind::MemberRevoked && event.user_id == Some(member.user_id);
        assert_eq!(events.iter().any(told), !is_live);
    }
    let count = storage.count_members(acme.organization.id, MemberFilter::default());
    assert_eq!(count.await.unwrap(), 2);
    // Alone, too, it takes from staff no more than the portal role.
    let key = userbridge::domain::MemberRef::Id(viewer.id);
    let left = storage
        .member(acme.organization.id, key, false)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (left.access.role, left.profile.portal_role),
        (Some(Role::Viewer), None)
    );
}

/// A viewer who is an end user as well.
async fn staff(app: &TestApp, tenant: &Tenant, email: &str) -> Member {
    let link = LinkRequest {
        values: MemberPatch {
            email: Some(Some(email.parse().unwrap())),
            portal_role: Some(Some(PortalRole::default())),
            role: Some(Some(Role::Viewer)),
            ..MemberPatch::default()
        },
        ..LinkRequest::default()
    };
    let grant = Write::operator(tenant.organization.id);
    let linked = app.directory().link_member(grant, link, Idempotency::never());
    first(linked.await.unwrap()).member
}

#[tokio::test]
async fn a_live_member_without_a_facet_is_refused_by_the_file_itself() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.tenant("acme").await;
    app.member(&acme.organization, "sally@acme.example.com").await;
    let mut connection = raw(app.database_url()).await;
    let refused = sqlx::query("UPDATE members SET portal_role = NULL")
        .execute(&mut connection)
        .await
        .unwrap_err();
    let kind = refused.as_database_error().unwrap().kind();
    assert_eq!(kind, sqlx::error::ErrorKind::CheckViolation);
    sqlx::query("UPDATE members SET portal_role = NULL, revoked_at = 1")
        .execute(&mut connection)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_second_live_link_of_a_user_or_an_address_is_refused_by_the_file_itself() {
    let (_folder, url) = migrated().await;
    let mut connection = raw(&url).await;
    sqlx::raw_sql(
        "INSERT INTO organizations (id, slug, name, created_at) VALUES (zeroblob(16), 'acme', 'Acme', 0)",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    let mut number = 0_i64;
    let mut link = async |user: &str, email: Option<&str>, revoked: Option<i64>| {
        number += 1;
        sqlx::query(
            "INSERT INTO members (
                 organization_id, id, user_id, email, number, created_at, revoked_at, superseded_number
             )
             VALUES (zeroblob(16), CAST($1 AS BLOB), unhex($2), $3, $1, 0, $4, iif($4 IS NULL, 0, $1))",
        )
        .bind(number)
        .bind(user)
        .bind(email)
        .bind(revoked)
        .execute(&mut connection)
        .await
        .map_err(|error| {
            error
                .into_database_error()
                .map(|error| error.is_unique_violation())
        })
    };
    for revoked in [Some(1), Some(1), None] {
        link("0a", Some("sally@example.com"), revoked).await.unwrap();
    }
    let refused = Err(Some(true));
    assert_eq!(
        link("0a", Some("other@example.com"), None).await.map(drop),
        refused
    );
    assert_eq!(link("0a", None, None).await.map(drop), refused);
    assert_eq!(
        link("0b", Some("sally@example.com"), None).await.map(drop),
        refused
    );
    link("0b", None, None).await.unwrap();
}

/// One batch, so one transaction: were they not told apart, it would fail, and each be tried alone.
#[tokio::test]
async fn who_is_deleted_twice_at_once_is_revoked_once_and_in_one_transaction() {
    let app = TestApp::start(Form::Embedded).await;
    let (acme, globex) = (app.organization("acme").await, app.organization("globex").await);
    let sally = app.member(&acme, "sally@acme.example.com").await;
    let other = app.member(&globex, "other@globex.example.com").await;
    // Without the server, which writes now and then by itself.
    let (_folder, url) = app.shutdown().await;
    let storage = storage::connect(&url, Migrate::Never).await.unwrap();
    let commits = storage.commits();
    let before = *commits.borrow();
    let revoke = |organization: &Organization, member: &Member| {
        let change = Change {
            actor: Actor::Operator,
            at: CLOCK.now(),
            client: None,
            source: None,
        };
        storage.revoke_user(organization.id, member.user_id, change)
    };
    let (first, again, third) = tokio::join!(
        revoke(&acme, &sally),
        revoke(&acme, &sally),
        revoke(&globex, &other)
    );
    assert_eq!(
        (first.unwrap(), again.unwrap(), third.unwrap()),
        (true, false, true)
    );
    assert_eq!(*commits.borrow(), before + 1);
    for organization in [acme, globex] {
        let query = EventQuery {
            kinds: vec![EventKind::MemberRevoked],
            limit: 100,
            ..EventQuery::default()
        };
        let told = storage.events(Some(organization.id), query).await.unwrap();
        assert_eq!(told.len(), 1);
    }
    storage.close().await;
}

/// It is woken by the commits of its own process, and there are none.
#[tokio::test]
async fn a_watcher_sees_what_other_processes_write() {
    let (_folder, url) = database();
    let storage = storage::connect(&url, Migrate::Always).await.unwrap();
    let run = |arguments: &[&str]| userbridge(&url, arguments).json();
    let acme = run(&["org", "create", "acme", "--json"]);
    let grant = Read::operator(acme["id"].as_str().unwrap().parse().unwrap());
    let credential = Credential {
        presented: Presented::new("looked at again after half a minute"),
        organization: None,
    };
    let directory = Directory::new(storage.clone());
    let watch = directory.watch_events(grant, credential, 0).await.unwrap();
    let mut kinds = pin!(watch.filter_map(|told| told.unwrap().event.map(|event| event.kind)));
    assert_eq!(kinds.next().await, Some(EventKind::OrganizationCreated));
    // It has read all there is, and waits.
    let more = timeout(Duration::from_millis(50), kinds.next()).await;
    assert!(more.is_err(), "{more:?}");
    run(&[
        "member",
        "link",
        "--org",
        "acme",
        "--email",
        "sally@acme.example.com",
        "--json",
    ]);
    let linked = timeout(Duration::from_secs(15), kinds.next()).await;
    assert_eq!(linked, Ok(Some(EventKind::MemberLinked)));
    storage.close().await;
}
