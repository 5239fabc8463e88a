//! What is held about a person, when they were seen, and how it all goes.

use crate::support::rules::LinkMember;
use userbridge::{
    domain::{Access, Actor, Change, EventKind, Member, MemberNumber, Precondition, Resource, Role},
    service::ServiceError,
};

use super::{
    fixture::Fixture,
    people::{DAY, address, assert_fails, later, origin, set, values},
};

const SALLY: &str = "sally@acme.example.com";
const TOM: &str = "tom@acme.example.com";

pub(super) async fn an_erased_member_keeps_only_its_id(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
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
            teams: vec![userbridge::domain::TeamNumber::ROOT],
        })
    };
    let live = fixture.link_as(acme, link).await.unwrap().member;
    let seen = fixture.tick();
    fixture
        .storage()
        .record_seen(vec![(acme, live.id, seen)])
        .await
        .unwrap();
    let erasure = fixture.erase(acme, &live).await.unwrap();
    let erased = fixture.now(acme, &live).await;
    assert_eq!(erased.profile, userbridge::domain::Profile::default());
    assert_eq!(erased.access, Access::default());
    assert_eq!(
        (erased.origin.external_id.as_ref(), &erased.teams[..]),
        (None, &[][..])
    );
    assert_eq!(erased.last_seen_at, None);
    assert_eq!(
        (erased.id, erased.user_id, erased.number),
        (live.id, live.user_id, live.number)
    );
    assert_eq!(erased.erased_at, Some(erasure.at));
    assert_eq!(erased.revoked_at, Some(erasure.at));
    // It was revoked first, and both are in the log.
    let log = fixture.log_of(acme).await;
    let [.., revoked, proof] = &log[..] else {
        panic!("{log:?}")
    };
    assert_eq!(
        (revoked.kind, proof.kind),
        (EventKind::MemberRevoked, EventKind::MemberErased)
    );
    assert_eq!((proof.sequence, proof.at), (erasure.sequence, erasure.at));
    assert_eq!(proof.member_id, Some(live.id));
    assert_eq!(
        proof.fields.join(" "),
        "email name avatar_url portal_role company_name customer_status role external_id teams last_seen_at"
    );
    // Again: the same receipt, and nothing else.
    for _ in 0..2 {
        assert_eq!(fixture.erase(acme, &live).await.unwrap(), erasure);
    }
    assert_eq!(fixture.log_of(acme).await, log);
    assert_fails!(
        fixture.restore(acme, &live).await,
        ServiceError::Precondition(Precondition::MemberErased)
    );
    // One that is revoked is erased without being revoked again.
    let tom = fixture.person(acme, address(TOM)).await;
    fixture
        .update(acme, &tom, values! { enabled: false })
        .await
        .unwrap();
    let revoked = fixture.revoke(acme, &tom).await.unwrap();
    fixture.erase(acme, &tom).await.unwrap();
    assert_eq!(
        fixture.last_event(acme).await.fields,
        ["email", "portal_role", "enabled"]
    );
    let log = fixture.log_of(acme).await;
    let kinds = log.iter().rev().take(2).map(|event| event.kind);
    assert!(kinds.eq([EventKind::MemberErased, EventKind::MemberRevoked]));
    assert_eq!(fixture.now(acme, &tom).await.revoked_at, revoked.revoked_at);
}

pub(super) async fn an_erased_address_is_a_new_persons(fixture: Fixture) {
    let (acme, globex) = (
        fixture.organization("acme").await,
        fixture.organization("globex").await,
    );
    let here = fixture.person(acme, address(SALLY)).await;
    let there = fixture.person(globex, address(SALLY)).await;
    fixture.erase(acme, &here).await.unwrap();
    // The other organization's link still says who that is.
    let again = fixture.person(acme, address(SALLY)).await;
    assert_eq!(again.user_id, here.user_id);
    assert_eq!(fixture.now(globex, &there).await, there);
    fixture.erase(acme, &again).await.unwrap();
    fixture.erase(globex, &there).await.unwrap();
    let new = fixture.person(acme, address(SALLY)).await;
    assert_ne!(new.user_id, here.user_id);
}

pub(super) async fn only_ones_own_member_is_erased(fixture: Fixture) {
    let (acme, globex) = (
        fixture.organization("acme").await,
        fixture.organization("globex").await,
    );
    let there = fixture.person(globex, address(SALLY)).await;
    assert_fails!(
        fixture.erase(acme, &there).await,
        ServiceError::NotFound(Resource::Member)
    );
    assert_fails!(
        fixture.revoke(acme, &there).await,
        ServiceError::NotFound(Resource::Member)
    );
    assert_eq!(fixture.now(globex, &there).await, there);
}

pub(super) async fn every_link_of_a_user_is_told_oldest_first(fixture: Fixture) {
    let (acme, globex) = (
        fixture.organization("acme").await,
        fixture.organization("globex").await,
    );
    let mut expected = Vec::new();
    for index in 0..3 {
        let link = fixture.person(acme, address(SALLY)).await;
        fixture
            .person(acme, address(&format!("{index}@acme.example.com")))
            .await;
        expected.push(if index == 2 {
            link
        } else {
            fixture.revoke(acme, &link).await.unwrap()
        });
    }
    fixture.person(globex, address(SALLY)).await;
    fixture.erase(acme, &expected[0]).await.unwrap();
    expected[0] = fixture.now(acme, &expected[0]).await;
    let user = expected[0].user_id;
    assert_eq!(fixture.links_of(acme, user).await, expected);
    let events = fixture.storage().events(
        Some(acme),
        userbridge::domain::EventQuery {
            limit: u32::MAX,
            user: Some(user),
            ..Default::default()
        },
    );
    let events = events.await.unwrap();
    let mut own = fixture.log_of(acme).await;
    own.retain(|event| event.user_id == Some(user));
    assert_eq!(events, own);
    assert_eq!(events.len(), 6);
    let stranger = fixture.user_id();
    assert_eq!(fixture.links_of(acme, stranger).await, []);
}

pub(super) async fn associations_are_live_links_in_the_order_of_the_slugs(fixture: Fixture) {
    let slugs = ["initech", "acme", "umbrella", "globex", "hooli"];
    let mut user = None;
    let mut organizations = Vec::new();
    for slug in slugs {
        let organization = fixture.organization(slug).await;
        let entry = fixture.holder(organization, SALLY, Role::Editor).await;
        user = Some(entry.user_id);
        organizations.push((organization, entry));
    }
    // Revoked in one, and one is gone.
    fixture
        .revoke(organizations[2].0, &organizations[2].1)
        .await
        .unwrap();
    let change = fixture.change();
    assert!(
        fixture
            .storage()
            .delete_organization(organizations[4].0, change)
            .await
            .unwrap()
    );
    let found = fixture.storage().associations(user.unwrap(), None).await.unwrap();
    let found: Vec<_> = found
        .iter()
        .map(|one| {
            (
                one.organization.slug.as_str(),
                one.organization.id,
                one.member_id,
                one.role,
            )
        })
        .collect();
    let expected = [1, 3, 0].map(|index| {
        let (organization, entry) = &organizations[index];
        (slugs[index], *organization, entry.id, Some(Role::Editor))
    });
    assert_eq!(found, expected);
    for (index, (organization, _)) in organizations.iter().enumerate() {
        let only = fixture
            .storage()
            .associations(user.unwrap(), Some(*organization))
            .await
            .unwrap();
        let ids: Vec<_> = only.iter().map(|one| one.organization.id).collect();
        assert_eq!(
            ids,
            if [2, 4].contains(&index) {
                vec![]
            } else {
                vec![*organization]
            }
        );
    }
    assert_eq!(
        fixture
            .storage()
            .associations(fixture.user_id(), None)
            .await
            .unwrap(),
        []
    );
}

pub(super) async fn being_seen_is_no_change(fixture: Fixture) {
    let (acme, globex) = (
        fixture.organization("acme").await,
        fixture.organization("globex").await,
    );
    let sally = fixture.person(acme, address(SALLY)).await;
    let revoked = fixture.person(acme, address(TOM)).await;
    let revoked = fixture.revoke(acme, &revoked).await.unwrap();
    let log = fixture.log_of(acme).await;
    let at = fixture.tick();
    let seen = async |organization, entry: &Member, at| {
        let seen = vec![(organization, entry.id, at)];
        fixture.storage().record_seen(seen).await.unwrap();
    };
    seen(acme, &sally, at).await;
    let expected = Member {
        last_seen_at: Some(at),
        ..sally.clone()
    };
    assert_eq!(fixture.now(acme, &sally).await, expected);
    // An older time, another organization's, a revoked member: all of no effect.
    seen(acme, &sally, later(at, -1)).await;
    seen(globex, &sally, later(at, 1)).await;
    seen(acme, &revoked, at).await;
    assert_eq!(fixture.now(acme, &sally).await, expected);
    assert_eq!(fixture.now(acme, &revoked).await, revoked);
    seen(acme, &sally, later(at, 1)).await;
    assert_eq!(fixture.now(acme, &sally).await.last_seen_at, Some(later(at, 1)));
    assert_eq!(fixture.log_of(acme).await, log);
    // It does not get lost in a change.
    let updated = fixture
        .update(acme, &sally, values! { name: set("Sally") })
        .await
        .unwrap();
    assert_eq!(updated.last_seen_at, Some(later(at, 1)));
    assert_eq!(fixture.now(acme, &sally).await, updated);
}

pub(super) async fn nobody_is_due_unless_the_organization_says_when(fixture: Fixture) {
    let (acme, globex) = (
        fixture.organization("acme").await,
        fixture.organization("globex").await,
    );
    let mut members = Vec::new();
    for organization in [acme, globex] {
        for index in 0..3 {
            let entry = fixture
                .person(organization, address(&format!("{index}@acme.example.com")))
                .await;
            members.push(if index < 2 {
                fixture.revoke(organization, &entry).await.unwrap()
            } else {
                entry
            });
        }
    }
    let due = async |at| {
        let mut due = fixture.storage().retention_due(at, 100, 0).await.unwrap();
        due.sort();
        due
    };
    let far = later(fixture.tick(), 100_000 * DAY);
    assert_eq!(due(far).await, []);
    fixture.keep_for(acme, Some(1)).await;
    let ends: Vec<_> = members[..2]
        .iter()
        .map(|entry| later(entry.revoked_at.unwrap(), DAY))
        .collect();
    let mut both: Vec<_> = members[..2].iter().map(|entry| (acme, entry.id)).collect();
    both.sort();
    assert_eq!(due(later(ends[0], -1)).await, []);
    assert_eq!(due(ends[0]).await, [(acme, members[0].id)]);
    assert_eq!(due(far).await, both);
    assert_eq!(fixture.storage().retention_due(far, 1, 0).await.unwrap().len(), 1);
    // Zero days: at once.
    fixture.keep_for(acme, Some(0)).await;
    assert_eq!(due(members[1].revoked_at.unwrap()).await, both);
    // Those who are erased are done with.
    let change = Change {
        actor: Actor::Retention,
        ..fixture.change()
    };
    let erased = fixture.storage().erase_member(acme, members[0].id, change);
    let erased = erased.await.unwrap();
    assert_eq!(due(far).await, [(acme, members[1].id)]);
    let proof = fixture.last_event(acme).await;
    assert_eq!((proof.sequence, proof.actor), (erased.sequence, Actor::Retention));
    assert_eq!(members[0].number, MemberNumber(1));
}
