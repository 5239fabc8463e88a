//! What tests let the network do.

use std::{io, time::Duration};

use sqlx::{Connection as _, Error, Executor as _, PgConnection, query, query_scalar};
use tokio::time::timeout;

use crate::support::{
    postgres::Database,
    proxy::{Afterwards, Direction, Fate, Proxy},
};

/// A table behind a proxy. `None`: there is no PostgreSQL here.
struct Place {
    proxy: Proxy,
    database: Database,
}

impl Place {
    async fn new() -> Option<Self> {
        let database = Database::create()?;
        let mut connection = database.connect().await;
        connection.execute("CREATE TABLE made (text text)").await.unwrap();
        let proxy = Proxy::before(database.url());
        Some(Self { proxy, database })
    }

    async fn connect(&self) -> Result<PgConnection, Error> {
        PgConnection::connect(&self.proxy.url()).await
    }

    /// How many rows there are, asked past the proxy.
    async fn made(&self) -> i64 {
        count(&mut self.database.connect().await).await.unwrap()
    }
}

async fn make(connection: &mut PgConnection, text: &str) -> Result<(), Error> {
    let made = query("INSERT INTO made VALUES ($1)").bind(text.to_owned());
    made.execute(connection).await.map(drop)
}

async fn count(connection: &mut PgConnection) -> Result<i64, Error> {
    query_scalar("SELECT count(*) FROM made")
        .fetch_one(connection)
        .await
}

fn refused(connected: &Result<PgConnection, Error>) -> bool {
    matches!(connected, Err(Error::Io(error)) if error.kind() == io::ErrorKind::ConnectionRefused)
}

#[tokio::test]
async fn the_proxy_passes_on_what_is_said_however_long() {
    let Some(place) = Place::new().await else { return };
    let mut connection = place.connect().await.unwrap();
    let long = "ä".repeat(1 << 20);
    make(&mut connection, &long).await.unwrap();
    let text: String = query_scalar("SELECT text FROM made")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert!(text == long);
    connection.close().await.unwrap();
}

#[tokio::test]
async fn connections_that_are_cut_are_broken_and_new_ones_work() {
    let Some(place) = Place::new().await else { return };
    let (mut one, mut other) = (place.connect().await.unwrap(), place.connect().await.unwrap());
    let mut begun = one.begin().await.unwrap();
    make(&mut begun, "half of a change").await.unwrap();
    place.proxy.cut();
    assert!(matches!(begun.commit().await, Err(Error::Io(_))));
    assert!(matches!(count(&mut other).await, Err(Error::Io(_))));
    assert_eq!(count(&mut place.connect().await.unwrap()).await.unwrap(), 0);
}

#[tokio::test]
async fn new_connections_are_refused_while_old_ones_stay() {
    let Some(place) = Place::new().await else { return };
    let mut old = place.connect().await.unwrap();
    for _ in 0..2 {
        place.proxy.refuse();
        assert!(refused(&place.connect().await));
        count(&mut old).await.unwrap();
        place.proxy.accept();
        place.connect().await.unwrap();
    }
}

#[tokio::test]
async fn what_is_held_back_arrives_later() {
    const LONG: Duration = Duration::from_millis(300);

    let Some(place) = Place::new().await else {
        return;
    };
    let mut connection = place.connect().await.unwrap();
    // The second time the server has prepared the statement already, and needs to hear no more than that it runs.
    for (direction, before, after) in [(Direction::ToServer, 0, 1), (Direction::ToClient, 2, 2)] {
        place.proxy.stall(direction);
        let mut made = Box::pin(make(&mut connection, "late"));
        assert!(timeout(LONG, &mut made).await.is_err(), "nothing is answered");
        while place.made().await != before {
            assert!(timeout(LONG, &mut made).await.is_err(), "nothing is answered");
        }
        place.proxy.resume();
        made.await.unwrap();
        assert_eq!(place.made().await, after);
    }
}

#[tokio::test]
async fn a_connection_is_cut_before_or_after_the_server_has_committed() {
    let Some(place) = Place::new().await else { return };
    for (fate, made) in [(Fate::Unsent, 0), (Fate::Unanswered, 1)] {
        let (mut connection, mut other) = (place.connect().await.unwrap(), place.connect().await.unwrap());
        let mut begun = connection.begin().await.unwrap();
        make(&mut begun, "once").await.unwrap();
        let cut = place.proxy.cut_at("COMMIT", fate, Afterwards::Reachable);
        assert!(matches!(begun.commit().await, Err(Error::Io(_))), "{fate:?}");
        cut.made().await;
        assert_eq!(
            count(&mut other).await.unwrap(),
            made,
            "{fate:?}, and the others are not cut"
        );
        let mut again = place.connect().await.unwrap();
        again.begin().await.unwrap().commit().await.unwrap();
    }
}

#[tokio::test]
async fn a_connection_is_cut_at_a_statement_that_commits_by_itself() {
    let Some(place) = Place::new().await else { return };
    for (fate, made) in [(Fate::Unsent, 1), (Fate::Unanswered, 3)] {
        let mut connection = place.connect().await.unwrap();
        // The next time it runs as it was prepared.
        make(&mut connection, "once").await.unwrap();
        let cut = place
            .proxy
            .cut_at("INSERT INTO made", fate, Afterwards::Reachable);
        assert!(
            matches!(make(&mut connection, "again").await, Err(Error::Io(_))),
            "{fate:?}"
        );
        cut.made().await;
        assert_eq!(place.made().await, made, "{fate:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_gone_after_the_commit_can_t_be_asked_what_became_of_it() {
    let Some(place) = Place::new().await else { return };
    let (mut connection, mut other) = (place.connect().await.unwrap(), place.connect().await.unwrap());
    let mut begun = connection.begin().await.unwrap();
    make(&mut begun, "once").await.unwrap();
    let _cut = place.proxy.cut_at("COMMIT", Fate::Unanswered, Afterwards::Gone);
    assert!(matches!(begun.commit().await, Err(Error::Io(_))));
    assert!(refused(&place.connect().await), "as soon as the client notices");
    assert!(matches!(count(&mut other).await, Err(Error::Io(_))));
    place.proxy.accept();
    assert_eq!(count(&mut place.connect().await.unwrap()).await.unwrap(), 1);
}
