//! SQLite's write-ahead log while a server runs.

use std::{sync::Arc, time::Duration};

use sqlx::{Connection as _, SqliteConnection};
use tokio::time::{sleep, timeout};
use userbridge::{
    domain::{Idempotency, LinkRequest, MemberPatch},
    service::{Admin, Directory, Write},
    storage::{
        Migrate, Storage,
        sqlite::{Settings, SqliteStorage},
    },
};

use crate::support::{database, first};

/// Pages in the log, and how many of them are in the file.
async fn log(connection: &mut SqliteConnection) -> (i64, i64) {
    let pages = sqlx::query_as("PRAGMA wal_checkpoint (NOOP)");
    let (_, log, moved): (i64, i64, i64) = pages.fetch_one(connection).await.unwrap();
    (log, moved)
}

#[tokio::test]
async fn the_log_is_moved_into_the_file_before_the_writer_has_to() {
    const PAGES: u32 = 5_000;
    let (_folder, url) = database();
    let settings = Settings {
        log_pages: PAGES,
        ..Settings::default()
    };
    let storage = SqliteStorage::open_with(&url, Migrate::Always, settings).await;
    let storage: Arc<dyn Storage> = Arc::new(storage.unwrap());
    let directory = Directory::new(storage.clone());
    let (slug, name) = ("acme".parse().unwrap(), "Acme".parse().unwrap());
    let created = directory.create_organization(Admin::OPERATOR, slug, name, Idempotency::never());
    let acme = first(created.await.unwrap()).id;
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let mut was_moved = false;
    for number in 0.. {
        let email = format!("{number}@acme.example.com").parse().unwrap();
        let link = LinkRequest {
            values: MemberPatch {
                email: Some(Some(email)),
                ..MemberPatch::default()
            },
            ..LinkRequest::default()
        };
        let linked = directory.link_member(Write::operator(acme), link, Idempotency::never());
        linked.await.unwrap();
        let (log, moved) = log(&mut connection).await;
        assert!(log < i64::from(PAGES), "the writer moves {log} pages");
        was_moved |= moved > 0;
        if log > 4_000 {
            break;
        }
    }
    assert!(was_moved, "it is moved a part at a time");
    // Soon it is the writer's turn: next to nothing is left for it.
    let left = async {
        loop {
            let (log, moved) = log(&mut connection).await;
            if log - moved < 100 {
                break;
            }
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(15), left).await.expect("pages wait");
    storage.close().await;
}
