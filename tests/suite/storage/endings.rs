//! The end of a link: revoked, restored, erased; and the owner who stays.

use tokio::task::JoinSet;
use userbridge::{
    domain::{Access, Actor, EventKind, MemberEntry, MemberNumber, MemberPatch, OrganizationId, Role},
    storage::{Change, Conflict, LinkMember, MemberFilter, MemberKey, Missing, Precondition, StoreError},
};

use super::{
    bench::Bench,
    people::{DAY, address, assert_fails, by_email, later, origin, set, values},
};

const SALLY: &str = "sally@acme.example.com";
const TOM: &str = "tom@acme.example.com";

pub(super) async fn a_revoked_member_is_found_only_where_it_is_asked_for(bench: Bench) {
    let acme = bench.organization("acme").await;
    let link = LinkMember {
        origin: origin("zendesk", "z-1"),
        ..bench.link_with(values! { email: set(SALLY), name: set("Sally") })
    };
    let live = bench.link_as(acme, link).await.unwrap().entry;
    let revoked = bench.revoke(acme, &live).await.unwrap();
    assert!(revoked.revoked_at.is_some() && revoked.version > live.version);
    assert_eq!(revoked.member, live.member);
    let event = bench.last_event(acme).await;
    assert_eq!(
        (event.kind, event.at),
        (EventKind::MemberRevoked, revoked.revoked_at.unwrap())
    );
    let (id, number) = (MemberKey::Id(live.member.id), MemberKey::Number(live.number));
    for key in [id, number] {
        assert_eq!(bench.finds(acme, key.clone()).await, None);
        let found = bench.storage().member(acme, key, true).await.unwrap();
        assert_eq!(found.as_ref(), Some(&revoked));
    }
    for key in [
        MemberKey::UserId(live.member.user_id),
        by_email(SALLY),
        MemberKey::ExternalId("zendesk".parse().unwrap(), "z-1".parse().unwrap()),
    ] {
        for include_revoked in [false, true] {
            let found = bench
                .storage()
                .member(acme, key.clone(), include_revoked)
                .await
                .unwrap();
            assert_eq!(found, None, "{key:?}");
        }
    }
    let part = |part: &str| vec![part.to_owned()];
    for filter in [
        MemberFilter::default(),
        MemberFilter {
            name_parts: part("sally"),
            ..MemberFilter::default()
        },
        MemberFilter {
            email_parts: part("sa"),
            ..MemberFilter::default()
        },
    ] {
        assert_eq!(bench.filtered(acme, filter).await, []);
    }
    assert_fails!(
        bench.revoke(acme, &live).await,
        StoreError::NotFound(Missing::Member)
    );
}

pub(super) async fn members_by_id_are_found_whether_live_or_revoked_as_asked(bench: Bench) {
    let (acme, globex) = (
        bench.organization("acme").await,
        bench.organization("globex").await,
    );
    let live = bench.person(acme, address(SALLY)).await;
    let revoked = bench.person(acme, address(TOM)).await;
    let revoked = bench.revoke(acme, &revoked).await.unwrap();
    let other = bench.person(globex, address(SALLY)).await;
    let unknown = bench.link_with(MemberPatch::default()).id;
    let ids = vec![unknown, revoked.member.id, other.member.id, live.member.id];
    let ask = async |ids, include_revoked| {
        let mut found = bench
            .storage()
            .members_by_id(acme, ids, include_revoked)
            .await
            .unwrap();
        found.sort_by_key(|entry| entry.number);
        found
    };
    assert_eq!(ask(ids.clone(), false).await, [live.clone()]);
    assert_eq!(ask(ids, true).await, [live, revoked]);
    assert_eq!(ask(Vec::new(), true).await, []);
    let many = (0..500)
        .map(|_| bench.link_with(MemberPatch::default()).id)
        .collect();
    assert_eq!(ask(many, true).await, []);
}

pub(super) async fn a_restored_member_is_what_it_was(bench: Bench) {
    let acme = bench.organization("acme").await;
    let link = LinkMember {
        origin: origin("zendesk", "z-1"),
        ..bench.link_with(values! { email: set(SALLY), name: set("Sally"), role: Some(Role::Editor) })
    };
    let live = bench.link_as(acme, link).await.unwrap().entry;
    assert_fails!(
        bench.restore(acme, &live).await,
        StoreError::Precondition(Precondition::MemberNotRevoked)
    );
    let revoked = bench.revoke(acme, &live).await.unwrap();
    let restored = bench.restore(acme, &live).await.unwrap();
    let expected = MemberEntry {
        version: restored.version,
        updated_at: restored.updated_at,
        ..live.clone()
    };
    assert_eq!(restored, expected);
    assert!(restored.version > revoked.version);
    assert_eq!(bench.last_event(acme).await.kind, EventKind::MemberRestored);
    for key in [
        MemberKey::Id(live.member.id),
        MemberKey::UserId(live.member.user_id),
        by_email(SALLY),
        MemberKey::ExternalId("zendesk".parse().unwrap(), "z-1".parse().unwrap()),
    ] {
        assert_eq!(bench.finds(acme, key).await, Some(live.member.id));
    }
    let filter = MemberFilter {
        name_parts: vec!["ALL".to_owned()],
        ..MemberFilter::default()
    };
    assert_eq!(bench.filtered(acme, filter).await, [restored]);
}

pub(super) async fn a_member_is_not_restored_once_somebody_has_its_place(bench: Bench) {
    let (acme, globex) = (
        bench.organization("acme").await,
        bench.organization("globex").await,
    );
    // The address, the external id, the user.
    for (index, taking) in [0, 1, 2].into_iter().enumerate() {
        let email = format!("{index}@acme.example.com");
        let link = LinkMember {
            origin: origin("zendesk", &email),
            ..bench.link_with(address(&email))
        };
        let old = bench.link_as(acme, link).await.unwrap().entry;
        let old = bench.revoke(acme, &old).await.unwrap();
        let tom = bench
            .person(globex, address(&format!("tom{index}@globex.example.com")))
            .await;
        let new = LinkMember {
            user_id: Some(if taking == 2 {
                old.member.user_id
            } else {
                tom.member.user_id
            }),
            ..bench.link_with(if taking == 0 {
                address(&email)
            } else {
                MemberPatch::default()
            })
        };
        let new = LinkMember {
            origin: if taking == 1 {
                origin("zendesk", &email)
            } else {
                new.origin
            },
            ..new
        };
        let new = bench.link_as(acme, new).await.unwrap().entry;
        assert_fails!(
            bench.restore(acme, &old).await,
            StoreError::Conflict(Conflict::Member)
        );
        assert_eq!(bench.now(acme, &old).await, old);
        bench.revoke(acme, &new).await.unwrap();
        bench.restore(acme, &old).await.unwrap();
    }
    let stranger = bench.person(globex, address(SALLY)).await;
    assert_fails!(
        bench.restore(acme, &stranger).await,
        StoreError::NotFound(Missing::Member)
    );
}

pub(super) async fn a_member_is_restored_within_the_retention_time(bench: Bench) {
    let acme = bench.organization("acme").await;
    bench.keep_for(acme, Some(30)).await;
    let sally = bench.person(acme, address(SALLY)).await;
    let revoked_at = bench.revoke(acme, &sally).await.unwrap().revoked_at.unwrap();
    let end = later(revoked_at, 30 * DAY);
    assert_fails!(
        bench.restore_at(acme, &sally, end).await,
        StoreError::Precondition(Precondition::RetentionPassed)
    );
    assert_fails!(
        bench.restore_at(acme, &sally, later(end, 1000 * DAY)).await,
        StoreError::Precondition(Precondition::RetentionPassed)
    );
    let restored = bench.restore_at(acme, &sally, later(end, -1)).await.unwrap();
    assert_eq!(restored.revoked_at, None);
    // Without a retention time there is no end.
    bench.keep_for(acme, None).await;
    bench.revoke(acme, &sally).await.unwrap();
    bench
        .restore_at(acme, &sally, later(end, 1000 * DAY))
        .await
        .unwrap();
}

/// Every way in which an owner can cease to be one.
async fn end(bench: &Bench, acme: OrganizationId, owner: &MemberEntry, way: usize) -> Result<(), StoreError> {
    let update = match way {
        0 => values! { role: Some(Role::Admin) },
        1 => values! { role: None },
        2 => values! { enabled: false },
        3 => return bench.revoke(acme, owner).await.map(|_| ()),
        4 => return bench.erase(acme, owner).await.map(|_| ()),
        _ => {
            let link = LinkMember {
                user_id: Some(owner.member.user_id),
                ..bench.link_with(values! { role: Some(Role::Viewer) })
            };
            return bench.link_as(acme, link).await.map(|_| ());
        }
    };
    bench.update(acme, owner, update).await.map(|_| ())
}

const WAYS: std::ops::Range<usize> = 0..6;

pub(super) async fn the_last_enabled_owner_stays_an_owner(bench: Bench) {
    for way in WAYS {
        let acme = bench.organization(&format!("acme-{way}")).await;
        let owner = bench.holder(acme, SALLY, Role::Owner).await;
        // None of these can act as an owner.
        let disabled = bench.holder(acme, "disabled@acme.example.com", Role::Owner).await;
        bench
            .update(acme, &disabled, values! { enabled: false })
            .await
            .unwrap();
        let revoked = bench.holder(acme, "revoked@acme.example.com", Role::Owner).await;
        bench.revoke(acme, &revoked).await.unwrap();
        bench.holder(acme, "admin@acme.example.com", Role::Admin).await;
        let elsewhere = bench.organization(&format!("globex-{way}")).await;
        bench.holder(elsewhere, TOM, Role::Owner).await;
        let log = bench.log_of(acme).await;
        assert_fails!(
            end(&bench, acme, &owner, way).await,
            StoreError::Precondition(Precondition::LastOwner)
        );
        assert_eq!(bench.now(acme, &owner).await, owner, "way {way}");
        assert_eq!(bench.log_of(acme).await, log, "way {way}");
        // What leaves it an owner is allowed.
        bench
            .update(acme, &owner, values! { name: set("Boss") })
            .await
            .unwrap();
        // A second one makes it possible; then the second one is the last.
        let second = bench.holder(acme, TOM, Role::Owner).await;
        end(&bench, acme, &owner, way).await.unwrap();
        assert_fails!(
            end(&bench, acme, &second, way).await,
            StoreError::Precondition(Precondition::LastOwner)
        );
        // Those who are not the last enabled one can always go.
        end(&bench, acme, &disabled, way).await.unwrap();
    }
}

pub(super) async fn of_two_owners_who_go_at_once_one_stays(bench: Bench) {
    for way in WAYS {
        let acme = bench.organization(&format!("acme-{way}")).await;
        let owners = [
            bench.holder(acme, SALLY, Role::Owner).await,
            bench.holder(acme, TOM, Role::Owner).await,
        ];
        let mut racers = JoinSet::new();
        for owner in owners {
            let bench = bench.clone();
            racers.spawn(async move { end(&bench, acme, &owner, way).await });
        }
        let results = racers.join_all().await;
        let won = results.iter().filter(|result| result.is_ok()).count();
        assert_eq!(won, 1, "{results:?}");
        let filter = MemberFilter {
            roles: vec![Some(Role::Owner)],
            enabled: Some(true),
            ..MemberFilter::default()
        };
        assert_eq!(bench.filtered(acme, filter).await.len(), 1);
    }
}

pub(super) async fn an_organization_without_an_owner_needs_none(bench: Bench) {
    let acme = bench.organization("acme").await;
    let admin = bench.holder(acme, SALLY, Role::Admin).await;
    for way in WAYS {
        let tom = bench
            .person(acme, values! { email: set(TOM), role: Some(Role::Editor) })
            .await;
        end(&bench, acme, &tom, way).await.unwrap();
    }
    bench.revoke(acme, &admin).await.unwrap();
    // An integrator's delete asks for no role: nobody would be there to hear the refusal.
    let owner = bench.holder(acme, SALLY, Role::Owner).await;
    let change = bench.change();
    let deleted = bench.storage().revoke_user(acme, owner.member.user_id, change);
    assert!(deleted.await.unwrap());
}

pub(super) async fn an_erased_member_keeps_only_its_id(bench: Bench) {
    let acme = bench.organization("acme").await;
    let link = LinkMember {
        origin: origin("zendesk", "z-1"),
        ..bench.link_with(values! {
            email: set(SALLY),
            name: set("Sally"),
            avatar_url: set("https://acme.example.com/sally.png"),
            portal_role: "moderator".parse().unwrap(),
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
    let revoked = bench.revoke(acme, &tom).await.unwrap();
    bench.erase(acme, &tom).await.unwrap();
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
    assert_eq!(bench.storage().links_of_user(acme, user).await.unwrap(), expected);
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
    assert_eq!(bench.storage().links_of_user(acme, stranger).await.unwrap(), []);
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
        let mut due = bench.storage().retention_due(at, 100).await.unwrap();
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
    assert_eq!(bench.storage().retention_due(far, 1).await.unwrap().len(), 1);
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
