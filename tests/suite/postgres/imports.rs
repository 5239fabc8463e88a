//! Imports whose rows fail while they are stored, and what rows are spared that is checked otherwise.

use std::{sync::Arc, time::Duration};

use sha2::{Digest as _, Sha256};
use sqlx::{
    AssertSqlSafe, Connection as _, Executor as _,
    error::{DatabaseError, ErrorKind},
};
use tokio::time::timeout;
use userbridge::{
    domain::{Idempotency, Idempotent, ImportRow, MemberFilter, MemberPatch, TeamName, TeamSlug},
    service::{Imported, ServiceError, Write},
    storage::{
        Migrate,
        postgres::{PostgresStorage, Settings},
    },
};

use super::{
    consistency::assert_consistent,
    place::{NEVER, Place, migrated},
    retries::until_waiting,
};
use crate::support::Count as _;

/// More than are sent at once.
const ROWS: usize = 1_000;

fn row(email: &str) -> ImportRow {
    ImportRow {
        values: MemberPatch {
            email: Some(Some(email.parse().unwrap())),
            ..MemberPatch::default()
        },
        ..ImportRow::default()
    }
}

fn rows() -> Vec<ImportRow> {
    let row = |number| row(&format!("{number}@acme.example"));
    (0..ROWS).map(row).collect()
}

#[tokio::test]
async fn an_import_that_fails_half_way_leaves_nothing_and_is_made_afterwards() {
    let Some(database) = migrated().await else {
        return;
    };
    let place = Place::open(database.url()).await;
    let mut connection = database.connect().await;
    let import = async || {
        let imported = place
            .directory
            .import_members(Write::operator(place.organization), rows().into());
        timeout(NEVER, imported).await.expect("it ends")
    };
    for fault in [
        "RAISE 'full' USING ERRCODE = 'disk_full'",
        "PERFORM pg_terminate_backend(pg_backend_pid())",
    ] {
        // Safe: it is put together from constants.
        let gate = AssertSqlSafe(format!(
            "CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN
                 IF NEW.email = '{}@acme.example' THEN {fault}; END IF;
                 RETURN NEW;
             END $$;
             CREATE TRIGGER gate BEFORE INSERT ON members FOR EACH ROW EXECUTE FUNCTION gate()",
            ROWS / 2
        ));
        sqlx::raw_sql(gate).execute(&mut connection).await.unwrap();
        let failed = import().await;
        assert!(
            matches!(failed, Err(ServiceError::Unavailable(_))),
            "{fault}: {failed:?}"
        );
        sqlx::raw_sql("DROP FUNCTION gate CASCADE")
            .execute(&mut connection)
            .await
            .unwrap();
        let there = place
            .storage
            .count_members(place.organization, MemberFilter::default());
        assert_eq!(there.await.unwrap(), 0, "{fault}");
        assert_consistent(&mut connection).await;
    }
    place.until_it_works().await;
    let imported = import().await.unwrap();
    assert!(imported.iter().all(|row| matches!(row, Imported::Created(_))));
    assert_consistent(&mut connection).await;
    place.storage.close().await;
    connection.close().await.unwrap();
}

/// Rows that are linked one by one, each of which takes long, as it does where PostgreSQL is far away. All of them together take longer
/// than a transaction may.
#[tokio::test]
async fn slow_rows_are_imported_however_long_all_take() {
    const SLOW: usize = 240;

    let Some(database) = migrated().await else {
        return;
    };
    let settings = Settings {
        patience: Duration::from_secs(2),
        ..Settings::default()
    };
    let storage = PostgresStorage::open_with(database.url(), Migrate::Always, &settings).await;
    let place = Place::on(Arc::new(storage.unwrap()), "acme").await;
    let mut connection = database.connect().await;
    sqlx::raw_sql(
        "CREATE FUNCTION far_away() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN PERFORM pg_sleep(0.03); RETURN NEW; END $$;
         CREATE TRIGGER far_away BEFORE INSERT ON members FOR EACH ROW EXECUTE FUNCTION far_away()",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    let grant = Write::operator(place.organization);
    let (slug, name) = (TeamSlug::new("sales").unwrap(), TeamName::new("Sales").unwrap());
    let made = place
        .directory
        .create_team(grant.clone(), slug, name, Idempotency::never())
        .await
        .unwrap();
    let Idempotent::Fresh(team) = made else {
        panic!("it is new");
    };
    let mut rows = rows();
    rows.truncate(SLOW);
    for row in &mut rows {
        row.values.teams = Some(vec![team.number]);
    }
    let imported = place.directory.import_members(grant, rows.into());
    let imported = timeout(NEVER, imported).await.expect("it ends").unwrap();
    assert_eq!(imported.len(), SLOW);
    assert!(imported.iter().all(|row| matches!(row, Imported::Created(_))));
    assert_consistent(&mut connection).await;
    place.storage.close().await;
    connection.close().await.unwrap();
}

/// Members themselves do not refer to it.
#[tokio::test]
async fn an_organization_that_has_members_can_not_be_deleted() {
    let Some(database) = migrated().await else {
        return;
    };
    let place = Place::open(database.url()).await;
    place.link("sally@example.com").await.unwrap();
    let mut connection = database.connect().await;
    let deleted = sqlx::query("DELETE FROM organizations")
        .execute(&mut connection)
        .await;
    let refused = deleted.unwrap_err();
    let kind = refused.as_database_error().map(DatabaseError::kind);
    assert!(matches!(kind, Some(ErrorKind::ForeignKeyViolation)), "{refused}");
    place.storage.close().await;
    connection.close().await.unwrap();
}

/// Rows are found a thousand at a time. Who has addresses of some in hand while it waits for those of others waits for another import
/// that does the same.
#[tokio::test]
async fn an_import_waits_for_all_its_addresses_in_one_order() {
    let has_the_first_lock = |email: &str| {
        let digest = Sha256::digest(email);
        u16::from_be_bytes([digest[0], digest[1]]) % 1024 == 0
    };
    let Some(database) = migrated().await else {
        return;
    };
    let place = Place::open(database.url()).await;
    let earlier = (0..).map(|number| format!("a{number}@acme.example"));
    let earlier = earlier.filter(|email| !has_the_first_lock(email)).take(ROWS);
    let later = (0..).map(|number| format!("b{number}@acme.example"));
    let later = later.filter(|email| has_the_first_lock(email)).take(1);
    let rows: Vec<_> = earlier.chain(later).map(|email| row(&email)).collect();
    let mut observer = database.connect().await;
    let mut other = database.connect().await;
    let mut held = other.begin().await.unwrap();
    held.execute("SELECT FROM address_locks WHERE slot = 0 FOR UPDATE")
        .await
        .unwrap();
    let imported = place
        .directory
        .import_members(Write::operator(place.organization), rows.into());
    let others = async {
        until_waiting(&mut observer, 1).await;
        let others = held
            .execute("SELECT FROM address_locks WHERE slot > 0 FOR UPDATE NOWAIT")
            .await;
        held.rollback().await.unwrap();
        others.expect("the import has none of the others in hand");
    };
    let both = async { tokio::join!(imported, others) };
    let (imported, ()) = timeout(NEVER, both).await.expect("it ends");
    assert_eq!(imported.unwrap().len(), ROWS + 1);
    place.storage.close().await;
}

#[tokio::test]
async fn whether_the_database_takes_changes_does_not_depend_on_who_has_addresses_in_hand() {
    let Some(database) = migrated().await else {
        return;
    };
    let place = Place::open(database.url()).await;
    let mut connection = database.connect().await;
    let mut observer = database.connect().await;
    let mut touched = async || -> String {
        sqlx::query_scalar("SELECT xmin::text FROM address_locks WHERE slot = -1")
            .fetch_one(&mut observer)
            .await
            .unwrap()
    };
    let before = touched().await;
    let mut held = connection.begin().await.unwrap();
    held.execute("SELECT FROM address_locks WHERE slot >= 0 FOR UPDATE")
        .await
        .unwrap();
    place.storage.touch().await.unwrap();
    assert_ne!(touched().await, before, "something was changed");
    held.rollback().await.unwrap();
    place.storage.close().await;
}
