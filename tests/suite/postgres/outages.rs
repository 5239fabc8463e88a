//! What happens while PostgreSQL is gone, full or silent, and afterwards.

use std::{fmt::Debug, pin::pin, sync::Arc, time::Duration};

use sqlx::{Connection as _, PgConnection};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use tonic::Code;
use tonic_health::pb::health_check_response::ServingStatus;
use userbridge::{
    domain::{KeyDigest, Member, MemberLookup, MemberQuery, MemberRef, Outage},
    service::{Read, ServiceError},
    storage::{
        Migrate, StoreError,
        postgres::{PostgresStorage, Settings},
    },
};

use super::{
    consistency::assert_consistent,
    load::{Load, Outcome, assert_kept},
    place::{NEVER, Place, Replica, migrated},
    retries::until_waiting,
};
use crate::support::{
    postgres::{Cluster, Database},
    proto::{
        directory_v1::LinkMemberRequest,
        users_v1::{RetrieveRequest, retrieve_request::By},
    },
    proxy::{Direction, Proxy},
    with_key,
};

/// One that is soon tired of waiting.
fn impatient() -> Settings {
    Settings {
        patience: Duration::from_secs(2),
        ..Settings::default()
    }
}

async fn open(url: &str, settings: &Settings) -> Place {
    let storage = PostgresStorage::open_with(url, Migrate::Always, settings).await;
    Place::on(Arc::new(storage.unwrap()), "acme").await
}

/// Nothing is answered but that it does not work now, and each is answered.
async fn assert_is_refused(replica: &Replica, place: &Place) {
    for number in 0..20 {
        let by = Some(By::Email("sally@example.com".to_owned()));
        let retrieve = with_key(RetrieveRequest { by }, &place.public_key);
        let mut users = replica.users();
        let refused = timeout(NEVER, users.retrieve(retrieve)).await.unwrap();
        assert_eq!(refused.unwrap_err().code(), Code::Unavailable);
        let link = LinkMemberRequest {
            email: Some(format!("nobody{number}@example.com")),
            ..LinkMemberRequest::default()
        };
        let mut members = replica.members();
        let refused = members.link_member(with_key(link, &place.key));
        let refused = timeout(NEVER, refused).await.unwrap();
        assert_eq!(Outcome::of(&refused), Outcome::NotMade);
    }
}

#[tokio::test]
async fn what_was_acknowledged_outlives_every_end_of_the_server_and_the_rest_goes_on_by_itself() {
    let Some(cluster) = Cluster::own(&[]).await else {
        return;
    };
    let place = Place::open(&cluster.url()).await;
    let replica = Replica::start(&cluster.url());
    replica.until_health_is(ServingStatus::Serving).await;
    let load = Load::start(&place, &replica.channel, "load", 4);
    load.goes_on(5).await;
    for ending in ["fast", "immediate", "kill"] {
        match ending {
            "fast" => cluster.stop().await,
            "immediate" => cluster.stop_immediately().await,
            _ => cluster.kill().await,
        }
        replica.until_health_is(ServingStatus::NotServing).await;
        assert_is_refused(&replica, &place).await;
        cluster.start().await;
        replica.until_health_is(ServingStatus::Serving).await;
        load.goes_on(5).await;
    }
    // Quicker than anybody looks.
    cluster.restart().await;
    load.goes_on(5).await;
    let people = load.stop().await;
    let mut connection = PgConnection::connect(&cluster.url()).await.unwrap();
    assert_kept(&mut connection, &people).await;
    assert_consistent(&mut connection).await;
}

/// What is asked of a place is answered, whatever the answer is, by what is allowed for in an outage.
async fn assert_all_is_answered(place: &Place, round: &str) {
    let mut asked = JoinSet::new();
    for number in 0..12 {
        let directory = place.directory.clone();
        let key = KeyDigest::of(&place.public_key);
        let lookup = MemberLookup::Email("sally@example.com".to_owned());
        asked.spawn(async move { directory.retrieve_user(key, lookup).await.map(drop) });
        let (directory, grant) = (place.directory.clone(), Read::operator(place.organization));
        let member = MemberRef::Email(format!("who{number}@example.com").parse().unwrap());
        asked.spawn(async move { directory.member(grant, member, false).await.map(drop) });
        let directory = place.directory.clone();
        let query = MemberQuery {
            limit: 10,
            ..MemberQuery::default()
        };
        asked.spawn(async move { directory.members(grant, query).await.map(drop) });
    }
    let links = async {
        for number in 0..4 {
            assert_is_allowed(&place.link(&format!("{round}{number}@example.com")).await);
        }
    };
    let answers = async {
        while let Some(answer) = asked.join_next().await {
            assert_is_allowed(&answer.unwrap());
        }
    };
    let all = async { tokio::join!(links, answers) };
    timeout(NEVER, all).await.expect("a call is never answered");
}

fn assert_is_allowed<T: Debug>(answer: &Result<T, ServiceError>) {
    assert!(
        matches!(
            answer,
            Ok(_)
                | Err(ServiceError::NotFound(_)
                    | ServiceError::Overloaded
                    | ServiceError::Unavailable(StoreError::Unavailable(_) | StoreError::OutcomeUnknown(_)))
        ),
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_server_that_has_no_connection_left_is_no_reason_to_wait() {
    let settings = ["max_connections = 12", "superuser_reserved_connections = 2"];
    let Some(cluster) = Cluster::own(&settings).await else {
        return;
    };
    let place = open(&cluster.url(), &impatient()).await;
    let mut others = Vec::new();
    while let Ok(other) = PgConnection::connect(&cluster.url()).await {
        others.push(other);
    }
    assert_all_is_answered(&place, "full").await;
    let mut connection = others.pop().unwrap();
    drop(others);
    place.until_it_works().await;
    assert_consistent(&mut connection).await;
}

#[tokio::test]
async fn while_one_organization_is_stuck_the_others_are_answered() {
    let Some(database) = migrated().await else { return };
    let settings = Settings {
        writers: 1,
        ..impatient()
    };
    let stuck = open(database.url(), &settings).await;
    let other = Place::on(stuck.storage.clone(), "other").await;
    let mut holder = database.connect().await;
    let mut held = holder.begin().await.unwrap();
    sqlx::query("SELECT FROM organization_counters WHERE organization_id = $1 FOR UPDATE")
        .bind(stuck.organization.as_uuid())
        .execute(&mut *held)
        .await
        .unwrap();
    let both = async {
        tokio::join!(
            stuck.link("sally@example.com"),
            stuck.link("bob@example.com"),
            other.link("ann@example.com")
        )
    };
    let (sally, bob, ann) = timeout(NEVER, both).await.expect("a call is never answered");
    for refused in [sally, bob] {
        assert!(refused.is_err());
        assert_is_allowed(&refused);
    }
    assert_is_allowed(&ann);
    assert!(
        other.storage.condition().borrow().is_writable(),
        "nothing is wrong with the server"
    );
    other.link("ann@example.com").await.unwrap();
    held.rollback().await.unwrap();
    stuck.link("sally@example.com").await.unwrap();
    assert_consistent(&mut holder).await;
}

#[tokio::test]
async fn whether_changes_can_be_made_is_found_out_while_all_wait() {
    let Some(database) = migrated().await else { return };
    let settings = Settings {
        writers: 1,
        ..Settings::default()
    };
    let place = open(database.url(), &settings).await;
    let mut observer = database.connect().await;
    let mut holder = database.connect().await;
    let mut held = holder.begin().await.unwrap();
    sqlx::query("SELECT FROM organization_counters WHERE organization_id = $1 FOR UPDATE")
        .bind(place.organization.as_uuid())
        .execute(&mut *held)
        .await
        .unwrap();
    let mut link = pin!(place.link("sally@example.com"));
    let touched = async {
        until_waiting(&mut observer, 1).await;
        place.storage.touch().await.unwrap();
    };
    tokio::select! {
        linked = &mut link => panic!("it waits no longer: {linked:?}"),
        () = touched => {}
    }
    held.rollback().await.unwrap();
    link.await.unwrap();
}

#[tokio::test]
async fn a_change_or_a_read_that_is_slow_is_no_outage() {
    let Some(database) = migrated().await else { return };
    let place = open(database.url(), &impatient()).await;
    let other = Place::on(place.storage.clone(), "other").await;
    let sally = place.link("sally@example.com").await.unwrap();
    let condition = place.storage.condition();

    let slow = place.storage.write(place.organization, (), |_, ()| {
        Box::pin(async {
            sleep(NEVER).await;
            Ok::<(), StoreError>(())
        })
    });
    let slow = timeout(NEVER, slow).await.expect("a call is never answered");
    assert!(
        matches!(slow, Err(StoreError::Unavailable(Outage::Slow))),
        "{slow:?}"
    );
    other.link("ann@example.com").await.unwrap();
    assert!(!condition.has_changed().unwrap(), "nothing was out of order");

    let mut holder = database.connect().await;
    let mut held = holder.begin().await.unwrap();
    sqlx::query("LOCK TABLE members")
        .execute(&mut *held)
        .await
        .unwrap();
    let (grant, member) = (
        Read::operator(place.organization),
        MemberRef::UserId(sally.user_id),
    );
    let slow = place.directory.member(grant, member, false);
    let slow = timeout(NEVER, slow).await.expect("a call is never answered");
    assert!(
        matches!(
            slow,
            Err(ServiceError::Unavailable(StoreError::Unavailable(Outage::Slow)))
        ),
        "{slow:?}"
    );
    place.storage.organization(place.organization).await.unwrap();
    held.rollback().await.unwrap();
    place.link("bob@example.com").await.unwrap();
    assert!(!condition.has_changed().unwrap(), "nothing was out of order");
    assert_consistent(&mut holder).await;
}

/// Links somebody, also if something is still found to be broken.
async fn linked(place: &Place, email: &str) -> Member {
    let linked = async {
        loop {
            if let Ok(member) = place.link(email).await {
                return member;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(NEVER, linked).await.expect("it never works again")
}

/// A place behind a proxy.
async fn behind_a_proxy() -> Option<(Database, Proxy, Place)> {
    let database = migrated().await?;
    let proxy = Proxy::before(database.url());
    let place = open(&proxy.url(), &impatient()).await;
    Some((database, proxy, place))
}

#[tokio::test]
async fn a_network_that_is_silent_is_waited_for_for_a_bounded_time() {
    let Some((database, proxy, place)) = behind_a_proxy().await else {
        return;
    };
    let sally = place.link("sally@example.com").await.unwrap();
    for (direction, round) in [(Direction::ToClient, "client"), (Direction::ToServer, "server")] {
        let bob = linked(&place, &format!("bob.{round}@example.com")).await;
        proxy.stall(direction);
        let delete = place
            .directory
            .delete_user(KeyDigest::of(&place.public_key), bob.user_id, None);
        let deleted = async { timeout(NEVER, delete).await.expect("a call is never answered") };
        let (deleted, ()) = tokio::join!(deleted, assert_all_is_answered(&place, round));
        assert!(deleted.is_err());
        assert_is_allowed(&deleted);
        proxy.resume();
        place.until_it_works().await;
    }
    let lookup = || MemberLookup::UserId(sally.user_id);
    let key = KeyDigest::of(&place.public_key);
    let deleted = async {
        while place.directory.retrieve_user(key, lookup()).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
        // Not found: it was made before, and that could not be found out.
        while let Err(error) = place.directory.delete_user(key, sally.user_id, None).await {
            if matches!(error, ServiceError::NotFound(_)) {
                break;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(NEVER, deleted).await.expect("it never works again");
    assert_consistent(&mut database.connect().await).await;
}

#[tokio::test]
async fn a_network_that_is_silent_is_noticed_while_nobody_asks_for_anything() {
    let Some((_database, proxy, place)) = behind_a_proxy().await else {
        return;
    };
    let mut condition = place.storage.condition();
    for direction in [Direction::ToClient, Direction::ToServer] {
        proxy.stall(direction);
        let noticed = condition.wait_for(|condition| condition.reads.is_some() && condition.writes.is_some());
        timeout(NEVER, noticed).await.expect("nobody notices").unwrap();
        proxy.resume();
        place.until_it_works().await;
    }
}

/// How the connections of a place break.
#[derive(Clone, Copy, Debug)]
enum Break {
    /// The server says so, as it does when it ends or is told to end them.
    Ended,
    /// Whatever is in between forgets them.
    Cut,
}

/// Breaks all connections of a place, and says when they are gone. The one that looks whether the server is there has done so
/// before, and heard of it: a server that breaks even that one's first connection is out of order, and look-ups are refused for a while.
async fn break_all(how: Break, database: &Database, proxy: &Proxy) {
    let mut connection = database.connect().await;
    let looked = "SELECT EXISTS (
             SELECT FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'idle'
                 AND query LIKE '%transaction_read_only%' AND state_change < clock_timestamp() - interval '0.1 s'
         )";
    let has_looked = async {
        while !sqlx::query_scalar::<_, bool>(looked)
            .fetch_one(&mut connection)
            .await
            .unwrap()
        {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(NEVER, has_looked).await.expect("nobody looks");
    let open =
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let open: Vec<i32> = sqlx::query_scalar(open).fetch_all(&mut connection).await.unwrap();
    if let Break::Cut = how {
        proxy.cut();
    }
    sqlx::query("SELECT pg_terminate_backend(pid, 10000) FROM unnest($1) AS pid")
        .bind(open)
        .execute(&mut connection)
        .await
        .unwrap();
}

#[tokio::test]
async fn connections_that_break_while_nobody_uses_them_are_made_anew_before_anybody_notices() {
    /// Longer than connections are taken for good.
    const IDLE: Duration = Duration::from_secs(1);

    let Some((database, proxy, place)) = behind_a_proxy().await else {
        return;
    };
    let sally = place.link("sally@example.com").await.unwrap();
    let key = KeyDigest::of(&place.public_key);
    let look_up_all = async || {
        // Each of the connections is used.
        for _ in 0..4 {
            let lookup = || MemberLookup::UserId(sally.user_id);
            place.directory.retrieve_user(key, lookup()).await.unwrap();
        }
    };
    let condition = place.storage.condition();
    for how in [Break::Ended, Break::Cut] {
        let people = [1, 2].map(|number| format!("person{number}.{how:?}@example.com"));
        let mut users = Vec::new();
        for person in &people {
            users.push(place.link(person).await.unwrap().user_id);
        }
        look_up_all().await;
        place.directory.delete_user(key, users[0], None).await.unwrap();
        break_all(how, &database, &proxy).await;
        sleep(IDLE).await;
        place.directory.delete_user(key, users[1], None).await.unwrap();
        look_up_all().await;
        place.link(&format!("another.{how:?}@example.com")).await.unwrap();
        assert!(
            !condition.has_changed().unwrap(),
            "{how:?}: nothing was out of order"
        );
    }
    assert_consistent(&mut database.connect().await).await;
}

#[tokio::test]
async fn look_ups_whose_connection_breaks_are_answered_by_another() {
    let Some((database, proxy, place)) = behind_a_proxy().await else {
        return;
    };
    let sally = place.link("sally@example.com").await.unwrap();
    let key = KeyDigest::of(&place.public_key);
    for how in [Break::Ended, Break::Cut] {
        for _ in 0..2 {
            break_all(how, &database, &proxy).await;
            let lookup = MemberLookup::UserId(sally.user_id);
            place.directory.retrieve_user(key, lookup).await.unwrap();
        }
    }
}
