//! Connections that break at the moment of a commit: what happened is told as what happened.

use std::{sync::Arc, time::Duration};

use sqlx::PgConnection;
use tokio::time::timeout;
use userbridge::{
    domain::{KeyDigest, Member, MemberPatch},
    service::{ServiceError, Write},
    storage::{
        Migrate, StoreError,
        postgres::{PostgresStorage, Settings},
    },
};

use super::{
    consistency::assert_consistent,
    place::{NEVER, Place, migrated},
};
use crate::support::{
    postgres::Database,
    proxy::{
        Afterwards::{self, Gone, Reachable},
        Fate::{self, Unanswered, Unsent},
        Proxy,
    },
};

/// The statement by which rules are committed, and the one that revokes and commits by itself.
const COMMIT: &str = "COMMIT";
const REVOKE: &str = "WITH wanted AS";

/// What a caller is told.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Told {
    Made,
    /// It is certain that nothing changed.
    NotMade,
    Unknown,
}

use Told::{Made, NotMade, Unknown};

fn told<T>(answer: Result<T, ServiceError>) -> Told {
    match answer {
        Ok(_) => Made,
        Err(ServiceError::Unavailable(StoreError::Unavailable(_))) => NotMade,
        Err(ServiceError::Unavailable(StoreError::OutcomeUnknown(_))) => Unknown,
        Err(error) => panic!("{error:?}"),
    }
}

/// A directory behind a proxy, and one member of it.
struct Behind {
    database: Database,
    proxy: Proxy,
    place: Place,
    sally: Member,
}

#[derive(Clone, Copy, Debug)]
enum Call {
    Link,
    Update,
    Delete,
}

impl Behind {
    async fn new() -> Option<Self> {
        let database = migrated().await?;
        let proxy = Proxy::before(database.url());
        let settings = Settings {
            patience: Duration::from_secs(2),
            ..Settings::default()
        };
        let storage = PostgresStorage::open_with(&proxy.url(), Migrate::Always, &settings).await;
        let place = Place::on(Arc::new(storage.unwrap()), "acme").await;
        let sally = place.link("sally@example.com").await.unwrap();
        Some(Self {
            database,
            proxy,
            place,
            sally,
        })
    }

    async fn call(&self, call: Call) -> Told {
        let place = &self.place;
        let answer = async {
            match call {
                Call::Link => told(place.link("bob@example.com").await),
                Call::Update => {
                    let patch = MemberPatch {
                        name: Some(Some("Sally".parse().unwrap())),
                        ..MemberPatch::default()
                    };
                    let grant = Write::operator(place.organization);
                    told(
                        place
                            .directory
                            .update_member(grant, self.sally.id, patch, None)
                            .await,
                    )
                }
                Call::Delete => {
                    let key = KeyDigest::of(&place.public_key);
                    told(place.directory.delete_user(key, self.sally.user_id, None).await)
                }
            }
        };
        timeout(NEVER, answer).await.expect("a call is never answered")
    }

    /// Whether the change is in the database, asked past the proxy.
    async fn is_made(&self, call: Call) -> bool {
        let sql = match call {
            Call::Link => "SELECT count(*) = 1 FROM members WHERE email = 'bob@example.com'",
            Call::Update => "SELECT count(*) = 1 FROM members WHERE name = 'Sally'",
            Call::Delete => "SELECT count(*) = 1 FROM members WHERE revoked_at IS NOT NULL",
        };
        let mut connection: PgConnection = self.database.connect().await;
        sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap()
    }
}

/// Cuts the connection of a call, and says what its caller is told and whether it is made.
async fn cut(call: Call, at: &'static str, fate: Fate, afterwards: Afterwards) -> Option<(Told, bool)> {
    let behind = Behind::new().await?;
    let cut = behind.proxy.cut_at(at, fate, afterwards);
    let told = behind.call(call).await;
    timeout(NEVER, cut.made()).await.expect("it is not cut");
    let is_made = behind.is_made(call).await;
    behind.proxy.accept();
    behind.place.until_it_works().await;
    assert_consistent(&mut behind.database.connect().await).await;
    Some((told, is_made))
}

#[tokio::test]
async fn a_commit_that_was_not_answered_is_found() {
    for (call, at) in [
        (Call::Link, COMMIT),
        (Call::Update, COMMIT),
        (Call::Delete, REVOKE),
    ] {
        let Some(found) = cut(call, at, Unanswered, Reachable).await else {
            return;
        };
        assert_eq!(found, (Made, true), "{call:?}");
    }
}

#[tokio::test]
async fn a_commit_that_nobody_can_ask_about_is_reported_as_unknown() {
    for (call, at) in [
        (Call::Link, COMMIT),
        (Call::Update, COMMIT),
        (Call::Delete, REVOKE),
    ] {
        for (fate, is_made) in [(Unanswered, true), (Unsent, false)] {
            let Some(found) = cut(call, at, fate, Gone).await else {
                return;
            };
            assert_eq!(found, (Unknown, is_made), "{call:?} {fate:?}");
        }
    }
}

#[tokio::test]
async fn a_commit_that_never_arrived_is_not_reported_as_made() {
    // A rule leaves no doubt. A revocation that is not in the log may yet be made, for all that anybody knows.
    for (call, at, told) in [
        (Call::Link, COMMIT, NotMade),
        (Call::Update, COMMIT, NotMade),
        (Call::Delete, REVOKE, Unknown),
    ] {
        let Some(found) = cut(call, at, Unsent, Reachable).await else {
            return;
        };
        assert_eq!(found, (told, false), "{call:?}");
    }
}

#[tokio::test]
async fn a_commit_is_found_once_the_server_is_reachable_again() {
    for (call, at) in [(Call::Link, COMMIT), (Call::Delete, REVOKE)] {
        let Some(behind) = Behind::new().await else { return };
        let cut = behind.proxy.cut_at(at, Unanswered, Gone);
        let again = async {
            cut.made().await;
            tokio::time::sleep(Duration::from_millis(700)).await;
            behind.proxy.accept();
        };
        let (told, ()) = tokio::join!(behind.call(call), again);
        assert_eq!((told, behind.is_made(call).await), (Made, true), "{call:?}");
    }
}
