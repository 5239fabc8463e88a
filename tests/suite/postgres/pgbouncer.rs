//! The pooler that tests start.

use sqlx::{Connection as _, PgConnection, Row as _, raw_sql};

use crate::support::{
    pgbouncer::{Mode, PgBouncer},
    postgres::Database,
};

/// Which connection of the server answers, by a statement that is not prepared.
async fn answered_by(connection: &mut PgConnection) -> i32 {
    let row = raw_sql("SELECT pg_backend_pid()")
        .fetch_one(connection)
        .await
        .unwrap();
    row.get(0)
}

#[tokio::test]
async fn a_client_of_pgbouncer_keeps_its_connection_in_session_mode_alone() {
    for (mode, keeps) in [(Mode::Session, true), (Mode::Transaction, false)] {
        let Some(database) = Database::create() else {
            return;
        };
        let Some(bouncer) = PgBouncer::before(database.url(), mode) else {
            return;
        };
        let mut one = PgConnection::connect(bouncer.url()).await.unwrap();
        let first = answered_by(&mut one).await;
        let mut other = PgConnection::connect(bouncer.url()).await.unwrap();
        let mut begun = other.begin().await.unwrap();
        let held = answered_by(&mut begun).await;
        assert_eq!(held != first, keeps, "{mode:?}");
        assert_eq!(answered_by(&mut one).await == first, keeps, "{mode:?}");
    }
}
