//! Poolers between Userbridge and PostgreSQL.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures_util::future::try_join_all;
use sqlx::{Connection as _, PgConnection, query_scalar, raw_sql};
use tokio::{task::JoinSet, time::timeout};
use userbridge::{
    domain::{KeyDigest, MemberLookup, MemberQuery},
    service::Read,
    storage::{
        Migrate, OpenError,
        postgres::{PostgresStorage, Settings},
    },
};

use super::{
    consistency::assert_consistent,
    place::{NEVER, Place},
};
use crate::support::{
    pgbouncer::{Mode, PgBouncer},
    postgres::Database,
    process::userbridge,
};

#[tokio::test]
async fn a_pooler_that_mixes_up_statements_is_refused_before_anything_is_written() {
    for connections in [1, 2, 3, 20] {
        let Some(database) = Database::create() else {
            return;
        };
        let Some(bouncer) = PgBouncer::with_connections(database.url(), Mode::Transaction, connections)
        else {
            return;
        };
        for _ in 0..3 {
            let opened = PostgresStorage::open(bouncer.url(), Migrate::Always).await;
            let refused = opened.err().expect("it must not be opened");
            assert!(matches!(refused, OpenError::Pooler), "{connections}: {refused}");
        }
        let finished = userbridge(bouncer.url(), &["migrate"]);
        assert_eq!(finished.code, 1, "{finished:?}");
        assert!(finished.stderr.contains("pooler"), "{finished:?}");
        let tables: i64 = query_scalar("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
            .fetch_one(&mut database.connect().await)
            .await
            .unwrap();
        assert_eq!(tables, 0);
    }
}

#[tokio::test]
async fn a_pooler_that_mixes_up_statements_is_refused_whoever_else_uses_it() {
    let Some(database) = Database::create() else {
        return;
    };
    let Some(bouncer) = PgBouncer::with_connections(database.url(), Mode::Transaction, 8) else {
        return;
    };
    let mut others = JoinSet::new();
    for _ in 0..3 {
        let url = bouncer.url().to_owned();
        others.spawn(async move {
            let mut other = PgConnection::connect(&url).await.unwrap();
            loop {
                // It prepares nothing.
                let asked = raw_sql("BEGIN; SELECT pg_sleep(0.001); COMMIT").execute(&mut other);
                asked.await.unwrap();
            }
        });
    }
    for _ in 0..10 {
        let opened = PostgresStorage::open(bouncer.url(), Migrate::Always).await;
        assert!(matches!(opened.err(), Some(OpenError::Pooler)));
    }
}

#[tokio::test]
async fn through_a_pooler_in_session_mode_everything_works() {
    let Some(database) = Database::create() else {
        return;
    };
    let Some(bouncer) = PgBouncer::before(database.url(), Mode::Session) else {
        return;
    };
    let settings = Settings {
        writers: 3,
        short_reads: 3,
        long_reads: 2,
        ..Settings::default()
    };
    let storage = PostgresStorage::open_with(bouncer.url(), Migrate::Always, &settings).await;
    let place = Place::on(Arc::new(storage.unwrap()), "acme").await;
    let direct = PostgresStorage::open(database.url(), Migrate::Never)
        .await
        .unwrap();
    let direct = Place::on(Arc::new(direct), "other").await;
    let mut commits = place.storage.commits();
    let addresses: Vec<_> = (0..12)
        .map(|number| format!("person{number}@example.com"))
        .collect();
    let linked = try_join_all(addresses.iter().map(|email| place.link(email)))
        .await
        .unwrap();
    let key = KeyDigest::of(&place.public_key);
    for member in &linked {
        let found = place
            .directory
            .retrieve_user(key, MemberLookup::UserId(member.user_id))
            .await;
        assert_eq!(found.unwrap().id, member.id);
    }
    place
        .directory
        .delete_user(key, linked[0].user_id, None)
        .await
        .unwrap();
    let query = MemberQuery {
        limit: 100,
        ..MemberQuery::default()
    };
    let grant = Read::operator(place.organization);
    let page = place.directory.members_counted(grant, query).await.unwrap();
    assert_eq!((page.members.len(), page.total), (11, Some(11)));
    // What another server writes is told through it.
    commits.mark_unchanged();
    let told = async {
        loop {
            direct.link("sally@example.com").await.unwrap();
            if timeout(Duration::from_millis(200), commits.changed())
                .await
                .is_ok()
            {
                break;
            }
        }
    };
    timeout(NEVER, told).await.expect("nothing is told");
    assert_consistent(&mut database.connect().await).await;
    place.storage.close().await;
}

/// A statement that is not kept is prepared without a name, and a pooler that keeps names apart does not keep these apart.
#[test]
fn no_statement_of_the_engine_is_prepared_for_one_time_only() {
    let storage = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/storage");
    let mut files = vec![storage.join("postgres"), storage.join("sql")];
    let mut sources: Vec<PathBuf> = Vec::new();
    while let Some(path) = files.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).unwrap();
            files.extend(entries.map(|entry| entry.unwrap().path()));
        } else {
            sources.push(path);
        }
    }
    assert!(sources.len() > 20, "{sources:?}");
    for path in sources {
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains("persistent("), "{}", path.display());
    }
}
