//! Transactions that others are in the way of.

use std::{sync::Arc, time::Duration};

use futures_util::future::try_join_all;
use sqlx::{Connection as _, Executor as _, PgConnection, query_scalar, raw_sql};
use tokio::time::{sleep, timeout};
use userbridge::{
    domain::{KeyDigest, Outage},
    service::ServiceError,
    storage::{
        Migrate, StoreError,
        postgres::{PostgresStorage, Settings},
    },
};

use super::{
    consistency::assert_consistent,
    place::{NEVER, Place, migrated},
};
use crate::support::postgres::Database;

async fn place() -> Option<(Database, Place)> {
    let database = migrated().await?;
    let place = Place::open(database.url()).await;
    Some((database, place))
}

/// Has the first changes of members fail with a code, as if others had been in the way. A sequence counts them, also those
/// that were undone.
async fn fail(connection: &mut PgConnection, code: &str, times: i64) {
    let sql = format!(
        "CREATE SEQUENCE attempts;
         CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             IF nextval('attempts') <= {times} THEN
                 RAISE EXCEPTION 'somebody is in the way' USING ERRCODE = '{code}';
             END IF;
             RETURN NEW;
         END $$;
         CREATE TRIGGER fail BEFORE INSERT OR UPDATE ON members FOR EACH ROW EXECUTE FUNCTION fail()"
    );
    connection
        .execute(raw_sql(sqlx::AssertSqlSafe(sql)))
        .await
        .unwrap();
}

async fn attempts(connection: &mut PgConnection) -> i64 {
    query_scalar("SELECT last_value FROM attempts")
        .fetch_one(connection)
        .await
        .unwrap()
}

fn assert_is_locked<T>(answer: Result<T, ServiceError>) {
    let error = answer.err().expect("it is locked");
    assert!(
        matches!(
            error,
            ServiceError::Unavailable(StoreError::Unavailable(Outage::Locked))
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_change_that_others_were_in_the_way_of_is_made_once() {
    for code in ["40001", "40P01"] {
        let Some((database, place)) = place().await else {
            return;
        };
        let sally = place.link("sally@example.com").await.unwrap();
        let mut connection = database.connect().await;
        fail(&mut connection, code, 3).await;
        place.link("bob@example.com").await.unwrap();
        assert_eq!(attempts(&mut connection).await, 4, "{code}");
        let key = KeyDigest::of(&place.public_key);
        connection
            .execute("SELECT setval('attempts', 1, false)")
            .await
            .unwrap();
        place
            .directory
            .delete_user(key, sally.user_id, None)
            .await
            .unwrap();
        assert_eq!(attempts(&mut connection).await, 4, "{code}");
        assert_consistent(&mut connection).await;
    }
}

#[tokio::test]
async fn a_change_that_others_are_always_in_the_way_of_is_given_up() {
    let Some((database, place)) = place().await else {
        return;
    };
    let sally = place.link("sally@example.com").await.unwrap();
    let mut connection = database.connect().await;
    fail(&mut connection, "40001", 1000).await;
    assert_is_locked(timeout(NEVER, place.link("bob@example.com")).await.unwrap());
    let attempted = attempts(&mut connection).await;
    assert!((2..50).contains(&attempted), "{attempted}");
    let delete = place
        .directory
        .delete_user(KeyDigest::of(&place.public_key), sally.user_id, None);
    assert_is_locked(timeout(NEVER, delete).await.unwrap());
    assert!((2..50).contains(&(attempts(&mut connection).await - attempted)));
    assert!(
        place.storage.condition().borrow().is_writable(),
        "nothing is wrong with the server"
    );
    assert_consistent(&mut connection).await;
}

/// Waits until as many connections wait for a row.
pub(super) async fn until_waiting(connection: &mut PgConnection, expected: i64) {
    let waiting = async {
        let waiting = "SELECT count(*) FROM pg_stat_activity
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
        while query_scalar::<_, i64>(waiting)
            .fetch_one(&mut *connection)
            .await
            .unwrap()
            < expected
        {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(NEVER, waiting).await.expect("nobody waits");
}

#[tokio::test]
async fn a_change_that_is_chosen_to_end_a_deadlock_is_made_afterwards() {
    let Some((database, place)) = place().await else {
        return;
    };
    let mut observer = database.connect().await;
    let mut other = database.connect().await;
    let counters = format!(
        "SELECT FROM organization_counters WHERE organization_id = '{}' FOR UPDATE",
        place.organization
    );
    // Who waits first looks first whether it is a deadlock. On a busy machine that may be too early, and then the other
    // one is chosen.
    for number in 0.. {
        let mut held = other.begin().await.unwrap();
        held.execute("SELECT FROM address_locks FOR UPDATE")
            .await
            .unwrap();
        let email = format!("sally{number}@example.com");
        let crossed = async {
            until_waiting(&mut observer, 1).await;
            // The rule has the row until it is chosen.
            let crossed = held.execute(sqlx::AssertSqlSafe(counters.clone())).await;
            held.rollback().await.unwrap();
            crossed.is_ok()
        };
        let both = async { tokio::join!(place.link(&email), crossed) };
        let (linked, was_chosen) = timeout(NEVER, both).await.expect("it is never answered");
        linked.unwrap();
        if was_chosen {
            break;
        }
        assert!(number < 5, "the rule is never chosen");
    }
    assert_consistent(&mut observer).await;
}

#[tokio::test]
async fn a_row_that_is_never_let_go_of_is_not_waited_for_for_ever_and_stops_nobody_else() {
    let Some(database) = migrated().await else { return };
    let settings = Settings {
        patience: Duration::from_secs(2),
        ..Settings::default()
    };
    let storage = PostgresStorage::open_with(database.url(), Migrate::Always, &settings).await;
    let place = Place::on(Arc::new(storage.unwrap()), "acme").await;
    let other = Place::on(place.storage.clone(), "other").await;
    let sally = place.link("sally@example.com").await.unwrap();
    let mut holder = database.connect().await;
    for sql in [
        "SELECT FROM organization_counters WHERE organization_id = $1 FOR UPDATE",
        "SELECT FROM members WHERE organization_id = $1 FOR UPDATE",
    ] {
        let mut held = holder.begin().await.unwrap();
        let statement = sqlx::query(sql).bind(place.organization.as_uuid());
        statement.execute(&mut *held).await.unwrap();
        let delete = || {
            place
                .directory
                .delete_user(KeyDigest::of(&place.public_key), sally.user_id, None)
        };
        let ann = async {
            let ann = other.link("ann@example.com").await.unwrap();
            let key = KeyDigest::of(&other.public_key);
            other.directory.delete_user(key, ann.user_id, None).await.unwrap();
        };
        let all = async { tokio::join!(delete(), delete(), ann) };
        let (one, two, ()) = timeout(NEVER, all).await.expect("a call is never answered");
        assert_is_locked(one);
        assert_is_locked(two);
        assert!(
            place.storage.condition().borrow().is_writable(),
            "nothing is wrong with the server"
        );
        held.rollback().await.unwrap();
    }
    place
        .directory
        .delete_user(KeyDigest::of(&place.public_key), sally.user_id, None)
        .await
        .unwrap();
    assert_consistent(&mut holder).await;
}

#[tokio::test]
async fn revocations_in_an_organization_that_somebody_changes_are_made_in_their_turn() {
    let Some((database, place)) = place().await else {
        return;
    };
    let mut people = Vec::new();
    for number in 0..20 {
        people.push(place.link(&format!("person{number}@example.com")).await.unwrap());
    }
    let mut observer = database.connect().await;
    let mut holder = database.connect().await;
    let mut held = holder.begin().await.unwrap();
    let statement = sqlx::query("SELECT FROM organization_counters WHERE organization_id = $1 FOR UPDATE");
    statement
        .bind(place.organization.as_uuid())
        .execute(&mut *held)
        .await
        .unwrap();
    let key = KeyDigest::of(&place.public_key);
    let deletes = people
        .iter()
        .map(|member| place.directory.delete_user(key, member.user_id, None));
    let let_go = async {
        until_waiting(&mut observer, 1).await;
        held.rollback().await.unwrap();
    };
    let both = async { tokio::join!(try_join_all(deletes), let_go) };
    let (all, ()) = timeout(NEVER, both).await.expect("a call is never answered");
    all.unwrap();
    let live: i64 = query_scalar("SELECT count(*) FROM members WHERE revoked_at IS NULL")
        .fetch_one(&mut observer)
        .await
        .unwrap();
    assert_eq!(live, 0);
    assert_consistent(&mut observer).await;
    // Nobody is in the way any more.
    let sally = place.link("sally@example.com").await.unwrap();
    place
        .directory
        .delete_user(key, sally.user_id, None)
        .await
        .unwrap();
}
