//! Changes that wait for the turn of their organization, which somebody else changes meanwhile.

use std::{pin::pin, time::Duration};

use sqlx::{
    AssertSqlSafe, Connection as _, Executor as _, PgConnection, Postgres, Transaction, query_scalar, raw_sql,
};
use tokio::time::{sleep, timeout};
use userbridge::{
    domain::{KeyDigest, Member},
    service::ServiceError,
};

use super::{
    consistency::assert_consistent,
    place::{NEVER, Place, migrated},
    retries::until_waiting,
};

/// Takes the row that every change of an organization begins with.
async fn hold<'c>(connection: &'c mut PgConnection, place: &Place) -> Transaction<'c, Postgres> {
    let mut held = connection.begin().await.unwrap();
    sqlx::query("SELECT FROM organization_counters WHERE organization_id = $1 FOR UPDATE")
        .bind(place.organization.as_uuid())
        .execute(&mut *held)
        .await
        .unwrap();
    held
}

/// Has the database refuse to revoke one member, for no reason that this program knows of.
async fn refuse_to_revoke(connection: &mut PgConnection, member: &Member) {
    let sql = format!(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             IF NEW.member_id = '{}' AND NEW.kind = 'member.revoked' THEN
                 RAISE EXCEPTION 'it is not allowed' USING ERRCODE = '42501';
             END IF;
             RETURN NEW;
         END $$;
         CREATE TRIGGER refuse BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION refuse()",
        member.id
    );
    connection.execute(raw_sql(AssertSqlSafe(sql))).await.unwrap();
}

async fn delete(place: &Place, member: &Member) -> Result<(), ServiceError> {
    let key = KeyDigest::of(&place.public_key);
    place.directory.delete_user(key, member.user_id, None).await
}

async fn live(connection: &mut PgConnection) -> Vec<String> {
    query_scalar("SELECT email FROM members WHERE revoked_at IS NULL ORDER BY email")
        .fetch_all(connection)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_revocation_that_fails_in_its_turn_is_told_so_and_fails_alone() {
    let Some(database) = migrated().await else { return };
    let place = Place::open(database.url()).await;
    let [ann, bob, carl] = ["ann@example.com", "bob@example.com", "carl@example.com"];
    let (ann, bob, carl) = (
        place.link(ann).await.unwrap(),
        place.link(bob).await.unwrap(),
        place.link(carl).await.unwrap(),
    );
    let (mut observer, mut holder) = (database.connect().await, database.connect().await);
    refuse_to_revoke(&mut observer, &bob).await;
    // Alone, then with others.
    for others in [false, true] {
        let held = hold(&mut holder, &place).await;
        let let_go = async {
            until_waiting(&mut observer, 1).await;
            held.rollback().await.unwrap();
        };
        let rest = async {
            if others {
                let (ann, carl) = tokio::join!(delete(&place, &ann), delete(&place, &carl));
                ann.unwrap();
                carl.unwrap();
            }
        };
        let all = async { tokio::join!(delete(&place, &bob), rest, let_go) };
        let (refused, (), ()) = timeout(NEVER, all).await.expect("a call is never answered");
        assert!(matches!(refused, Err(ServiceError::Internal(_))), "{refused:?}");
    }
    assert_eq!(live(&mut observer).await, ["bob@example.com"]);
    assert!(
        place.storage.condition().borrow().is_writable(),
        "nothing is wrong with the server"
    );
    assert_consistent(&mut observer).await;
}

/// Waits until a change waits for another one of its organization.
async fn until_queued(place: &Place) {
    let queued = async {
        let waiting = || {
            let load = place.storage.load();
            let writes = load.queues.iter().find(|queue| queue.name == "writes");
            writes.expect("a queue of changes").waiting
        };
        while waiting() == 0 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(NEVER, queued).await.expect("nothing waits");
}

#[tokio::test]
async fn a_change_whose_caller_goes_away_before_its_turn_is_not_made() {
    let Some(database) = migrated().await else { return };
    let place = Place::open(database.url()).await;
    let (mut observer, mut holder) = (database.connect().await, database.connect().await);
    let held = hold(&mut holder, &place).await;
    let mut first = pin!(place.link("ann@example.com"));
    tokio::select! {
        linked = &mut first => panic!("it waits no longer: {linked:?}"),
        () = until_waiting(&mut observer, 1) => {}
    }
    tokio::select! {
        linked = place.link("bob@example.com") => panic!("it waits no longer: {linked:?}"),
        () = until_queued(&place) => {}
    }
    held.rollback().await.unwrap();
    first.await.unwrap();
    place.link("carl@example.com").await.unwrap();
    assert_eq!(live(&mut observer).await, ["ann@example.com", "carl@example.com"]);
    assert_consistent(&mut observer).await;
}

#[tokio::test]
async fn a_change_whose_caller_goes_away_once_it_has_begun_is_made() {
    let Some(database) = migrated().await else { return };
    let place = Place::open(database.url()).await;
    let (mut observer, mut holder) = (database.connect().await, database.connect().await);
    let held = hold(&mut holder, &place).await;
    tokio::select! {
        linked = place.link("ann@example.com") => panic!("it waits no longer: {linked:?}"),
        () = until_waiting(&mut observer, 1) => {}
    }
    held.rollback().await.unwrap();
    place.link("bob@example.com").await.unwrap();
    assert_eq!(live(&mut observer).await, ["ann@example.com", "bob@example.com"]);
}

#[tokio::test]
async fn a_revocation_whose_caller_goes_away_before_its_turn_is_not_made() {
    let Some(database) = migrated().await else { return };
    let place = Place::open(database.url()).await;
    let ann = place.link("ann@example.com").await.unwrap();
    let bob = place.link("bob@example.com").await.unwrap();
    let (mut observer, mut holder) = (database.connect().await, database.connect().await);
    let held = hold(&mut holder, &place).await;
    let mut first = pin!(delete(&place, &ann));
    tokio::select! {
        deleted = &mut first => panic!("it waits no longer: {deleted:?}"),
        () = until_waiting(&mut observer, 1) => {}
    }
    // By then it is with those that wait.
    let gone = timeout(Duration::from_millis(300), delete(&place, &bob)).await;
    assert!(gone.is_err(), "it waits no longer: {gone:?}");
    held.rollback().await.unwrap();
    first.await.unwrap();
    place.storage.close().await;
    assert_eq!(live(&mut observer).await, ["bob@example.com"]);
}
