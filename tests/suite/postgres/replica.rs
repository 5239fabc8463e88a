//! Lists from a replica, and nothing else.
//!
//! A copy of the database that gets nothing new stands for a replica that lags: what comes from it is told by what it lacks.

use std::{sync::Arc, time::Duration};

use sqlx::Executor as _;
use tokio::time::{sleep, timeout};
use userbridge::{
    domain::{
        Idempotency, LinkRequest, Member, MemberFilter, MemberPatch, MemberQuery, MemberRef, OrganizationId,
    },
    service::{Admin, Directory, Read, Write},
    storage::{self, Migrate, OpenError, Storage},
};

use super::place::NEVER;
use crate::support::{
    engine::{Engine as _, Postgres, open},
    first,
    proxy::Proxy,
};

async fn link(directory: &Directory, organization: OrganizationId, name: &str) -> Member {
    let request = LinkRequest {
        values: MemberPatch {
            name: Some(Some(name.parse().unwrap())),
            ..MemberPatch::default()
        },
        ..LinkRequest::default()
    };
    let grant = Write::operator(organization);
    let linked = directory.link_member(grant, request, Idempotency::never());
    first(linked.await.unwrap()).member
}

/// How many members each kind of list has: a plain one, one of a part of a name, and a counted one.
async fn listed(directory: &Directory, organization: OrganizationId) -> [usize; 3] {
    let query = |part: &[&str]| MemberQuery {
        filter: MemberFilter {
            name_parts: part.iter().map(ToString::to_string).collect(),
            ..MemberFilter::default()
        },
        limit: 100,
        ..MemberQuery::default()
    };
    let grant = || Read::operator(organization);
    let plain = directory.members(grant(), query(&[])).await.unwrap();
    let found = directory.members(grant(), query(&["sal"])).await.unwrap();
    let counted = directory.members_counted(grant(), query(&[])).await.unwrap();
    [
        plain.members.len(),
        found.members.len(),
        usize::try_from(counted.total.unwrap()).unwrap(),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_come_from_the_replica_and_nothing_else_does() {
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
    link(&directory, acme, "Sally").await;
    storage.close().await;

    let Some(lagging) = database.copied() else {
        return;
    };
    let proxy = Proxy::before(lagging.url());
    let storage: Arc<dyn Storage> =
        storage::connect_with(database.url(), Some(&proxy.url()), Migrate::Never, Vec::new())
            .await
            .unwrap();
    let directory = Directory::new(storage.clone());
    let salma = link(&directory, acme, "Salma").await;
    assert_eq!(listed(&directory, acme).await, [1, 1, 1]);
    // All else knows what was written.
    let read = Read::operator(acme);
    let found = directory.member(read, MemberRef::Id(salma.id), false).await;
    assert_eq!(found.unwrap(), salma);
    let heads = storage.heads(vec![acme]).await.unwrap();
    assert_eq!(heads, [(acme, 3)]);
    assert!(
        !proxy
            .said()
            .iter()
            .any(|said| said.contains("events") || said.contains("api_keys"))
    );

    // Without the replica, lists come from the database, and do not wait for it each time.
    let rounds = async || {
        for _ in 0..40 {
            assert_eq!(listed(&directory, acme).await, [2, 2, 2]);
        }
        assert!(storage.condition().borrow().is_writable());
    };
    let come_from_it_again = async || {
        while listed(&directory, acme).await != [1, 1, 1] {
            sleep(Duration::from_millis(20)).await;
        }
    };
    proxy.refuse();
    proxy.cut();
    timeout(NEVER, rounds()).await.expect("lists do not take long");
    proxy.accept();
    timeout(NEVER, come_from_it_again())
        .await
        .expect("they never come from it again");

    // It lacks what the database has, as before it has replayed a migration.
    let mut connection = lagging.connect().await;
    connection
        .execute("ALTER TABLE members RENAME TO hidden")
        .await
        .unwrap();
    timeout(NEVER, rounds()).await.expect("lists do not take long");
    connection
        .execute("ALTER TABLE hidden RENAME TO members")
        .await
        .unwrap();
    timeout(NEVER, come_from_it_again())
        .await
        .expect("they never come from it again");
    storage.close().await;
}

#[tokio::test]
async fn only_postgresql_has_replicas() {
    let opened = storage::connect_with(
        "sqlite:any.db",
        Some("postgres://localhost/any"),
        Migrate::Never,
        Vec::new(),
    )
    .await;
    assert!(matches!(opened.err(), Some(OpenError::NoReplicas)));
}
