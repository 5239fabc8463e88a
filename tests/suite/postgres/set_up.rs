//! Databases that were set up in another way than most.

use std::{sync::Arc, time::Duration};

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, query_scalar};
use tokio::time::{sleep, timeout};
use url::Url;
use userbridge::storage::{self, Migrate, OpenError, Storage};

use super::{
    place::{NEVER, migrated},
    retries::until_waiting,
};
use crate::{
    cli::assert_one_line,
    support::{
        postgres::{Cluster, Database},
        process::userbridge,
    },
};

#[tokio::test]
async fn a_database_that_can_not_keep_every_text_is_refused_before_anything_is_written() {
    let Some(cluster) = Cluster::own(&[]).await else {
        return;
    };
    let mut connection = PgConnection::connect(&cluster.url()).await.unwrap();
    let mut url = Url::parse(&cluster.url()).unwrap();
    for encoding in ["LATIN1", "SQL_ASCII"] {
        let name = encoding.to_lowercase();
        // Safe: it is put together from constants.
        let create = AssertSqlSafe(format!(
            "CREATE DATABASE {name} ENCODING '{encoding}' LOCALE_PROVIDER libc LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        ));
        connection.execute(sqlx::raw_sql(create)).await.unwrap();
        url.set_path(&name);
        for migrate in [Migrate::Always, Migrate::Never] {
            let opened = storage::connect(url.as_str(), migrate).await;
            assert!(matches!(opened.err(), Some(OpenError::Encoding(found)) if found == encoding));
        }
        let finished = userbridge(url.as_str(), &["migrate"]);
        assert_eq!(finished.code, 1, "{finished:?}");
        assert_one_line(&finished.stderr);
        assert!(finished.stderr.contains(encoding), "{finished:?}");
        let mut refused = PgConnection::connect(url.as_str()).await.unwrap();
        let tables: i64 = query_scalar("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
            .fetch_one(&mut refused)
            .await
            .unwrap();
        assert_eq!(tables, 0, "{encoding}");
    }
}

/// How long statements may take, and wait, in a database.
const TIMEOUT: Duration = Duration::from_secs(2);

async fn set_timeouts(connection: &mut PgConnection) {
    let name: String = query_scalar("SELECT current_database()::text")
        .fetch_one(&mut *connection)
        .await
        .unwrap();
    for timeout in ["statement_timeout", "lock_timeout"] {
        // Safe: it is put together from constants and the name of a test's database.
        let set = AssertSqlSafe(format!(
            "ALTER DATABASE {name} SET {timeout} = {}",
            TIMEOUT.as_millis()
        ));
        connection.execute(sqlx::raw_sql(set)).await.unwrap();
    }
}

/// Has something wait for longer than it may, and returns what became of it.
async fn kept_waiting<T>(
    database: &Database,
    held: &'static str,
    waits: impl Future<Output = Result<T, OpenError>>,
) -> Result<T, OpenError> {
    let mut observer = database.connect().await;
    let mut holder = database.connect().await;
    let mut holding = holder.begin().await.unwrap();
    holding.execute(held).await.unwrap();
    let let_go = async {
        until_waiting(&mut observer, 1).await;
        sleep(TIMEOUT + Duration::from_secs(1)).await;
        holding.rollback().await.unwrap();
    };
    let both = async { tokio::join!(waits, let_go) };
    timeout(NEVER, both).await.expect("it ends").0
}

#[tokio::test]
async fn a_migration_takes_as_long_as_it_takes() {
    let Some(database) = Database::create() else {
        return;
    };
    set_timeouts(&mut database.connect().await).await;
    let opens = storage::connect(database.url(), Migrate::Always);
    // Who makes a table of the same name waits for what becomes of it.
    let held = "CREATE TABLE organizations (id uuid)";
    let storage: Arc<dyn Storage> = kept_waiting(&database, held, opens).await.unwrap();
    storage.close().await;
}

#[tokio::test]
async fn compacting_takes_as_long_as_it_takes() {
    let Some(database) = migrated().await else {
        return;
    };
    set_timeouts(&mut database.connect().await).await;
    let storage = storage::connect(database.url(), Migrate::Never).await.unwrap();
    let compacts = async { Ok(storage.compact().await?) };
    kept_waiting(&database, "SELECT FROM members", compacts)
        .await
        .unwrap();
    storage.close().await;
}
