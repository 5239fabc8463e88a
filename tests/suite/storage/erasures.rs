//! What is held about a person, when they were seen, and how it all goes.

use userbridge::{
    domain::{Access, Actor, EventKind, MemberEntry, MemberNumber, Role},
    storage::{Change, LinkMember, Missing, Precondition, StoreError},
};

use super::{
    bench::Bench,
    people::{DAY, address, assert_fails, later, origin, set, values},
};

const SALLY: &str = "sally@acme.example.com";
const TOM: &str = "tom@acme.example.com";

pub(super) async fn an_erased_member_keeps_only_its_id(bench: Bench) {
    let acme = bench.organization("acme").await;
    let link = LinkMember {
        origin: origin("zendesk", "z-1"),
        ..bench.link_with(values! {
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
    let live = bench.link_as(acme, link).await.unwrap().entry;
    let seen = bench.tick();
    bench
        .storage()
        .record_seen(vec![(acme, live.member.id, seen)])
        .await
        .unwrap();
    let erasure = bench.erase(acme, &live).await.unwrap();
    let erased = bench.now(acme, &live).await;
    assert_eq!(erased.member.profile, userbridge::domain::Profile::default());
    assert_eq!(erased.access, Access::default());
    assert_eq!(
        (erased.origin.external_id.as_ref(), &erased.teams[..]),
        (None, &[][..])
    );
    assert_eq!(erased.last_seen_at, None);
    assert_eq!(
        (erased.member.id, erased.member.user_id, erased.number),
        (live.member.id, live.member.user_id, live.number)
    );
    assert_eq!(erased.erased_at, Some(erasure.at));
    assert_eq!(erased.revoked_at, Some(erasure.at));
    // It was revoked first, and both are in the log.
    let log = bench.log_of(acme).await;
    let [.., revoked, proof] = &log[..] else {
        panic!("{log:?}")
    };
    assert_eq!(
        (revoked.kind, proof.kind),
        (EventKind::MemberRevoked, EventKind::MemberErased)
    );
    assert_eq!((proof.sequence, proof.at), (erasure.sequence, erasure.at));
    assert_eq!(proof.member_id, Some(live.member.id));
    assert_eq!(
        proof.fields.join(" "),
        "email name avatar_url portal_role company_name customer_status role external_id teams last_seen_at"
    );
    // Again: the same receipt, and nothing else.
    for _ in 0..2 {
        assert_eq!(bench.erase(acme, &live).await.unwrap(), erasure);
    }
    assert_eq!(bench.log_of(acme).await, log);
    assert_fails!(
        bench.restore(acme, &live).await,
        StoreError::Precondition(Precondition::MemberErased)
    );
    // One that is revoked is erased without being revoked again.
    let tom = bench.person(acme, address(TOM)).await;
    bench
        .update(acme, &tom, values! { enabled: false })
        .await
        .unwrap();
    let revoked = bench.revoke(acme, &tom).await.unwrap();
    bench.erase(acme, &tom).await.unwrap();
    assert_eq!(
        bench.last_event(acme).await.fields,
        ["email", "portal_role", "enabled"]
    );
    let log = bench.log_of(acme).await;
    let kinds = log.iter().rev().take(2).map(|event| event.kind);
    assert!(kinds.eq([EventKind::MemberErased, EventKind::MemberRevoked]));
    assert_eq!(bench.now(acme, &tom).await.revoked_at, revoked.revoked_at);
}

pub(super) async fn an_erased_address_is_a_new_persons(bench: Bench) {
    let (acme, globex) = (
        bench.organization("acme").await,
        bench.organization("globex").await,
    );
    let here = bench.person(acme, address(SALLY)).await;
    let there = bench.person(globex, address(SALLY)).await;
    bench.erase(acme, &here).await.unwrap();
    // The other organization's link still says who that is.
    let again = bench.person(acme, address(SALLY)).await;
    assert_eq!(again.member.user_id, here.member.user_id);
    assert_eq!(bench.now(globex, &there).await, there);
    bench.erase(acme, &again).await.unwrap();
    bench.erase(globex, &there).await.unwrap();
    let new = bench.person(acme, address(SALLY)).await;
    assert_ne!(new.member.user_id, here.member.user_id);
}

pub(super) async fn only_ones_own_member_is_erased(bench: Bench) {
    let (acme, globex) = (
        bench.organization("acme").await,
        bench.organization("globex").await,
    );
    let there = bench.person(globex, address(SALLY)).await;
    assert_fails!(
        bench.erase(acme, &there).await,
        StoreError::NotFound(Missing::Member)
    );
    assert_fails!(
        bench.revoke(acme, &there).await,
        StoreError::NotFound(Missing::Member)
    );
    assert_eq!(bench.now(globex, &there).await, there);
}

pub(super) async fn every_link_of_a_user_is_told_oldest_first(bench: Bench) {
    let (acme, globex) = (
        bench.organization("acme").await,
        bench.organization("globex").await,
    );
    let mut expected = Vec::new();
    for index in 0..3 {
        let link = bench.person(acme, address(SALLY)).await;
        bench
            .person(acme, address(&format!("{index}@acme.example.com")))
            .await;
        expected.push(if index == 2 {
            link
        } else {
            bench.revoke(acme, &link).await.unwrap()
        });
    }
    bench.person(globex, address(SALLY)).await;
    bench.erase(acme, &expected[0]).await.unwrap();
    expected[0] = bench.now(acme, &expected[0]).await;
    let user = expected[0].member.user_id;
    assert_eq!(bench.links_of(acme, user).await, expected);
    let events = bench.storage().events(
        Some(acme),
        userbridge::storage::EventQuery {
            limit: u32::MAX,
            user: Some(user),
            ..Default::default()
        },
    );
    let events = events.await.unwrap();
    let mut own = bench.log_of(acme).await;
    own.retain(|event| event.user_id == Some(user));
    assert_eq!(events, own);
    assert_eq!(events.len(), 6);
    let stranger = bench.user_id();
    assert_eq!(bench.links_of(acme, stranger).await, []);
}

pub(super) async fn associations_are_live_links_in_the_order_of_the_slugs(bench: Bench) {
    let slugs = ["initech", "acme", "umbrella", "globex", "hooli"];
    let mut user = None;
    let mut organizations = Vec::new();
    for slug in slugs {
        let organization = bench.organization(slug).await;
        let entry = bench.holder(organization, SALLY, Role::Editor).await;
        user = Some(entry.member.user_id);
        organizations.push((organization, entry));
    }
    // Revoked in one, and one is gone.
    bench
        .revoke(organizations[2].0, &organizations[2].1)
        .await
        .unwrap();
    let change = bench.change();
    assert!(
        bench
            .storage()
            .delete_organization(organizations[4].0, change)
            .await
            .unwrap()
    );
    let found = bench.storage().associations(user.unwrap(), None).await.unwrap();
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
        (slugs[index], *organization, entry.member.id, Some(Role::Editor))
    });
    assert_eq!(found, expected);
    for (index, (organization, _)) in organizations.iter().enumerate() {
        let only = bench
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
        bench.storage().associations(bench.user_id(), None).await.unwrap(),
        []
    );
}

pub(super) async fn being_seen_is_no_change(bench: Bench) {
    let (acme, globex) = (
        bench.organization("acme").await,
        bench.organization("globex").await,
    );
    let sally = bench.person(acme, address(SALLY)).await;
    let revoked = bench.person(acme, address(TOM)).await;
    let revoked = bench.revoke(acme, &revoked).await.unwrap();
    let log = bench.log_of(acme).await;
    let at = bench.tick();
    let seen = async |organization, entry: &MemberEntry, at| {
        let seen = vec![(organization, entry.member.id, at)];
        bench.storage().record_seen(seen).await.unwrap();
    };
    seen(acme, &sally, at).await;
    let expected = MemberEntry {
        last_seen_at: Some(at),
        ..sally.clone()
    };
    assert_eq!(bench.now(acme, &sally).await, expected);
    // An older time, another organization's, a revoked member: all of no effect.
    seen(acme, &sally, later(at, -1)).await;
    seen(globex, &sally, later(at, 1)).await;
    seen(acme, &revoked, at).await;
    assert_eq!(bench.now(acme, &sally).await, expected);
    assert_eq!(bench.now(acme, &revoked).await, revoked);
    seen(acme, &sally, later(at, 1)).await;
    assert_eq!(bench.now(acme, &sally).await.last_seen_at, Some(later(at, 1)));
    assert_eq!(bench.log_of(acme).await, log);
    // It does not get lost in a change.
    let updated = bench
        .update(acme, &sally, values! { name: set("Sally") })
        .await
        .unwrap();
    assert_eq!(updated.last_seen_at, Some(later(at, 1)));
    assert_eq!(bench.now(acme, &sally).await, updated);
}

pub(super) async fn nobody_is_due_unless_the_organization_says_when(bench: Bench) {
    let (acme, globex) = (
        bench.organization("acme").await,
        bench.organization("globex").await,
    );
    let mut members = Vec::new();
    for organization in [acme, globex] {
        for index in 0..3 {
            let entry = bench
                .person(organization, address(&format!("{index}@acme.example.com")))
                .await;
            members.push(if index < 2 {
                bench.revoke(organization, &entry).await.unwrap()
            } else {
                entry
            });
        }
    }
    let due = async |at| {
        let mut due = bench.storage().retention_due(at, 100, 0).await.unwrap();
        due.sort();
        due
    };
    let far = later(bench.tick(), 100_000 * DAY);
    assert_eq!(due(far).await, []);
    bench.keep_for(acme, Some(1)).await;
    let ends: Vec<_> = members[..2]
        .iter()
        .map(|entry| later(entry.revoked_at.unwrap(), DAY))
        .collect();
    let mut both: Vec<_> = members[..2].iter().map(|entry| (acme, entry.member.id)).collect();
    both.sort();
    assert_eq!(due(later(ends[0], -1)).await, []);
    assert_eq!(due(ends[0]).await, [(acme, members[0].member.id)]);
    assert_eq!(due(far).await, both);
    assert_eq!(bench.storage().retention_due(far, 1, 0).await.unwrap().len(), 1);
    // Zero days: at once.
    bench.keep_for(acme, Some(0)).await;
    assert_eq!(due(members[1].revoked_at.unwrap()).await, both);
    // Those who are erased are done with.
    let change = Change {
        actor: Actor::Retention,
        ..bench.change()
    };
    let erased = bench.storage().erase_member(acme, members[0].member.id, change);
    let erased = erased.await.unwrap();
    assert_eq!(due(far).await, [(acme, members[1].member.id)]);
    let proof = bench.last_event(acme).await;
    assert_eq!((proof.sequence, proof.actor), (erased.sequence, Actor::Retention));
    assert_eq!(members[0].number, MemberNumber(1));
}
