//! The end of a link: revoked, restored, erased; and the owner who stays.

use userbridge::{
    domain::{EventKind, MemberEntry, MemberPatch, Role},
    storage::{Conflict, LinkMember, MemberFilter, MemberKey, Missing, Precondition, StoreError},
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
    assert_eq!(ask(ids.clone(), false).await, std::slice::from_ref(&live));
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
        // It did not have its address in between.
        email_since: restored.updated_at,
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
