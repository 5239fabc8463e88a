//! The shape that lets a PostgreSQL shard the directory by organization: read from the catalog, and from the statements that the
//! cases run.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, PgConnection, Row as _, postgres::PgRow};

use super::{CASES, fixture::Fixture};
use crate::support::{
    engine::{Engine, Postgres},
    proxy::Proxy,
};

/// Tables that every node holds.
const EVERYWHERE: [&str; 4] = ["address_locks", "api_keys", "organizations", "tokens"];

/// Look-up tables, and the columns that they are sharded by. All others are sharded by `organization_id`.
const BY_KEY: [(&str, &str); 3] = [("addresses", "email"), ("links", "user_id"), ("users", "id")];

/// Statements that ask every shard, or write to several, by the words that they have.
const ACROSS: [(&str, &str); 9] = [
    (
        "WITH wanted AS",
        "revocations of many organizations; one by one where the tables are sharded",
    ),
    (
        "AND m.organization_id = k.organization_id AND m.revoked_at IS NULL",
        "look-ups: whose a key is, is known when it is found",
    ),
    (
        "SELECT c.organization_id, c.events FROM",
        "the logs of all who are followed",
    ),
    (
        "array_agg(id ORDER BY due_at)",
        "the mail worker asks of all organizations",
    ),
    ("ORDER BY at LIMIT", "upkeep of all organizations"),
    ("ORDER BY created_at LIMIT", "upkeep of all organizations"),
    ("o.retention_days IS NOT NULL AND", "upkeep of all organizations"),
    (
        "SELECT DISTINCT email FROM addresses",
        "imports: whom the addresses of many rows lead to",
    ),
    ("FROM tokens AS k", "whose a token is, is known when it is found"),
];

/// None: every node holds it.
fn sharded_by(table: &str) -> Option<&'static str> {
    if EVERYWHERE.contains(&table) {
        return None;
    }
    let by_key = BY_KEY.iter().find(|(name, _)| *name == table);
    Some(by_key.map_or("organization_id", |(_, column)| column))
}

async fn rows(connection: &mut PgConnection, sql: &'static str) -> Vec<Vec<String>> {
    let rows = sqlx::query(sql).fetch_all(connection).await.unwrap();
    let texts = |row: &PgRow| (0..row.len()).map(|column| row.get(column)).collect();
    rows.iter().map(texts).collect()
}

async fn tables(connection: &mut PgConnection) -> BTreeSet<String> {
    let sql = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' AND tablename <> '_sqlx_migrations'";
    rows(connection, sql).await.into_iter().flatten().collect()
}

#[tokio::test]
async fn the_tables_have_a_shape_that_shards_by_organization() {
    let Some(engine) = Postgres::new().await else {
        return;
    };
    let mut connection = engine.connect().await;
    let tables = tables(&mut connection).await;
    assert!(tables.len() > 15, "{tables:?}");

    let unique = "SELECT t.relname::text, i.relname::text, coalesce(string_agg(a.attname, ' '), '')
         FROM pg_index AS x
         JOIN pg_class AS t ON t.oid = x.indrelid
         JOIN pg_class AS i ON i.oid = x.indexrelid
         LEFT JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = ANY (x.indkey)
         WHERE x.indisunique AND t.relnamespace = 'public'::regnamespace
         GROUP BY 1, 2";
    for index in rows(&mut connection, unique).await {
        let Some(column) = tables.get(&index[0]).and_then(|table| sharded_by(table)) else {
            continue;
        };
        assert!(
            index[2].split(' ').any(|name| name == column),
            "{index:?} lacks {column}"
        );
    }

    let foreign = "SELECT c.conname::text, t.relname::text, r.relname::text,
             (SELECT string_agg(attname, ' ') FROM pg_attribute WHERE attrelid = t.oid AND attnum = ANY (c.conkey))
         FROM pg_constraint AS c
         JOIN pg_class AS t ON t.oid = c.conrelid
         JOIN pg_class AS r ON r.oid = c.confrelid
         WHERE c.contype = 'f'";
    for key in rows(&mut connection, foreign).await {
        let Some(column) = sharded_by(&key[2]) else {
            continue;
        };
        assert_eq!(sharded_by(&key[1]), Some(column), "{key:?}");
        assert!(
            key[3].split(' ').any(|name| name == column),
            "{key:?} lacks {column}"
        );
    }

    let triggers = "SELECT tgname::text FROM pg_trigger WHERE NOT tgisinternal";
    assert_eq!(rows(&mut connection, triggers).await, Vec::<Vec<String>>::new());
    let sequences = "SELECT relname::text FROM pg_class WHERE relkind = 'S'";
    assert_eq!(rows(&mut connection, sequences).await, Vec::<Vec<String>>::new());
    // Ids and times are made by the program.
    let defaults =
        "SELECT table_name::text, column_name::text, column_default::text FROM information_schema.columns
         WHERE table_schema = 'public' AND table_name <> '_sqlx_migrations' AND column_default IS NOT NULL
           AND is_generated = 'NEVER'";
    for default in rows(&mut connection, defaults).await {
        assert!(["0", "false"].contains(&&*default[2]), "{default:?}");
    }
}

/// PostgreSQL behind a proxy that keeps what is said.
struct Recorded {
    url: String,
    proxy: Proxy,
    database: Postgres,
}

impl Recorded {
    /// As migrations leave it.
    async fn empty(&self, tables: &BTreeSet<String>) {
        let filled = tables.iter().filter(|table| *table != "address_locks");
        let filled = filled.map(String::as_str).collect::<Vec<_>>().join(", ");
        let counters = "INSERT INTO organization_counters (organization_id) VALUES ('00000000-0000-0000-0000-000000000000')";
        let sql = format!("TRUNCATE {filled}; {counters}");
        let mut connection = self.database.connect().await;
        // Safe: the names are PostgreSQL's own.
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut connection)
            .await
            .unwrap();
    }
}

#[async_trait(?Send)]
impl Engine for Recorded {
    async fn new() -> Option<Self> {
        let database = Postgres::new().await?;
        let proxy = Proxy::before(database.url());
        Some(Self {
            url: proxy.url(),
            proxy,
            database,
        })
    }

    fn url(&self) -> &str {
        &self.url
    }
}

/// Files whose cases run between them every statement that there is.
const FILES: [&str; 20] = [
    "organizations",
    "api_keys",
    "links",
    "addresses",
    "updates",
    "endings",
    "owners",
    "facets",
    "erasures",
    "filters",
    "lists",
    "idempotency",
    "lookups",
    "mails",
    "events",
    "hot_paths",
    "imports",
    "teams",
    "acting",
    "credentials",
];

/// Cases that take seconds. Of their statements the others run all, but for lists with some more pairs of filters.
const LONG: [&str; 3] = [
    "an_import_comes_to_what_links_one_by_one_come_to",
    "pages_are_whole_while_members_come_and_go",
    "rows_that_take_long_are_imported_in_parts",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_statements_ask_one_shard_or_say_why_not() {
    let Some(engine) = Recorded::new().await.map(Arc::new) else {
        return;
    };
    let tables = tables(&mut engine.database.connect().await).await;
    let opened = Fixture::on(engine.clone()).await;
    let cases = CASES
        .iter()
        .filter(|(file, name, _)| FILES.contains(file) && !LONG.contains(name));
    for (_, _, run) in cases {
        engine.empty(&tables).await;
        run(opened.anew()).await;
    }
    opened.close().await;
    let said = engine.proxy.said();
    assert!(said.len() > 60, "{said:#?}");
    let mut across = BTreeSet::new();
    let mut named = BTreeSet::new();
    for statement in &said {
        let words: BTreeSet<_> = statement
            .split(|character: char| !character.is_alphanumeric() && character != '_')
            .collect();
        for change in ["UPDATE events", "DELETE FROM events", "TRUNCATE"] {
            assert!(!statement.contains(change), "{statement}");
        }
        for word in ["now", "random", "gen_random_uuid", "nextval", "clock_timestamp"] {
            assert!(!words.contains(word), "{word} in {statement}");
        }
        let of: Vec<_> = tables
            .iter()
            .filter(|table| words.contains(table.as_str()))
            .collect();
        named.extend(of.iter().copied());
        let keys: BTreeSet<_> = of.iter().filter_map(|table| sharded_by(table)).collect();
        let asks_one = match keys.iter().copied().collect::<Vec<_>>()[..] {
            [] => true,
            [key] => {
                [" = $", " = '"]
                    .iter()
                    .any(|is| statement.contains(&format!("{key}{is}")))
                    || is_insert(statement, key)
            }
            _ => false,
        };
        if !asks_one {
            let exempt = ACROSS.iter().find(|(words, _)| statement.contains(words));
            let (words, _) = exempt.unwrap_or_else(|| panic!("it asks many shards: {statement}"));
            across.insert(*words);
        }
    }
    let unsaid: Vec<_> = tables.iter().filter(|table| !named.contains(table)).collect();
    assert_eq!(unsaid, Vec::<&String>::new());
    let unused: Vec<_> = ACROSS
        .iter()
        .filter(|(words, _)| !across.contains(words))
        .collect();
    assert_eq!(unused, Vec::<&(&str, &str)>::new());
}

/// Whether a statement adds rows, each of one shard.
fn is_insert(statement: &str, key: &str) -> bool {
    let begin = ["INSERT INTO ", "COPY "];
    let rest = begin.iter().find_map(|begin| statement.split_once(begin));
    let columns = rest.and_then(|(_, rest)| rest.split_once(')'));
    columns.is_some_and(|(columns, _)| columns.contains(key))
}
