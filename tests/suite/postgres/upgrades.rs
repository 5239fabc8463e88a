//! Servers of two versions side by side: the newer one has migrated, and the older one goes on.

use userbridge::{
    domain::{Idempotency, LinkRequest, MemberFilter, MemberPatch, MemberQuery, MemberRef},
    service::{Admin, Directory, Read, Write},
    storage::{self, Migrate, OpenError},
};

use crate::support::{
    engine::{Engine as _, Postgres, open},
    first,
};

fn named(name: &str) -> LinkRequest {
    LinkRequest {
        values: MemberPatch {
            name: Some(Some(name.parse().unwrap())),
            email: Some(Some(format!("{name}@acme.example.com").parse().unwrap())),
            ..MemberPatch::default()
        },
        ..LinkRequest::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_server_goes_on_when_a_newer_one_has_added_to_the_schema() {
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
    let walk = async |name: &str| {
        let (write, read) = (|| Write::operator(acme), || Read::operator(acme));
        let linked = directory.link_member(write(), named(name), Idempotency::never());
        let member = first(linked.await.unwrap()).member;
        let by_id = MemberRef::Id(member.id);
        assert_eq!(directory.member(read(), by_id, false).await.unwrap(), member);
        let query = MemberQuery {
            filter: MemberFilter {
                text: Some(name.to_owned()),
                ..MemberFilter::default()
            },
            limit: 10,
            ..MemberQuery::default()
        };
        let listed = directory.members_counted(read(), query).await.unwrap();
        assert_eq!(listed.members, std::slice::from_ref(&member));
        let patch = MemberPatch {
            name: Some(None),
            ..MemberPatch::default()
        };
        let updated = directory.update_member(write(), member.id, patch, Some(1)).await;
        assert_eq!(updated.unwrap().version, 2);
        let change = directory.revoke_member(write(), member.id, Some(2)).await;
        assert_eq!(change.unwrap().version, 3);
    };
    walk("sally").await;

    // What the next version may do: columns that may be empty or have a default, new tables and indexes.
    let next = "ALTER TABLE members ADD COLUMN next text;
         ALTER TABLE organizations ADD COLUMN next bigint NOT NULL DEFAULT 0;
         ALTER TABLE events ADD COLUMN next text;
         CREATE TABLE nexts (organization_id uuid PRIMARY KEY);
         CREATE INDEX members_next ON members (organization_id, next);
         INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             SELECT max(version) + 1, 'next', TRUE, '', 0 FROM _sqlx_migrations";
    let mut connection = database.connect().await;
    sqlx::raw_sql(next).execute(&mut connection).await.unwrap();
    walk("bob").await;
    storage.close().await;

    // But it does not start on it.
    for migrate in [Migrate::Always, Migrate::Never] {
        let opened = storage::connect(database.url(), migrate).await;
        assert!(matches!(opened.err(), Some(OpenError::SchemaTooNew { .. })));
    }
}
