//! Linking: who is found, who is made, and what of them changes.

use crate::support::{Count as _, rules::LinkMember};
use tokio::task::JoinSet;
use userbridge::{
    domain::{
        AuthMethod, Conflict, EventKind, LinkOutcome, MemberFilter, MemberNumber, MemberPatch, MemberRef,
        Origin, Resource, Role, TeamNumber,
    },
    service::ServiceError,
};

use super::{
    fixture::Fixture,
    people::{address, assert_fails, by_email, origin, set, values},
};

const SALLY: &str = "sally@acme.example.com";
const TOM: &str = "tom@acme.example.com";

pub(super) async fn a_first_link_creates_all_that_was_said(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let link = LinkMember {
        origin: origin("zendesk", "z-1"),
        ..fixture.link_with(values! {
            email: set(SALLY),
            name: set("Sally"),
            role: Some(Role::Editor),
            auth_method: Some(AuthMethod::Oidc),
            teams: vec![TeamNumber::ROOT],
            primary_team: TeamNumber::ROOT,
        })
    };
    let linked = fixture.link_as(acme, link.clone()).await.unwrap();
    assert_eq!(linked.outcome, LinkOutcome::Created);
    let entry = linked.member;
    assert_eq!((entry.id, entry.user_id), (link.id, link.new_user_id));
    assert_eq!(entry.access.role, Some(Role::Editor));
    assert_eq!(entry.access.auth_method, Some(AuthMethod::Oidc));
    assert!(entry.access.enabled);
    assert_eq!(entry.origin, link.origin);
    assert_eq!(entry.teams, [TeamNumber::ROOT]);
    assert_eq!((entry.number, entry.version), (MemberNumber(1), 1));
    assert_eq!(entry.updated_at, entry.created_at);
    assert_eq!(
        (entry.last_seen_at, entry.revoked_at, entry.erased_at),
        (None, None, None)
    );
    assert_eq!(fixture.now(acme, &entry).await, entry);
    let event = fixture.last_event(acme).await;
    assert_eq!(event.kind, EventKind::MemberLinked);
    assert_eq!(
        (event.member_id, event.user_id),
        (Some(entry.id), Some(entry.user_id))
    );
    for field in [
        "email",
        "name",
        "role",
        "auth_method",
        "teams",
        "source",
        "external_id",
    ] {
        assert!(
            event.fields.iter().any(|name| name == field),
            "{field}: {event:?}"
        );
    }
}

pub(super) async fn a_repeated_link_finds_what_is_there_and_writes_no_event(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let all = || {
        values! { email: set(SALLY), name: set("Sally"), portal_role: set("partner"), role: Some(Role::Viewer) }
    };
    let first = fixture.person(acme, all()).await;
    let log = fixture.log_of(acme).await;
    for values in [
        all(),
        address(SALLY),
        values! { email: set(SALLY), name: set("Sally") },
    ] {
        let again = fixture.link_with(values);
        let again = fixture.link_as(acme, again).await.unwrap();
        assert_eq!((again.outcome, &again.member), (LinkOutcome::Unchanged, &first));
    }
    assert_eq!(fixture.log_of(acme).await, log);
}

pub(super) async fn a_link_with_other_values_updates_only_those(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let first = fixture
        .person(
            acme,
            values! { email: set(SALLY), name: set("Sally"), company_name: set("Acme") },
        )
        .await;
    let again = fixture.link_with(values! {
        email: set(SALLY),
        name: set("Sally Doe"),
        company_name: set("Acme"),
        role: Some(Role::Admin),
    });
    let again = fixture.link_as(acme, again).await.unwrap();
    assert_eq!(again.outcome, LinkOutcome::Updated);
    let mut expected = first.clone();
    expected.profile.name = set("Sally Doe");
    expected.access.role = Some(Role::Admin);
    expected.version = again.member.version;
    expected.updated_at = again.member.updated_at;
    assert_eq!(again.member, expected);
    assert!(again.member.version > first.version && again.member.updated_at > first.updated_at);
    assert_eq!(fixture.now(acme, &first).await, again.member);
    let event = fixture.last_event(acme).await;
    assert_eq!(
        (event.kind, &event.fields[..]),
        (
            EventKind::MemberUpdated,
            &["name".to_owned(), "role".to_owned()][..]
        )
    );
}

pub(super) async fn a_link_is_found_by_user_then_by_external_id_then_by_address(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let by_user = fixture.person(acme, MemberPatch::default()).await;
    let by_external = LinkMember {
        origin: origin("zendesk", "z-1"),
        ..fixture.link_with(MemberPatch::default())
    };
    let by_external = fixture.link_as(acme, by_external).await.unwrap().member;
    let by_email = fixture.person(acme, address(SALLY)).await;
    let ask = async |user_id, with_external: bool, values| {
        let link = LinkMember {
            user_id,
            ..fixture.link_with(values)
        };
        let link = LinkMember {
            origin: if with_external {
                origin("zendesk", "z-1")
            } else {
                link.origin
            },
            ..link
        };
        fixture.link_as(acme, link).await
    };
    let found = ask(None, false, address(SALLY)).await.unwrap();
    assert_eq!((found.outcome, found.member), (LinkOutcome::Unchanged, by_email));
    // The external id goes before the address, which then belongs to another.
    assert_fails!(
        ask(None, true, address(SALLY)).await,
        ServiceError::Conflict(Conflict::Member)
    );
    let found = ask(None, true, values! { name: set("Zed") }).await.unwrap();
    assert_eq!(found.outcome, LinkOutcome::Updated);
    assert_eq!(found.member.id, by_external.id);
    // The user goes before both.
    let user = Some(by_user.user_id);
    assert_fails!(
        ask(user, true, values! { name: set("Una") }).await,
        ServiceError::Conflict(Conflict::Member)
    );
    assert_fails!(
        ask(user, false, address(SALLY)).await,
        ServiceError::Conflict(Conflict::Member)
    );
    let found = ask(user, false, values! { email: set(TOM) }).await.unwrap();
    assert_eq!(found.outcome, LinkOutcome::Updated);
    assert_eq!(found.member.id, by_user.id);
    // What failed has changed nothing.
    assert_eq!(fixture.now(acme, &by_user).await.profile.name, None);
    assert_eq!(
        fixture
            .storage()
            .count_members(acme, MemberFilter::default())
            .await
            .unwrap(),
        3
    );
}

pub(super) async fn an_external_id_belongs_to_its_source_and_its_organization(fixture: Fixture) {
    let (acme, globex) = (
        fixture.organization("acme").await,
        fixture.organization("globex").await,
    );
    let link = async |organization, source: &str| {
        let link = LinkMember {
            origin: origin(source, "42"),
            ..fixture.link_with(MemberPatch::default())
        };
        fixture.link_as(organization, link).await.unwrap()
    };
    let here = link(acme, "zendesk").await;
    for other in [link(acme, "freshdesk").await, link(globex, "zendesk").await] {
        assert_eq!(other.outcome, LinkOutcome::Created);
        assert_ne!(other.member.user_id, here.member.user_id);
    }
    assert_eq!(link(acme, "zendesk").await.member, here.member);
    let key = |source: &str| MemberRef::ExternalId(source.parse().unwrap(), "42".parse().unwrap());
    assert_eq!(fixture.finds(acme, key("zendesk")).await, Some(here.member.id));
    assert_eq!(fixture.finds(acme, key("portal")).await, None);
    // Once its member is revoked, it is free.
    fixture.revoke(acme, &here.member).await.unwrap();
    assert_eq!(fixture.finds(acme, key("zendesk")).await, None);
    assert_eq!(link(acme, "zendesk").await.outcome, LinkOutcome::Created);
}

pub(super) async fn a_link_that_is_there_gets_an_external_id_if_it_has_none(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let first = fixture.person(acme, address(SALLY)).await;
    let link = LinkMember {
        origin: origin("zendesk", "z-1"),
        ..fixture.link_with(address(SALLY))
    };
    let again = fixture.link_as(acme, link).await.unwrap();
    assert_eq!(again.outcome, LinkOutcome::Updated);
    assert_eq!(again.member.id, first.id);
    let key = MemberRef::ExternalId("zendesk".parse().unwrap(), "z-1".parse().unwrap());
    assert_eq!(fixture.finds(acme, key).await, Some(first.id));
}

pub(super) async fn a_source_alone_changes_nothing_and_an_external_id_of_another_is_not_taken(
    fixture: Fixture,
) {
    let acme = fixture.organization("acme").await;
    let link = async |source: &str, external_id: Option<&str>| {
        let origin = Origin {
            source: source.parse().unwrap(),
            external_id: external_id.map(|id| id.parse().unwrap()),
        };
        let link = LinkMember {
            origin,
            ..fixture.link_with(address(SALLY))
        };
        let linked = fixture.link_as(acme, link).await.unwrap();
        let external_id = linked.member.origin.external_id.map(String::from);
        (linked.outcome, linked.member.origin.source.into(), external_id)
    };
    let state = |outcome, source: &str, external_id: Option<&str>| {
        (outcome, source.to_owned(), external_id.map(str::to_owned))
    };
    for (source, external_id, expected) in [
        ("portal", None, state(LinkOutcome::Created, "portal", None)),
        ("zendesk", None, state(LinkOutcome::Unchanged, "portal", None)),
        (
            "zendesk",
            Some("z-1"),
            state(LinkOutcome::Updated, "zendesk", Some("z-1")),
        ),
        (
            "freshdesk",
            Some("f-1"),
            state(LinkOutcome::Unchanged, "zendesk", Some("z-1")),
        ),
        (
            "portal",
            None,
            state(LinkOutcome::Unchanged, "zendesk", Some("z-1")),
        ),
        (
            "zendesk",
            Some("z-2"),
            state(LinkOutcome::Updated, "zendesk", Some("z-2")),
        ),
    ] {
        assert_eq!(link(source, external_id).await, expected);
    }
    let fields: Vec<_> = fixture
        .log_of(acme)
        .await
        .into_iter()
        .map(|event| event.fields.join(" "))
        .collect();
    assert_eq!(
        fields[1..],
        ["email portal_role source", "source external_id", "external_id"]
    );
}

pub(super) async fn an_address_finds_its_user_across_organizations(fixture: Fixture) {
    let (acme, globex) = (
        fixture.organization("acme").await,
        fixture.organization("globex").await,
    );
    let here = fixture
        .person(acme, values! { email: set(SALLY), name: set("Sally") })
        .await;
    let there = fixture.person(globex, address(SALLY)).await;
    assert_eq!(there.user_id, here.user_id);
    assert_ne!(there.id, here.id);
    // The profile does not come along.
    assert_eq!(there.profile.name, None);
    // Nor does what happens to one happen to the other.
    fixture.revoke(acme, &here).await.unwrap();
    assert_eq!(fixture.finds(globex, by_email(SALLY)).await, Some(there.id));
    assert_eq!(fixture.now(globex, &there).await, there);
}

pub(super) async fn what_a_link_refers_to_must_be_there(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let log = fixture.log_of(acme).await;
    let unknown = LinkMember {
        user_id: Some(fixture.user_id()),
        ..fixture.link_with(address(SALLY))
    };
    assert_fails!(
        fixture.link_as(acme, unknown).await,
        ServiceError::NotFound(Resource::User)
    );
    for values in [
        values! { email: set(SALLY), teams: vec![TeamNumber(7)] },
        values! { email: set(SALLY), primary_team: TeamNumber(7) },
    ] {
        let link = fixture.link_with(values);
        assert_fails!(
            fixture.link_as(acme, link).await,
            ServiceError::NotFound(Resource::Team)
        );
    }
    let nowhere = fixture.new_organization("nowhere").id;
    let link = fixture.link_with(address(SALLY));
    assert_fails!(
        fixture.link_as(nowhere, link).await,
        ServiceError::NotFound(Resource::Organization)
    );
    assert_eq!(fixture.log_of(acme).await, log);
    // Nothing of them is left: not the address, not a number.
    let sally = fixture.person(acme, address(SALLY)).await;
    assert_eq!(sally.number, MemberNumber(1));
}

pub(super) async fn numbers_count_each_organizations_members_and_are_never_used_again(fixture: Fixture) {
    let (acme, globex) = (
        fixture.organization("acme").await,
        fixture.organization("globex").await,
    );
    let mut numbers = Vec::new();
    for index in 0..3 {
        let entry = fixture
            .person(acme, address(&format!("{index}@acme.example.com")))
            .await;
        numbers.push(entry.number.0);
        if index == 2 {
            // The last one goes, with all that there was about it.
            fixture.erase(acme, &entry).await.unwrap();
        }
        fixture
            .person(globex, address(&format!("{index}@acme.example.com")))
            .await;
    }
    assert_eq!(numbers, [1, 2, 3]);
    let next = fixture.person(acme, address(SALLY)).await;
    assert_eq!(next.number, MemberNumber(4));
    fixture.revoke(acme, &next).await.unwrap();
    let again = fixture.person(acme, address(SALLY)).await;
    assert_eq!((again.number, again.user_id), (MemberNumber(5), next.user_id));
    let fixture = fixture.reopened().await;
    assert_eq!(fixture.person(acme, address(TOM)).await.number, MemberNumber(6));
    assert_eq!(fixture.person(globex, address(TOM)).await.number, MemberNumber(4));
}

pub(super) async fn of_many_equal_links_at_once_one_creates_and_the_others_find(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let mut racers = JoinSet::new();
    for index in 0..40 {
        let fixture = fixture.clone();
        racers.spawn(async move {
            let link = LinkMember {
                origin: origin("zendesk", "z-1"),
                // Some know the address as well.
                ..fixture.link_with(if index % 2 == 0 {
                    address(SALLY)
                } else {
                    MemberPatch::default()
                })
            };
            fixture.link_as(acme, link).await.unwrap()
        });
    }
    let linked = racers.join_all().await;
    let created = linked
        .iter()
        .filter(|linked| linked.outcome == LinkOutcome::Created);
    assert_eq!(created.count(), 1);
    assert!(linked.iter().all(|one| one.member.id == linked[0].member.id));
    assert_eq!(
        fixture
            .storage()
            .count_members(acme, MemberFilter::default())
            .await
            .unwrap(),
        1
    );
}
