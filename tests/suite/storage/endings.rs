//! The end of a link: revoked, restored, erased; and the owner who stays.

use crate::support::rules::LinkMember;
use userbridge::{
    domain::{
        Conflict, EventKind, ImportRow, Member, MemberFilter, MemberPatch, MemberRef, Precondition, Resource,
        Role,
    },
    service::{Directory, Imported, ServiceError, Write},
};

use super::{
    fixture::Fixture,
    people::{DAY, address, assert_fails, by_email, later, origin, set, values},
};

const SALLY: &str = "sally@acme.example.com";
const TOM: &str = "tom@acme.example.com";

pub(super) async fn a_revoked_member_is_found_only_where_it_is_asked_for(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let link = LinkMember {
        origin: origin("zendesk", "z-1"),
        ..fixture.link_with(values! { email: set(SALLY), name: set("Sally") })
    };
    let live = fixture.link_as(acme, link).await.unwrap().member;
    let revoked = fixture.revoke(acme, &live).await.unwrap();
    assert!(revoked.revoked_at.is_some() && revoked.version > live.version);
    assert_eq!((revoked.id, &revoked.profile), (live.id, &live.profile));
    let event = fixture.last_event(acme).await;
    assert_eq!(
        (event.kind, event.at),
        (EventKind::MemberRevoked, revoked.revoked_at.unwrap())
    );
    let (id, number) = (MemberRef::Id(live.id), MemberRef::Number(live.number));
    for key in [id, number] {
        assert_eq!(fixture.finds(acme, key.clone()).await, None);
        let found = fixture.storage().member(acme, key, true).await.unwrap();
        assert_eq!(found.as_ref(), Some(&revoked));
    }
    for key in [
        MemberRef::UserId(live.user_id),
        by_email(SALLY),
        MemberRef::ExternalId("zendesk".parse().unwrap(), "z-1".parse().unwrap()),
    ] {
        for include_revoked in [false, true] {
            let found = fixture
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
        assert_eq!(fixture.filtered(acme, filter).await, []);
    }
    assert_fails!(
        fixture.revoke(acme, &live).await,
        ServiceError::NotFound(Resource::Member)
    );
}

pub(super) async fn members_by_id_are_found_whether_live_or_revoked_as_asked(fixture: Fixture) {
    let (acme, globex) = (
        fixture.organization("acme").await,
        fixture.organization("globex").await,
    );
    let live = fixture.person(acme, address(SALLY)).await;
    let revoked = fixture.person(acme, address(TOM)).await;
    let revoked = fixture.revoke(acme, &revoked).await.unwrap();
    let other = fixture.person(globex, address(SALLY)).await;
    let unknown = fixture.link_with(MemberPatch::default()).id;
    let ids = vec![unknown, revoked.id, other.id, live.id];
    let ask = async |ids: Vec<_>, include_revoked: bool| {
        let mut found = fixture.storage().members_by_id(acme, &ids).await.unwrap();
        found.retain(|member| include_revoked || member.is_live());
        found.sort_by_key(|entry| entry.number);
        found
    };
    assert_eq!(ask(ids.clone(), false).await, std::slice::from_ref(&live));
    assert_eq!(ask(ids, true).await, [live, revoked]);
    assert_eq!(ask(Vec::new(), true).await, []);
    let many = (0..500)
        .map(|_| fixture.link_with(MemberPatch::default()).id)
        .collect();
    assert_eq!(ask(many, true).await, []);
}

pub(super) async fn a_restored_member_is_what_it_was(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let link = LinkMember {
        origin: origin("zendesk", "z-1"),
        ..fixture.link_with(values! { email: set(SALLY), name: set("Sally"), role: Some(Role::Editor) })
    };
    let live = fixture.link_as(acme, link).await.unwrap().member;
    assert_fails!(
        fixture.restore(acme, &live).await,
        ServiceError::Precondition(Precondition::MemberNotRevoked)
    );
    let revoked = fixture.revoke(acme, &live).await.unwrap();
    let restored = fixture.restore(acme, &live).await.unwrap();
    let expected = Member {
        version: restored.version,
        updated_at: restored.updated_at,
        // It did not have its address in between.
        email_since: restored.updated_at,
        ..live.clone()
    };
    assert_eq!(restored, expected);
    assert!(restored.version > revoked.version);
    assert_eq!(fixture.last_event(acme).await.kind, EventKind::MemberRestored);
    for key in [
        MemberRef::Id(live.id),
        MemberRef::UserId(live.user_id),
        by_email(SALLY),
        MemberRef::ExternalId("zendesk".parse().unwrap(), "z-1".parse().unwrap()),
    ] {
        assert_eq!(fixture.finds(acme, key).await, Some(live.id));
    }
    let filter = MemberFilter {
        name_parts: vec!["ALL".to_owned()],
        ..MemberFilter::default()
    };
    assert_eq!(fixture.filtered(acme, filter).await, [restored]);
}

pub(super) async fn a_member_is_not_restored_once_somebody_has_its_place(fixture: Fixture) {
    let (acme, globex) = (
        fixture.organization("acme").await,
        fixture.organization("globex").await,
    );
    // The address, the external id, the user.
    for (index, taking) in [0, 1, 2].into_iter().enumerate() {
        let email = format!("{index}@acme.example.com");
        let link = LinkMember {
            origin: origin("zendesk", &email),
            ..fixture.link_with(address(&email))
        };
        let old = fixture.link_as(acme, link).await.unwrap().member;
        let old = fixture.revoke(acme, &old).await.unwrap();
        let tom = fixture
            .person(globex, address(&format!("tom{index}@globex.example.com")))
            .await;
        let new = LinkMember {
            user_id: Some(if taking == 2 { old.user_id } else { tom.user_id }),
            ..fixture.link_with(if taking == 0 {
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
        let new = fixture.link_as(acme, new).await.unwrap().member;
        assert_fails!(
            fixture.restore(acme, &old).await,
            ServiceError::Conflict(Conflict::Member)
        );
        assert_eq!(fixture.now(acme, &old).await, old);
        fixture.revoke(acme, &new).await.unwrap();
        fixture.restore(acme, &old).await.unwrap();
    }
    let stranger = fixture.person(globex, address(SALLY)).await;
    assert_fails!(
        fixture.restore(acme, &stranger).await,
        ServiceError::NotFound(Resource::Member)
    );
}

/// Its user and its address, by every way of taking them, again and again.
pub(super) async fn the_place_of_a_deleted_user_is_whoevers_takes_it(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let first = fixture.link(acme, SALLY).await;
    let delete = async |member: &Member| {
        assert_eq!(fixture.finds(acme, by_email(SALLY)).await, Some(member.id));
        let of_user = MemberRef::UserId(member.user_id);
        assert_eq!(fixture.finds(acme, of_user.clone()).await, Some(member.id));
        let deleted = fixture.revoke_member(acme, member.user_id, fixture.change());
        assert!(deleted.await.unwrap());
        assert_eq!(fixture.finds(acme, by_email(SALLY)).await, None);
        assert_eq!(fixture.finds(acme, of_user).await, None);
    };
    for round in 0..2 {
        let first = fixture.now(acme, &first).await;
        delete(&first).await;
        // Linked again by the address, and by the user.
        let again = fixture.person(acme, address(SALLY)).await;
        delete(&again).await;
        let by_user = LinkMember {
            user_id: Some(first.user_id),
            ..fixture.link_with(address(SALLY))
        };
        let by_user = fixture.link_as(acme, by_user).await.unwrap().member;
        delete(&by_user).await;
        // Somebody else gets the address.
        let other = fixture
            .person(acme, address(&format!("other{round}@acme.example.com")))
            .await;
        let other = fixture.update(acme, &other, address(SALLY)).await.unwrap();
        delete(&other).await;
        // Of many who are imported at once, one has it.
        let rows = [SALLY, &format!("new{round}@acme.example.com")].map(|email| ImportRow {
            origin: origin("import", email),
            values: address(email),
            last_seen_at: None,
        });
        let directory = Directory::new(fixture.storage().0.clone());
        let imported = directory.import_members(Write::operator(acme), rows.to_vec().into());
        let Imported::Created(imported) = imported.await.unwrap()[0] else {
            panic!("nobody is there");
        };
        let found = fixture
            .storage()
            .member(acme, MemberRef::Id(imported), false)
            .await;
        delete(&found.unwrap().unwrap()).await;
        // The first one comes back.
        fixture.restore(acme, &first).await.unwrap();
    }
    assert_eq!(fixture.finds(acme, by_email(SALLY)).await, Some(first.id));
}

pub(super) async fn a_member_is_restored_within_the_retention_time(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    fixture.keep_for(acme, Some(30)).await;
    let sally = fixture.person(acme, address(SALLY)).await;
    let revoked_at = fixture.revoke(acme, &sally).await.unwrap().revoked_at.unwrap();
    let end = later(revoked_at, 30 * DAY);
    assert_fails!(
        fixture.restore_at(acme, &sally, end).await,
        ServiceError::Precondition(Precondition::RetentionPassed)
    );
    assert_fails!(
        fixture.restore_at(acme, &sally, later(end, 1000 * DAY)).await,
        ServiceError::Precondition(Precondition::RetentionPassed)
    );
    let restored = fixture.restore_at(acme, &sally, later(end, -1)).await.unwrap();
    assert_eq!(restored.revoked_at, None);
    // Without a retention time there is no end.
    fixture.keep_for(acme, None).await;
    fixture.revoke(acme, &sally).await.unwrap();
    fixture
        .restore_at(acme, &sally, later(end, 1000 * DAY))
        .await
        .unwrap();
}
