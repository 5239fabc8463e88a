//! `userbridge check`: damage of every kind is planted, and found.

use std::{collections::BTreeSet, fs};

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::{
    cli::assert_one_line,
    copy::world::fill,
    support::{
        database,
        engine::{Engine as _, Postgres},
        process::{Finished, userbridge},
    },
};

/// Damage that both engines can have, and the rules that it breaks.
const DAMAGE: [(&str, &[&str]); 12] = [
    (
        "DELETE FROM organizations WHERE slug = 'acme'",
        &[
            "member_organization",
            "team_organization",
            "count_organization",
            "counter_organization",
            "key_organization",
            "response_organization",
            "event_organization",
        ],
    ),
    (
        "UPDATE members SET primary_team = 999 WHERE number = 1",
        &["primary_team"],
    ),
    ("DELETE FROM teams WHERE number <> 1", &["team_of_member"]),
    ("DELETE FROM teams WHERE number = 1", &["root_team"]),
    (
        "DELETE FROM members",
        &[
            "former_address_member",
            "password_member",
            "token_member",
            "mail_member",
            "team_member",
            "event_member",
        ],
    ),
    ("DELETE FROM api_keys", &["response_key"]),
    ("DELETE FROM organization_counters", &["counters"]),
    (
        "UPDATE member_counts SET live = live + 1 WHERE role = 'owner'",
        &["member_counts"],
    ),
    (
        "UPDATE organization_counters SET members = 0",
        &["member_numbers"],
    ),
    ("UPDATE organization_counters SET teams = 0", &["team_numbers"]),
    (
        "UPDATE organization_counters SET events = events + 1",
        &["event_counter"],
    ),
    ("DELETE FROM events WHERE sequence = 2", &["event_gap"]),
];

/// What is left of somebody who was erased.
const LEFT: (&str, &[&str]) = (
    "UPDATE members SET family_name = 'left' WHERE erased_at IS NOT NULL",
    &["erased_member"],
);

const OF_SQLITE: [(&str, &[&str]); 9] = [
    ("DELETE FROM organizations WHERE slug = 'acme'", &["foreign_key"]),
    (
        "UPDATE members SET organization_ordinal = organization_ordinal + 100",
        &["member_ordinal"],
    ),
    (
        "UPDATE members SET superseded_number = number WHERE revoked_at IS NULL",
        &["member_place"],
    ),
    (
        "UPDATE api_keys SET organization_ordinal = organization_ordinal + 100",
        &["key_ordinal"],
    ),
    (
        "DELETE FROM member_texts WHERE block = (SELECT min(block) FROM member_texts)",
        &["search_index"],
    ),
    (
        "UPDATE member_texts SET lines = CAST(lines || x'ffffffff' || 'left' AS BLOB)
         WHERE block = (SELECT min(block) FROM member_texts)",
        &["search_index"],
    ),
    // As they should be, but behind a repeated one of themselves.
    (
        "UPDATE member_texts SET lines = CAST(lines || lines AS BLOB)
         WHERE block = (SELECT min(block) FROM member_texts)",
        &["search_index"],
    ),
    (
        "UPDATE members SET name = 'another' WHERE revoked_at IS NULL",
        &["search_index"],
    ),
    (
        "INSERT INTO member_texts (block, lines) VALUES (999999, x'ff')",
        &["search_index_rest"],
    ),
];

const OF_POSTGRES: [(&str, &[&str]); 7] = [
    (
        "DELETE FROM users WHERE id IN (SELECT user_id FROM members)",
        &["member_user"],
    ),
    ("DELETE FROM links", &["link_of_member"]),
    (
        "UPDATE links SET role = 'owner' WHERE role IS NULL",
        &["link_of_member"],
    ),
    (
        "UPDATE members SET revoked_at = 1 WHERE role = 'owner'",
        &["member_of_link", "address_of_member"],
    ),
    (
        "DELETE FROM addresses WHERE until IS NULL",
        &["address_of_member"],
    ),
    ("DELETE FROM former_addresses", &["member_of_address"]),
    (
        "UPDATE addresses SET since = since + 1 WHERE version > 0",
        &["address_of_member"],
    ),
];

/// The rules that are broken, each told as an object and as a line.
fn found(url: &str) -> BTreeSet<String> {
    let told = userbridge(url, &["check", "--json"]);
    let lines = userbridge(url, &["check"]);
    assert_eq!((told.code, lines.code), (1, 1), "{told:?}");
    assert_one_line(&lines.stderr);
    let report: Value = serde_json::from_str(&told.stdout).unwrap();
    assert_eq!(report["ok"], false);
    let findings = report["findings"].as_array().unwrap();
    assert_eq!(findings.len(), lines.stdout.lines().count());
    for (finding, line) in findings.iter().zip(lines.stdout.lines()) {
        let (check, text) = (
            finding["check"].as_str().unwrap(),
            finding["finding"].as_str().unwrap(),
        );
        assert!(line.starts_with(check) && line.ends_with(text), "{line}");
        assert!(!line.contains('@'), "an address is nobody's business: {line}");
    }
    findings
        .iter()
        .map(|finding| finding["check"].as_str().unwrap().to_owned())
        .collect()
}

fn assert_well(finished: &Finished) {
    let report = finished.json();
    assert_eq!(report["ok"], true);
    assert_eq!(report["findings"].as_array().unwrap().len(), 0);
}

fn assert_finds(url: &str, damage: &str, rules: &[&str]) {
    let found = found(url);
    for rule in rules {
        assert!(found.contains(*rule), "{damage}: {rule} is not among {found:?}");
    }
}

#[tokio::test]
async fn damage_of_every_kind_is_found_in_a_file() {
    let (folder, url) = database();
    fill(&url).await;
    assert_well(&userbridge(&url, &["check", "--json"]));
    let path = folder.path().join("damaged.db");
    let damaged = format!("sqlite:{}", path.display());
    for (damage, rules) in DAMAGE.iter().chain([&LEFT]).chain(&OF_SQLITE) {
        fs::copy(folder.path().join("users.db"), &path).unwrap();
        let options: SqliteConnectOptions = damaged.parse().unwrap();
        let mut connection = SqliteConnection::connect_with(&options.foreign_keys(false))
            .await
            .unwrap();
        let sql =
            format!("DROP TRIGGER events_are_never_changed; DROP TRIGGER events_are_never_removed; {damage}");
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
        assert_finds(&damaged, damage, rules);
    }
}

#[tokio::test]
async fn damage_of_every_kind_is_found_in_postgresql() {
    /// Keys between tables would keep the damage from being done.
    const DROP_KEYS: &str = "DO $$ DECLARE k record; BEGIN
        FOR k IN SELECT conrelid::regclass AS at, conname FROM pg_constraint
            WHERE contype = 'f' AND connamespace = 'public'::regnamespace
        LOOP EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', k.at, k.conname); END LOOP;
        END $$;";

    let Some(engine) = Postgres::new().await else {
        return;
    };
    let world = fill(engine.url()).await;
    drop(world);
    assert_well(&userbridge(engine.url(), &["check", "--json"]));
    for (damage, rules) in DAMAGE.iter().chain([&LEFT]).chain(&OF_POSTGRES) {
        let Some(damaged) = engine.copied() else { return };
        let mut connection = damaged.connect().await;
        let sql = format!("{DROP_KEYS} {damage}");
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
        assert_finds(damaged.url(), damage, rules);
    }
}

#[tokio::test]
async fn a_damaged_page_is_found() {
    let (folder, url) = database();
    fill(&url).await;
    let path = folder.path().join("users.db");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0x55);
    fs::write(&path, bytes).unwrap();
    assert_eq!(found(&url), BTreeSet::from(["integrity".to_owned()]));
}

#[test]
fn a_database_that_is_not_there_is_no_finding() {
    let (folder, url) = database();
    let finished = userbridge(&url, &["check"]);
    assert_eq!((finished.code, finished.stdout.as_str()), (1, ""), "{finished:?}");
    assert_one_line(&finished.stderr);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
