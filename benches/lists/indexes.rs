//! What the indexes of lists by role and last seen cost whoever is linked or seen: the same writes to a copy of the
//! database as it is and to one without them, in turn.

use std::{path::Path, sync::Arc, time::Instant};

use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::task::JoinSet;
use userbridge::{
    domain::{Idempotency, LinkRequest, MemberId, MemberPatch, Origin, Role},
    service::{Directory, Write},
    storage::{self, Migrate},
};
use uuid::Uuid;

use super::{Median, ORGANIZATION, Result};

/// How many are linked at once: as many share a commit as wait for it.
const CALLERS: u32 = 16;

/// How many each of them links.
const LINKS: u32 = 100;

/// How many are seen, spread over all.
const SEEN: u32 = 2_000;

/// How often each copy is made and written to.
const ROUNDS: usize = 5;

/// A kind of writes, and in microseconds one of them with the indexes and without.
pub(super) type Row = (&'static str, [f64; 2]);

pub(super) async fn measure(database: &Path, members: i64) -> Result<Vec<Row>> {
    let mut links = [Median::default(), Median::default()];
    let mut seen = [Median::default(), Median::default()];
    for _ in 0..ROUNDS {
        for (index, drop) in ["", DROP].into_iter().enumerate() {
            let folder = tempfile::tempdir_in(database.parent().unwrap_or(database))?;
            let copy = folder.path().join("copy.db");
            std::fs::copy(database, &copy)?;
            let options = SqliteConnectOptions::new().filename(&copy);
            let mut connection = SqliteConnection::connect_with(&options).await?;
            sqlx::raw_sql(drop).execute(&mut connection).await?;
            connection.close().await?;
            let storage = storage::connect(&format!("sqlite:{}", copy.display()), Migrate::Never).await?;
            let directory = Arc::new(Directory::new(storage.clone()));
            let start = Instant::now();
            link(&directory).await?;
            links[index].add_share(start, CALLERS * LINKS);
            let grant = Write::operator(ORGANIZATION);
            for number in 0..i64::from(SEEN) {
                let number = 1 + number * members / i64::from(SEEN);
                let id = MemberId::from_uuid(Uuid::from_u128(number.unsigned_abs().into()));
                directory.record_seen(grant.clone(), id).await?;
            }
            let start = Instant::now();
            directory.write_last_used().await?;
            seen[index].add_share(start, SEEN);
            storage.close().await;
        }
    }
    Ok(vec![
        ("a link", links.map(super::Median::micros)),
        ("a member seen", seen.map(super::Median::micros)),
    ])
}

const DROP: &str = "DROP INDEX members_sort_role; DROP INDEX members_sort_seen";

async fn link(directory: &Arc<Directory>) -> Result<()> {
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let directory = directory.clone();
        callers.spawn(async move {
            for link in 0..LINKS {
                // Addresses come in no order.
                let hash = (caller * LINKS + link).wrapping_mul(2_654_435_761);
                let request = LinkRequest {
                    origin: Origin::default(),
                    values: MemberPatch {
                        email: Some(format!("{hash:010}-{caller}-{link}@example.com").parse().ok()),
                        name: Some("Sally Doe".parse().ok()),
                        role: Some(Some(Role::Viewer)),
                        ..MemberPatch::default()
                    },
                    ..LinkRequest::default()
                };
                let grant = Write::operator(ORGANIZATION);
                directory
                    .link_member(grant, request, Idempotency::never())
                    .await?;
            }
            Ok::<_, userbridge::service::ServiceError>(())
        });
    }
    while let Some(done) = callers.join_next().await {
        done??;
    }
    Ok(())
}
