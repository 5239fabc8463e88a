//! Moving a directory from one engine to the other, by the real program.

pub(crate) mod world;

use std::{
    collections::BTreeSet,
    fs,
    process::{Child, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection, SqliteConnection};
use tokio::time::{Instant, sleep};
use userbridge::{
    domain::{Idempotency, LinkRequest, Precondition},
    service::{Directory, ServiceError, Write},
    storage::copy::TABLES,
};
use uuid::Uuid;

use self::world::{World, fill, open};
use crate::support::{
    database, first,
    postgres::Database,
    process::{Finished, Serve, USERBRIDGE, command, userbridge},
    wire::Wire,
};

/// Longer than anything takes that ends at all.
const NEVER: Duration = Duration::from_mins(2);

const PAUSE: Duration = Duration::from_millis(5);

fn begin(from: &str, to: &str, more: &[&str]) -> Child {
    command(USERBRIDGE)
        .args(["copy", "--from", from, "--to", to, "--json"])
        .args(more)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits for the end of a copy.
async fn end(child: Child) -> Finished {
    let ended = tokio::task::spawn_blocking(|| child.wait_with_output());
    ended.await.unwrap().unwrap().into()
}

async fn copy(from: &str, to: &str) -> Finished {
    end(begin(from, to, &[])).await
}

async fn verify(from: &str, to: &str) -> Finished {
    end(begin(from, to, &["--verify-only"])).await
}

/// The rows of each table that a report tells of.
fn rows(report: &Value) -> Vec<(&str, u64)> {
    let tables = report["tables"].as_array().unwrap().iter();
    tables
        .map(|table| (table["table"].as_str().unwrap(), table["rows"].as_u64().unwrap()))
        .collect()
}

async fn told(world: &World, url: &str) -> Vec<String> {
    let storage = open(url).await;
    let told = world.told_by(&*storage).await;
    storage.close().await;
    told
}

fn assert_same(one: &[String], other: &[String]) {
    assert_eq!(one.len(), other.len());
    for (one, other) in one.iter().zip(other) {
        assert_eq!(one, other);
    }
}

async fn of_sqlite(url: &str) -> SqliteConnection {
    SqliteConnection::connect(url).await.unwrap()
}

/// Keeps a copy into a PostgreSQL that is migrated from going on beyond some of the members, until it ends.
async fn obstacle<'c>(from: &str, connection: &'c mut PgConnection) -> sqlx::Transaction<'c, sqlx::Postgres> {
    let query =
        sqlx::query_scalar("SELECT user_id FROM members ORDER BY organization_id, number LIMIT 1 OFFSET 800");
    let user: Uuid = query.fetch_one(&mut of_sqlite(from).await).await.unwrap();
    let mut transaction = connection.begin().await.unwrap();
    // Whoever adds the same one waits to hear what becomes of this one.
    sqlx::query("INSERT INTO users (id, created_at) VALUES ($1, 0)")
        .bind(user)
        .execute(&mut *transaction)
        .await
        .unwrap();
    transaction
}

/// Returns when there are some members, but not all.
async fn wait_for_members(connection: &mut PgConnection) {
    let begin = Instant::now();
    loop {
        let query = sqlx::query_scalar("SELECT count(*) FROM members");
        let members: i64 = query.fetch_one(&mut *connection).await.unwrap();
        if members > 0 {
            assert_eq!(members, 500);
            return;
        }
        assert!(begin.elapsed() < NEVER);
        sleep(PAUSE).await;
    }
}

#[tokio::test]
async fn a_directory_goes_to_postgresql_and_back_with_everything() {
    let Some(target) = Database::create() else { return };
    let (folder, from) = database();
    let world = fill(&from).await;
    let before = told(&world, &from).await;

    let there = copy(&from, target.url()).await.json();
    let names: Vec<_> = TABLES.iter().map(|table| table.name).collect();
    let copied: Vec<_> = rows(&there).iter().map(|(table, _)| *table).collect();
    assert_eq!(copied, names);
    assert!(rows(&there).iter().all(|(_, rows)| *rows > 0), "{there}");
    assert_same(&before, &told(&world, target.url()).await);

    let (_folder, back) = database();
    let here = copy(target.url(), &back).await.json();
    assert_eq!(there["tables"], here["tables"]);
    assert_same(&before, &told(&world, &back).await);
    assert_eq!(
        verify(&from, &back).await.json()["tables"],
        there["tables"],
        "and the first has stayed what it was"
    );
    let files = fs::read_dir(folder.path()).unwrap();
    assert_eq!(files.count(), 1, "nothing is left beside it");

    // Addresses lead to whom they led to before, and whoever is next gets the next number.
    let mut numbers = BTreeSet::new();
    for url in [from.as_str(), target.url(), back.as_str()] {
        let storage = open(url).await;
        for (email, first) in [
            ("jürgen@bücher.example", "jürgen@bücher.example"),
            ("moved3@acme.example.com", "moved@acme.example.com"),
            ("dropped@acme.example.com", "dropped@acme.example.com"),
            ("left@gone.example.com", "left@gone.example.com"),
            ("revoked@acme.example.com", "revoked@acme.example.com"),
        ] {
            let whose = world.person(first).user_id;
            assert_eq!(world.leads_to(&storage, email).await, whose, "{email}");
        }
        // Nothing is left of one, and the other is live under another address.
        for email in ["erased@acme.example.com", "moved@acme.example.com"] {
            let was = world.person(email).user_id;
            assert_ne!(world.leads_to(&storage, email).await, was, "{email}");
        }
        let directory = Directory::new(storage.clone());
        let write = Write::operator(world.acme);
        let refused = directory.revoke_member(write.clone(), world.owner.id, None).await;
        assert!(
            matches!(refused, Err(ServiceError::Precondition(Precondition::LastOwner))),
            "{refused:?}"
        );
        let linked = directory.link_member(write, LinkRequest::default(), Idempotency::never());
        numbers.insert(first(linked.await.unwrap()).member.number);
        storage.close().await;
    }
    assert_eq!(numbers.len(), 1);
}

#[tokio::test]
async fn a_server_goes_on_with_the_copy() {
    let Some(target) = Database::create() else { return };
    let (_folder, from) = database();
    let world = fill(&from).await;
    assert_eq!(copy(&from, target.url()).await.code, 0);
    let serve = Serve::start(target.url());
    let mut wire = Wire::open(serve.http_addr).await;
    let user = world.person("jürgen@bücher.example").user_id;
    for (path, key, status) in [
        ("retrieve", &world.old_key, 200),
        ("delete", &world.key, 200),
        ("retrieve", &world.key, 404),
    ] {
        let body = json!({ "api_key": key, "user_id": user.to_string() }).to_string();
        let path = format!("/api/external/v1/users/{path}");
        let reply = wire
            .post(&path, "application/json", body.as_bytes())
            .await
            .unwrap();
        assert_eq!(reply.status, status, "{path}");
    }
    let listed = userbridge(
        target.url(),
        &["member", "list", "--org", "globex", "--text", "σίσυφος", "--json"],
    );
    assert_eq!(listed.json().as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_copy_that_is_killed_goes_on_where_it_was() {
    let Some(target) = Database::create() else { return };
    let (_folder, from) = database();
    let world = fill(&from).await;
    assert_eq!(userbridge(target.url(), &["migrate"]).code, 0);
    let (mut blocking, mut looking) = (target.connect().await, target.connect().await);
    let obstacle = obstacle(&from, &mut blocking).await;
    let mut killed = begin(&from, target.url(), &[]);
    wait_for_members(&mut looking).await;
    killed.kill().unwrap();
    killed.wait().unwrap();
    obstacle.rollback().await.unwrap();

    // Nothing else is done with half a directory.
    for arguments in [&["org", "list"][..], &["migrate"]] {
        let refused = userbridge(target.url(), arguments);
        assert_eq!(refused.code, 1, "{refused:?}");
        assert!(refused.stderr.contains("not finished"), "{refused:?}");
    }
    let (_folder, other) = database();
    assert_eq!(userbridge(&other, &["org", "create", "other"]).code, 0);
    let refused = copy(&other, target.url()).await;
    assert_eq!(refused.code, 4, "{refused:?}");
    let refused = copy(target.url(), &other).await;
    assert_eq!(refused.code, 1, "{refused:?}");

    let copied = copy(&from, target.url()).await;
    let first: Value = serde_json::from_str(copied.stderr.lines().next().unwrap()).unwrap();
    assert_eq!(first["phase"], "copying");
    assert!(first["done"].as_u64().unwrap() > 500, "{first}");
    let tables = copied.json()["tables"].clone();
    assert_same(&told(&world, &from).await, &told(&world, target.url()).await);

    // The same the other way.
    let (_folder, back) = database();
    let mut killed = begin(target.url(), &back, &[]);
    let path = back.trim_start_matches("sqlite:").to_owned();
    let start = Instant::now();
    loop {
        assert!(start.elapsed() < NEVER);
        if std::path::Path::new(&path).exists() {
            let mut connection = of_sqlite(&back).await;
            let query = sqlx::query_scalar("SELECT count(*) FROM members");
            // An error: it is not migrated yet, or locked.
            let members: i64 = query.fetch_one(&mut connection).await.unwrap_or_default();
            if members > 0 {
                break;
            }
        }
        sleep(PAUSE).await;
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert_eq!(copy(target.url(), &back).await.json()["tables"], tables);
    assert_same(&told(&world, &from).await, &told(&world, &back).await);
}

#[tokio::test]
async fn a_source_that_is_written_meanwhile_is_no_copy() {
    let Some(target) = Database::create() else { return };
    let (_folder, from) = database();
    fill(&from).await;
    assert_eq!(userbridge(target.url(), &["migrate"]).code, 0);
    let (mut blocking, mut looking) = (target.connect().await, target.connect().await);
    let obstacle = obstacle(&from, &mut blocking).await;
    let copying = begin(&from, target.url(), &[]);
    wait_for_members(&mut looking).await;
    assert_eq!(
        userbridge(
            &from,
            &[
                "member",
                "link",
                "--org",
                "acme",
                "--email",
                "late@acme.example.com"
            ]
        )
        .code,
        0
    );
    obstacle.rollback().await.unwrap();
    let copied = end(copying).await;
    assert_eq!(copied.code, 1, "{copied:?}");
    assert!(copied.stderr.contains("was changed while"), "{copied:?}");
    // And it does not go on with what it is now.
    assert_eq!(copy(&from, target.url()).await.code, 4);
}

#[tokio::test]
async fn a_database_that_has_something_is_no_target() {
    let Some(target) = Database::create() else { return };
    let (_folder, from) = database();
    let (_folder, other) = database();
    for (url, slug) in [
        (from.as_str(), "acme"),
        (target.url(), "there"),
        (&other, "there"),
    ] {
        assert_eq!(userbridge(url, &["org", "create", slug]).code, 0);
    }
    for to in [target.url(), &other, &from] {
        let refused = copy(&from, to).await;
        assert_eq!(refused.code, 4, "{refused:?}");
        assert!(refused.stderr.contains("not empty"), "{refused:?}");
    }
    let listed = userbridge(target.url(), &["org", "list", "--json"]).json();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(listed[0]["slug"], "there");
    // Nor is an empty one a source.
    let (_folder, empty) = database();
    assert_eq!(userbridge(&empty, &["migrate"]).code, 0);
    let refused = copy(&empty, &empty).await;
    assert_eq!(refused.code, 4, "{refused:?}");
    assert_eq!(userbridge(&empty, &["org", "create", "acme"]).code, 0);
}

#[tokio::test]
async fn a_source_of_an_older_schema_is_to_be_migrated_first() {
    let (_folder, from) = database();
    let (_folder, to) = database();
    assert_eq!(userbridge(&from, &["org", "create", "acme"]).code, 0);
    sqlx::query("DELETE FROM _sqlx_migrations WHERE version = (SELECT max(version) FROM _sqlx_migrations)")
        .execute(&mut of_sqlite(&from).await)
        .await
        .unwrap();
    let refused = copy(&from, &to).await;
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains("`userbridge migrate`"), "{refused:?}");
    assert!(refused.stderr.contains("users.db"), "{refused:?}");
}

#[tokio::test]
async fn a_row_that_was_changed_by_hand_is_found() {
    let Some(target) = Database::create() else { return };
    let (_folder, from) = database();
    fill(&from).await;
    assert_eq!(copy(&from, target.url()).await.code, 0);
    assert_eq!(verify(&from, target.url()).await.code, 0);
    let mut connection = target.connect().await;
    // The last table first: the first that differs is told.
    for (table, change) in [
        ("mails", "UPDATE mails SET attempts = attempts + 1"),
        ("tokens", "UPDATE tokens SET last_used_at = NULL"),
        ("passwords", "DELETE FROM passwords"),
        (
            "idempotency_keys",
            "UPDATE idempotency_keys SET erased = NOT erased",
        ),
        (
            "events",
            "UPDATE events SET fields = fields || ' x' WHERE sequence = 2",
        ),
        ("api_keys", "UPDATE api_keys SET digest = sha256(digest)"),
        (
            "members",
            "UPDATE members SET name = name || ' ' WHERE email = 'moved3@acme.example.com'",
        ),
    ] {
        sqlx::query(change).execute(&mut connection).await.unwrap();
        let differs = verify(&from, target.url()).await;
        assert_eq!(differs.code, 1, "{differs:?}");
        assert!(
            differs.stderr.contains(&format!("{table} differs")),
            "{differs:?}"
        );
    }
}

#[tokio::test]
async fn a_password_is_not_told() {
    let (_folder, from) = database();
    assert_eq!(userbridge(&from, &["org", "create", "acme"]).code, 0);
    // Nobody listens there.
    let failed = copy(&from, "postgres://somebody:s3cret@127.0.0.1:1/users").await;
    assert_eq!(failed.code, 1, "{failed:?}");
    assert!(failed.stderr.contains("127.0.0.1:1/users"), "{failed:?}");
    assert!(!failed.stderr.contains("s3cret"), "{failed:?}");
}

/// Tables with their columns, as `table.column`.
fn listed() -> BTreeSet<String> {
    let tables = TABLES.iter();
    let columns = tables.flat_map(|table| {
        table
            .columns
            .iter()
            .map(|(name, _)| format!("{}.{name}", table.name))
    });
    columns.collect()
}

#[tokio::test]
async fn every_column_of_both_engines_is_copied_or_derived() {
    let (_folder, url) = database();
    assert_eq!(userbridge(&url, &["migrate"]).code, 0);
    let query = sqlx::query_scalar(
        "SELECT t.name || '.' || c.name FROM pragma_table_list AS t JOIN pragma_table_xinfo(t.name) AS c
         WHERE t.type = 'table' AND c.hidden = 0 AND t.name NOT LIKE 'sqlite%'
           AND t.name NOT IN ('_sqlx_migrations', 'search_backlog', 'member_texts', 'member_text_versions')
           AND t.name || '.' || c.name NOT IN ('organizations.ordinal', 'members.row', 'members.organization_ordinal',
               'members.superseded_number', 'api_keys.organization_ordinal')",
    );
    let columns: Vec<String> = query.fetch_all(&mut of_sqlite(&url).await).await.unwrap();
    assert_eq!(columns.into_iter().collect::<BTreeSet<_>>(), listed());

    let Some(database) = Database::create() else {
        return;
    };
    assert_eq!(userbridge(database.url(), &["migrate"]).code, 0);
    let sql = "SELECT table_name || '.' || column_name FROM information_schema.columns
         WHERE table_schema = 'public' AND is_generated = 'NEVER'
           AND table_name NOT IN ('_sqlx_migrations', 'users', 'links', 'addresses', 'address_locks')
           AND column_name NOT IN ('folded_name', 'folded_email')";
    let query = sqlx::query_scalar(sql);
    let columns: Vec<String> = query.fetch_all(&mut database.connect().await).await.unwrap();
    assert_eq!(columns.into_iter().collect::<BTreeSet<_>>(), listed());
}
