//! The servers that tests start.

use std::sync::atomic::{AtomicUsize, Ordering};

use sqlx::{Connection as _, Error, Executor as _, PgConnection, query_scalar};

use crate::support::postgres::{Cluster, Database, Template};

async fn number(connection: &mut PgConnection, sql: &'static str) -> i64 {
    query_scalar(sql).fetch_one(connection).await.unwrap()
}

#[tokio::test]
async fn each_test_has_an_empty_database_that_is_gone_afterwards_also_after_a_panic() {
    let (Some(one), Some(other)) = (Database::create(), Database::create()) else {
        return;
    };
    let mut connection = one.connect().await;
    connection.execute("CREATE TABLE here (id int)").await.unwrap();
    let mut elsewhere = other.connect().await;
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(number(&mut connection, tables).await, 1);
    assert_eq!(number(&mut elsewhere, tables).await, 0);

    let url = one.url().to_owned();
    let failed = std::thread::spawn(move || {
        let _database = one;
        panic!("as a test that fails");
    });
    assert!(failed.join().is_err());
    let gone = PgConnection::connect(&url).await.unwrap_err();
    let Error::Database(gone) = gone else {
        panic!("{gone}");
    };
    assert_eq!(gone.code().as_deref(), Some("3D000"), "there is no such database");
    assert!(connection.ping().await.is_err(), "whoever was connected is not");
}

#[tokio::test]
async fn a_template_is_filled_once_and_copied() {
    static TEMPLATE: Template = Template::new();
    static FILLED: AtomicUsize = AtomicUsize::new(0);

    for _ in 0..2 {
        let copy = TEMPLATE.copy(async |url| {
            assert_eq!(FILLED.fetch_add(1, Ordering::Relaxed), 0, "once");
            let mut connection = PgConnection::connect(&url).await.unwrap();
            connection
                .execute("CREATE TABLE filled AS SELECT 7::bigint AS id")
                .await
                .unwrap();
            connection.close().await.unwrap();
        });
        let Some(copy) = copy.await else { return };
        let mut connection = copy.connect().await;
        assert_eq!(
            number(&mut connection, "SELECT sum(id)::bigint FROM filled").await,
            7
        );
        connection.execute("INSERT INTO filled VALUES (1)").await.unwrap();
    }
}

#[tokio::test]
async fn a_cluster_of_its_own_keeps_its_port_and_what_was_committed_however_it_ends() {
    let Some(cluster) = Cluster::own(&["max_connections = 7"]).await else {
        return;
    };
    let url = cluster.url();
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let fsync = "SELECT count(*) FROM pg_settings WHERE (name, setting) IN (('fsync', 'on'), ('max_connections', '7'))";
    assert_eq!(number(&mut connection, fsync).await, 2);
    connection.execute("CREATE TABLE made (id int)").await.unwrap();

    for ending in ["fast", "immediate", "kill", "restart"] {
        connection.execute("INSERT INTO made VALUES (1)").await.unwrap();
        match ending {
            "fast" => cluster.stop().await,
            "immediate" => cluster.stop_immediately().await,
            "kill" => cluster.kill().await,
            _ => cluster.restart().await,
        }
        // After a kill it lives until it notices.
        while ending == "kill" && connection.ping().await.is_ok() {}
        assert!(connection.ping().await.is_err(), "{ending}");
        if ending != "restart" {
            assert!(
                matches!(PgConnection::connect(&url).await, Err(Error::Io(_))),
                "{ending}"
            );
            cluster.start().await;
        }
        connection = PgConnection::connect(&url).await.unwrap();
    }
    assert_eq!(number(&mut connection, "SELECT count(*) FROM made").await, 4);
}
