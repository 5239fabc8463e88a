//! Every case on a Citus cluster, if `USERBRIDGE_TEST_CITUS_URL` names a database of one, which the cases empty: its role owns
//! it, and the extension is there.
//!
//! No registry has Citus, so where there is none this is no skip, and says that it did not run.

use std::{
    env,
    io::{self, Write as _},
};

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::{CASES, fixture::Fixture};
use crate::support::engine::Engine;

struct Citus(String);

#[async_trait(?Send)]
impl Engine for Citus {
    async fn new() -> Option<Self> {
        let url = env::var("USERBRIDGE_TEST_CITUS_URL").ok()?;
        empty(&url).await;
        Some(Self(url))
    }

    fn url(&self) -> &str {
        &self.0
    }
}

/// Makes the database as it is after its migration.
async fn empty(url: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let query = "SELECT string_agg(tablename, ', ') FROM pg_tables
         WHERE schemaname = 'public' AND tablename NOT IN ('_sqlx_migrations', 'address_locks')
           AND to_regclass('_sqlx_migrations') IS NOT NULL";
    let tables: Option<String> = sqlx::query_scalar(query)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    if let Some(tables) = tables {
        let sql = format!(
            "TRUNCATE {tables};
             INSERT INTO organization_counters (organization_id) VALUES ('00000000-0000-0000-0000-000000000000')"
        );
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut connection)
            .await
            .unwrap();
    }
    connection.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_case_runs_on_citus_where_it_is_there() {
    for (file, case, run) in CASES {
        let Some(fixture) = Fixture::new::<Citus>().await else {
            // There is nobody to tell if it fails.
            let _ = writeln!(
                io::stderr(),
                "NOT RUN on Citus: USERBRIDGE_TEST_CITUS_URL is not set"
            );
            return;
        };
        // What the case says when it fails, this says first.
        let _ = writeln!(io::stderr(), "on Citus: {file}::{case}");
        let storage = fixture.clone();
        run(fixture).await;
        storage.close().await;
    }
}
