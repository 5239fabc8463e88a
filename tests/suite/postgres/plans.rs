//! How PostgreSQL finds members.

use std::sync::Arc;

use sqlx::{AssertSqlSafe, Connection as _};
use tokio::time::timeout;
use userbridge::{
    domain::{Idempotency, ImportRow, MemberPatch, OrganizationId},
    service::{Admin, Directory, Imported, Write},
    storage::Storage,
};

use super::place::NEVER;
use crate::support::{
    engine::{Engine as _, Postgres, open},
    first,
};

/// A directory with one organization.
async fn world(database: &Postgres) -> (Arc<dyn Storage>, Directory, OrganizationId) {
    let storage = open(database.url()).await;
    let directory = Directory::new(storage.clone());
    let (slug, name) = ("acme".parse().unwrap(), "Acme".parse().unwrap());
    let created = directory.create_organization(Admin::OPERATOR, slug, name, Idempotency::never());
    let acme = first(created.await.unwrap()).id;
    (storage, directory, acme)
}

/// Imports people who are new, and whose addresses begin with the number of their batch.
async fn import(directory: &Directory, acme: OrganizationId, batch: u32, count: u32) {
    let rows = (0..count).map(|number| ImportRow {
        values: MemberPatch {
            email: Some(Some(format!("{batch}.{number}@acme.example").parse().unwrap())),
            ..MemberPatch::default()
        },
        ..ImportRow::default()
    });
    let rows: Vec<_> = rows.collect();
    let imported = directory.import_members(Write::operator(acme), rows.into());
    let imported = timeout(NEVER, imported).await.expect("it ends").unwrap();
    assert!(imported.iter().all(|row| matches!(row, Imported::Created(_))));
}

/// Autovacuum, which is off here, would count rows a minute later.
#[tokio::test]
async fn an_import_finds_addresses_by_an_index_from_the_start() {
    let Some(database) = Postgres::new().await else {
        return;
    };
    let (storage, directory, acme) = world(&database).await;
    let mut connection = database.connect().await;
    let mut plans = Vec::new();
    for batch in 0..3 {
        import(&directory, acme, batch, 2_000).await;
        let plan: Vec<String> = sqlx::query_scalar(
            "EXPLAIN SELECT id FROM members
             WHERE organization_id = (SELECT id FROM organizations) AND email = '0.1@acme.example' AND revoked_at IS NULL",
        )
        .fetch_all(&mut connection)
        .await
        .unwrap();
        plans.push(plan.join("\n"));
    }
    let counted: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM pg_stat_user_tables WHERE relname IN ('addresses', 'links', 'members', 'users')
         AND coalesce(last_analyze, last_autoanalyze) IS NOT NULL",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!(counted, 4);
    connection.close().await.unwrap();
    storage.close().await;
    let by_address =
        |plan: &String| plan.contains("email = '0.1@acme.example'") && plan.contains("members_live_email");
    assert!(!by_address(&plans[0]), "PostgreSQL knows by itself: {}", plans[0]);
    assert!(by_address(&plans[2]), "{}", plans[2]);
}

/// An index by a function is counted by calling it.
#[tokio::test]
async fn an_import_goes_on_if_rows_can_not_be_counted() {
    let Some(database) = Postgres::new().await else {
        return;
    };
    let (storage, directory, acme) = world(&database).await;
    let mut connection = database.connect().await;
    let mut number = 0;
    for (fault, members, question) in [
        (
            "RAISE 'it can not be counted'",
            4_000,
            "SELECT last_analyze IS NULL FROM pg_stat_user_tables WHERE relname = 'members'",
        ),
        // It is given up, and would go on for hours.
        (
            "PERFORM pg_sleep(60)",
            8_000,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND query LIKE 'ANALYZE%' AND wait_event = 'PgSleep'",
        ),
    ] {
        // Safe: it is put together from constants.
        let function = AssertSqlSafe(format!(
            "CREATE OR REPLACE FUNCTION gate(text text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$
             BEGIN
                 IF current_query() LIKE 'ANALYZE%' THEN {fault}; END IF;
                 RETURN text;
             END $$;
             CREATE INDEX IF NOT EXISTS gate ON members (gate(email))"
        ));
        sqlx::raw_sql(function).execute(&mut connection).await.unwrap();
        while number < members {
            import(&directory, acme, number, 1_000).await;
            number += 1_000;
        }
        let question = sqlx::query_scalar(question).fetch_one(&mut connection);
        let holds: bool = question.await.expect(fault);
        assert!(holds, "{fault}");
    }
    connection.close().await.unwrap();
    storage.close().await;
}
