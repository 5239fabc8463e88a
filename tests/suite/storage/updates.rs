//! Changes of a member: what is named changes, nothing else does.

use crate::support::rules::LinkMember;
use tokio::task::JoinSet;
use userbridge::{
    domain::{
        AuthMethod, Conflict, EventKind, Member, MemberId, MemberPatch, OrganizationId, Resource, Role,
        TeamNumber,
    },
    service::ServiceError,
};

use super::{
    fixture::Fixture,
    people::{address, assert_fails, by_email, origin, set, values},
};
use crate::support::RANDOM;

const SALLY: &str = "sally@acme.example.com";
const TOM: &str = "tom@acme.example.com";

/// A member of whom everything is known.
async fn full(fixture: &Fixture, organization: OrganizationId) -> Member {
    let link = LinkMember {
        origin: origin("zendesk", "z-1"),
        ..fixture.link_with(values! {
            email: set(SALLY),
            name: set("Sally"),
            avatar_url: set("https://acme.example.com/sally.png"),
            portal_role: set("moderator"),
            company_name: set("Acme"),
            customer_status: set("paying"),
            role: Some(Role::Editor),
            auth_method: Some(AuthMethod::Password),
            teams: vec![TeamNumber::ROOT],
        })
    };
    fixture.link_as(organization, link).await.unwrap().member
}

/// One new value for each field.
fn each_field() -> Vec<(&'static str, MemberPatch)> {
    vec![
        ("email", address(TOM)),
        ("name", values! { name: set("Tom") }),
        (
            "avatar_url",
            values! { avatar_url: set("https://acme.example.com/tom.png") },
        ),
        ("portal_role", values! { portal_role: set("admin") }),
        ("company_name", values! { company_name: set("Globex") }),
        ("customer_status", values! { customer_status: set("trial") }),
        ("role", values! { role: Some(Role::Viewer) }),
        ("enabled", values! { enabled: false }),
        ("auth_method", values! { auth_method: Some(AuthMethod::Oidc) }),
        ("external_id", values! { external_id: set("z-2") }),
        ("teams", values! { teams: vec![] }),
    ]
}

pub(super) async fn an_update_changes_the_named_field_and_no_other(fixture: Fixture) {
    for (index, (field, patch)) in each_field().into_iter().enumerate() {
        let acme = fixture.organization(&format!("acme-{index}")).await;
        let before = full(&fixture, acme).await;
        let after = fixture.update(acme, &before, patch.clone()).await.unwrap();
        let mut expected = before.clone();
        patch.apply(&mut expected);
        if field == "email" {
            expected.email_since = after.updated_at;
        }
        expected.version = after.version;
        expected.updated_at = after.updated_at;
        assert_eq!(after, expected, "{field}");
        assert!(after.version > before.version && after.updated_at > before.updated_at);
        assert_eq!(fixture.now(acme, &before).await, after, "{field}");
        let event = fixture.last_event(acme).await;
        assert_eq!(event.kind, EventKind::MemberUpdated);
        assert_eq!(event.fields, [field]);
        assert_eq!(event.member_id, Some(before.id));
    }
}

pub(super) async fn what_may_be_absent_can_be_cleared(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let before = full(&fixture, acme).await;
    let clear = values! {
        email: None,
        name: None,
        avatar_url: None,
        company_name: None,
        customer_status: None,
        role: None,
        auth_method: None,
        external_id: None,
    };
    let after = fixture.update(acme, &before, clear).await.unwrap();
    let profile = &after.profile;
    assert_eq!(
        (&profile.email, &profile.name, &profile.avatar_url),
        (&None, &None, &None)
    );
    assert_eq!((&profile.company_name, &profile.customer_status), (&None, &None));
    assert_eq!((after.access.role, after.access.auth_method), (None, None));
    assert_eq!(after.origin.external_id, None);
    assert_eq!(profile.portal_role, before.profile.portal_role);
    assert_eq!(fixture.now(acme, &before).await, after);
    // The address and the external id are free for somebody else.
    let tom = LinkMember {
        origin: origin("zendesk", "z-1"),
        ..fixture.link_with(address(TOM))
    };
    let tom = fixture.link_as(acme, tom).await.unwrap().member;
    assert_ne!(tom.id, before.id);
    fixture.update(acme, &tom, address(SALLY)).await.unwrap();
}

pub(super) async fn an_update_that_changes_nothing_leaves_no_trace(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let before = full(&fixture, acme).await;
    let log = fixture.log_of(acme).await;
    for patch in [
        MemberPatch::default(),
        address(SALLY),
        values! { name: set("Sally"), role: Some(Role::Editor), enabled: true, teams: vec![TeamNumber::ROOT] },
    ] {
        assert_eq!(fixture.update(acme, &before, patch).await.unwrap(), before);
    }
    assert_eq!(fixture.now(acme, &before).await, before);
    assert_eq!(fixture.log_of(acme).await, log);
}

pub(super) async fn an_update_of_another_version_changes_nothing(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let first = full(&fixture, acme).await;
    let second = fixture
        .update(acme, &first, values! { name: set("Second") })
        .await
        .unwrap();
    let log = fixture.log_of(acme).await;
    for version in [first.version, second.version + 1, 0, -1, i64::MAX] {
        let patch = values! { name: set("Third") };
        let (id, change) = (first.id, fixture.change());
        let update = fixture
            .storage()
            .update_member(acme, id, patch, Some(version), change.clone());
        assert_fails!(update.await, ServiceError::VersionMismatch);
        // Even if it would change nothing.
        let nothing = MemberPatch::default();
        let update = fixture
            .storage()
            .update_member(acme, id, nothing, Some(version), change.clone());
        assert_fails!(update.await, ServiceError::VersionMismatch);
        let revoke = fixture.storage().revoke_member(acme, id, Some(version), change);
        assert_fails!(revoke.await, ServiceError::VersionMismatch);
    }
    assert_eq!(fixture.now(acme, &first).await, second);
    assert_eq!(fixture.log_of(acme).await, log);
    let patch = values! { name: set("Third") };
    let update =
        fixture
            .storage()
            .update_member(acme, first.id, patch, Some(second.version), fixture.change());
    let third = update.await.unwrap();
    let revoke = fixture
        .storage()
        .revoke_member(acme, first.id, Some(third.version), fixture.change());
    assert!(revoke.await.unwrap().version > third.version);
}

pub(super) async fn of_many_updates_of_one_version_at_once_one_happens(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let sally = full(&fixture, acme).await;
    let mut racers = JoinSet::new();
    for index in 0..30 {
        let (fixture, id, version) = (fixture.clone(), sally.id, sally.version);
        racers.spawn(async move {
            let patch = values! { name: set(&format!("Sally {index}")) };
            let change = fixture.change();
            fixture
                .storage()
                .update_member(acme, id, patch, Some(version), change)
                .await
        });
    }
    let (won, lost): (Vec<_>, Vec<_>) = racers.join_all().await.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 1);
    assert!(
        lost.iter()
            .all(|one| matches!(one, Err(ServiceError::VersionMismatch)))
    );
    assert_eq!(fixture.now(acme, &sally).await, *won[0].as_ref().unwrap());
}

pub(super) async fn an_address_is_changed_only_to_a_free_one(fixture: Fixture) {
    let (acme, globex) = (
        fixture.organization("acme").await,
        fixture.organization("globex").await,
    );
    let sally = full(&fixture, acme).await;
    let tom = fixture.person(acme, address(TOM)).await;
    fixture.person(globex, address("ann@acme.example.com")).await;
    let log = fixture.log_of(acme).await;
    assert_fails!(
        fixture.update(acme, &tom, address(SALLY)).await,
        ServiceError::Conflict(Conflict::Member)
    );
    assert_eq!(fixture.now(acme, &tom).await, tom);
    assert_eq!(fixture.log_of(acme).await, log);
    // What is taken elsewhere is free here.
    fixture
        .update(acme, &tom, address("ann@acme.example.com"))
        .await
        .unwrap();
    assert_eq!(fixture.finds(acme, by_email(TOM)).await, None);
    fixture.revoke(acme, &sally).await.unwrap();
    fixture.update(acme, &tom, address(SALLY)).await.unwrap();
    assert_eq!(fixture.finds(acme, by_email(SALLY)).await, Some(tom.id));
}

pub(super) async fn an_external_id_is_changed_only_to_a_free_one(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    full(&fixture, acme).await;
    let tom = LinkMember {
        origin: origin("zendesk", "z-2"),
        ..fixture.link_with(address(TOM))
    };
    let tom = fixture.link_as(acme, tom).await.unwrap().member;
    let taken = values! { external_id: set("z-1") };
    assert_fails!(
        fixture.update(acme, &tom, taken).await,
        ServiceError::Conflict(Conflict::Member)
    );
    let ann = LinkMember {
        origin: origin("freshdesk", "f-1"),
        ..fixture.link_with(MemberPatch::default())
    };
    let ann = fixture.link_as(acme, ann).await.unwrap().member;
    // Another source counts by itself.
    fixture
        .update(acme, &ann, values! { external_id: set("z-1") })
        .await
        .unwrap();
}

pub(super) async fn only_a_live_member_of_the_organization_is_updated(fixture: Fixture) {
    let (acme, globex) = (
        fixture.organization("acme").await,
        fixture.organization("globex").await,
    );
    let sally = full(&fixture, acme).await;
    let patch = || values! { name: set("Nobody") };
    assert_fails!(
        fixture.update(globex, &sally, patch()).await,
        ServiceError::NotFound(Resource::Member)
    );
    let unknown = MemberId::new(fixture.tick(), RANDOM).unwrap();
    let update = fixture
        .storage()
        .update_member(acme, unknown, patch(), None, fixture.change());
    assert_fails!(update.await, ServiceError::NotFound(Resource::Member));
    for team in [
        values! { teams: vec![TeamNumber::ROOT, TeamNumber(9)] },
        values! { primary_team: TeamNumber(9) },
    ] {
        assert_fails!(
            fixture.update(acme, &sally, team).await,
            ServiceError::NotFound(Resource::Team)
        );
    }
    assert_eq!(fixture.now(acme, &sally).await, sally);
    fixture.revoke(acme, &sally).await.unwrap();
    assert_fails!(
        fixture.update(acme, &sally, patch()).await,
        ServiceError::NotFound(Resource::Member)
    );
    assert_eq!(fixture.log_of(globex).await.len(), 1);
}
