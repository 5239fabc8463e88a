//! How PostgreSQL finds members.

use sqlx::Connection as _;
use userbridge::{
    domain::{Idempotency, ImportRow, MemberPatch},
    service::{Admin, Directory, Imported, Write},
};

use crate::support::{
    engine::{Engine as _, Postgres, open},
    first,
};

/// Autovacuum, which is off here, would count rows a minute later.
#[tokio::test]
async fn an_import_finds_addresses_by_an_index_from_the_start() {
    let Some(database) = Postgres::new().await else {
        return;
    };
    let storage = open(database.url()).await;
    let directory = Directory::new(storage.clone());
    let created = directory.create_organization(
        Admin::OPERATOR,
        "acme".parse().unwrap(),
        "Acme".parse().unwrap(),
        Idempotency::never(),
    );
    let acme = first(created.await.unwrap()).id;
    let mut connection = database.connect().await;
    let mut plans = Vec::new();
    for batch in 0..3 {
        let rows = (0..2_000).map(|number| ImportRow {
            values: MemberPatch {
                email: Some(Some(format!("{batch}.{number}@acme.example").parse().unwrap())),
                ..MemberPatch::default()
            },
            ..ImportRow::default()
        });
        let rows: Vec<_> = rows.collect();
        let imported = directory.import_members(Write::operator(acme), rows.into()).await;
        assert!(matches!(imported.unwrap()[..], [Imported::Created(_), ..]));
        let plan: Vec<String> = sqlx::query_scalar(
            "EXPLAIN SELECT id FROM members
             WHERE organization_id = (SELECT id FROM organizations) AND email = '0.1@acme.example' AND revoked_at IS NULL",
        )
        .fetch_all(&mut connection)
        .await
        .unwrap();
        plans.push(plan.join("\n"));
    }
    connection.close().await.unwrap();
    storage.close().await;
    let by_address =
        |plan: &String| plan.contains("email = '0.1@acme.example'") && plan.contains("members_live_email");
    assert!(!by_address(&plans[0]), "PostgreSQL knows by itself: {}", plans[0]);
    assert!(by_address(&plans[2]), "{}", plans[2]);
}
