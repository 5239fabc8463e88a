//! Changes that fail, that come twice, and that other processes make.

use std::{pin::pin, time::Duration};

use tokio::time::timeout;
use tokio_stream::StreamExt as _;
use userbridge::{
    domain::{
        Actor, Change, Clock as _, Event, EventKind, EventQuery, Idempotency, KeyDigest, LinkRequest, Member,
        MemberFilter, MemberLookup, MemberPatch, Organization, PortalRole, Presented, Role,
    },
    service::{Credential, Directory, Read, ServiceError, Write},
    storage::{self, Migrate},
};

use super::raw;
use crate::support::{CLOCK, Count as _, Form, Tenant, TestApp, database, first, process::userbridge};

/// In one batch with it are revocations of others, of other organizations too.
#[tokio::test]
async fn a_revocation_that_fails_leaves_nothing_behind_and_fails_alone() {
    let app = TestApp::start(Form::Embedded).await;
    let (acme, globex) = (app.tenant("acme").await, app.tenant("globex").await);
    let gone = app.member(&acme.organization, "gone@acme.example.com").await;
    let stays = app.member(&acme.organization, "stays@acme.example.com").await;
    let viewer = staff(&app, &acme, "viewer@acme.example.com").await;
    let other = app.member(&globex.organization, "other@globex.example.com").await;
    // Fails when the members are revoked already and the first event is written.
    let mut connection = raw(app.database_url()).await;
    let trigger = format!(
        "CREATE TRIGGER broken BEFORE INSERT ON events WHEN hex(new.user_id) = '{:X}' AND new.kind = 'member.revoked'
         BEGIN SELECT RAISE (FAIL, 'broken'); END",
        stays.user_id.as_uuid().simple()
    );
    sqlx::query(sqlx::AssertSqlSafe(trigger))
        .execute(&mut connection)
        .await
        .unwrap();
    let revoke = |tenant: &Tenant, member: &Member| {
        let (key, user, directory) = (KeyDigest::of(&tenant.key), member.user_id, app.directory());
        async move { directory.delete_user(key, user, None).await }
    };
    let (first, second, third, fourth) = tokio::join!(
        revoke(&acme, &gone),
        revoke(&acme, &stays),
        revoke(&globex, &other),
        revoke(&acme, &viewer)
    );
    assert!(
        first.is_ok() && third.is_ok() && fourth.is_ok(),
        "{first:?} {third:?} {fourth:?}"
    );
    assert!(matches!(second, Err(ServiceError::Internal(_))), "{second:?}");

    let storage = app.storage().await;
    for (tenant, member, is_live) in [
        (&acme, &gone, false),
        (&acme, &stays, true),
        (&globex, &other, false),
    ] {
        let lookup = MemberLookup::UserId(member.user_id);
        let found = storage.key_and_member(KeyDigest::of(&tenant.key), lookup).await;
        assert_eq!(found.unwrap().member.is_some(), is_live);
        let query = EventQuery {
            limit: 100,
            ..EventQuery::default()
        };
        let events = storage.events(Some(tenant.organization.id), query).await.unwrap();
        let told =
            |event: &Event| event.kind == EventKind::MemberRevoked && event.user_id == Some(member.user_id);
        assert_eq!(events.iter().any(told), !is_live);
    }
    let count = storage.count_members(acme.organization.id, MemberFilter::default());
    assert_eq!(count.await.unwrap(), 2);
    // Alone, too, it takes from staff no more than the portal role.
    let key = userbridge::domain::MemberRef::Id(viewer.id);
    let left = storage
        .member(acme.organization.id, key, false)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (left.access.role, left.profile.portal_role),
        (Some(Role::Viewer), None)
    );
}

/// A viewer who is an end user as well.
async fn staff(app: &TestApp, tenant: &Tenant, email: &str) -> Member {
    let link = LinkRequest {
        values: MemberPatch {
            email: Some(Some(email.parse().unwrap())),
            portal_role: Some(Some(PortalRole::default())),
            role: Some(Some(Role::Viewer)),
            ..MemberPatch::default()
        },
        ..LinkRequest::default()
    };
    let grant = Write::operator(tenant.organization.id);
    let linked = app.directory().link_member(grant, link, Idempotency::never());
    first(linked.await.unwrap()).member
}

/// One batch, so one transaction: were they not told apart, it would fail, and each be tried alone.
#[tokio::test]
async fn who_is_deleted_twice_at_once_is_revoked_once_and_in_one_transaction() {
    let app = TestApp::start(Form::Embedded).await;
    let (acme, globex) = (app.organization("acme").await, app.organization("globex").await);
    let sally = app.member(&acme, "sally@acme.example.com").await;
    let other = app.member(&globex, "other@globex.example.com").await;
    // Without the server, which writes now and then by itself.
    let (_folder, url) = app.shutdown().await;
    let storage = storage::connect(&url, Migrate::Never).await.unwrap();
    let commits = storage.commits();
    let before = *commits.borrow();
    let revoke = |organization: &Organization, member: &Member| {
        let change = Change {
            actor: Actor::Operator,
            at: CLOCK.now(),
            client: None,
            source: None,
        };
        storage.revoke_user(organization.id, member.user_id, change)
    };
    let (first, again, third) = tokio::join!(
        revoke(&acme, &sally),
        revoke(&acme, &sally),
        revoke(&globex, &other)
    );
    assert_eq!(
        (first.unwrap(), again.unwrap(), third.unwrap()),
        (true, false, true)
    );
    assert_eq!(*commits.borrow(), before + 1);
    for organization in [acme, globex] {
        let query = EventQuery {
            kinds: vec![EventKind::MemberRevoked],
            limit: 100,
            ..EventQuery::default()
        };
        let told = storage.events(Some(organization.id), query).await.unwrap();
        assert_eq!(told.len(), 1);
    }
    storage.close().await;
}

/// It is woken by the commits of its own process, and there are none.
#[tokio::test]
async fn a_watcher_sees_what_other_processes_write() {
    let (_folder, url) = database();
    let storage = storage::connect(&url, Migrate::Always).await.unwrap();
    let run = |arguments: &[&str]| userbridge(&url, arguments).json();
    let acme = run(&["org", "create", "acme", "--json"]);
    let grant = Read::operator(acme["id"].as_str().unwrap().parse().unwrap());
    let credential = Credential {
        presented: Presented::new("looked at again after half a minute"),
        organization: None,
    };
    let directory = Directory::new(storage.clone());
    let watch = directory.watch_events(grant, credential, 0).await.unwrap();
    let mut kinds = pin!(watch.filter_map(|told| told.unwrap().event.map(|event| event.kind)));
    assert_eq!(kinds.next().await, Some(EventKind::OrganizationCreated));
    // It has read all there is, and waits.
    let more = timeout(Duration::from_millis(50), kinds.next()).await;
    assert!(more.is_err(), "{more:?}");
    run(&[
        "member",
        "link",
        "--org",
        "acme",
        "--email",
        "sally@acme.example.com",
        "--json",
    ]);
    let linked = timeout(Duration::from_secs(15), kinds.next()).await;
    assert_eq!(linked, Ok(Some(EventKind::MemberLinked)));
    storage.close().await;
}
