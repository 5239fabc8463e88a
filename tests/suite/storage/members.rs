//! Members.

use tokio::task::JoinSet;
use userbridge::{
    domain::{AvatarUrl, CompanyName, CustomerStatus, Email, MemberEntry, MemberLookup, PortalRole, Profile},
    storage::{Conflict, Cursor, LinkOutcome, MemberQuery, StoreError},
};

use super::bench::{Bench, LinkedUser, NewMember, all};

const SALLY: &str = "sally@acme.example.com";

pub(super) async fn a_member_comes_back_as_it_was_linked(bench: Bench) {
    let acme = bench.organization("acme").await;
    let key = bench.public_key(acme).await;
    let full = NewMember {
        profile: Profile {
            email: Some(Email::new("jürgen@bücher.example").unwrap()),
            name: Some("Jürgen \"J\\n\" Groß 😀\u{2028}".parse().unwrap()),
            avatar_url: Some(AvatarUrl::new("https://acme.example.com/a.png?x='1'").unwrap()),
            portal_role: Some(PortalRole::new("admin").unwrap()),
            company_name: Some(CompanyName::new("Bücher & Söhne").unwrap()),
            customer_status: Some(CustomerStatus::new("paying").unwrap()),
        },
        ..bench.new_member(SALLY)
    };
    let bare = NewMember {
        profile: Profile::default(),
        ..bench.new_member(SALLY)
    };
    for new in [full, bare] {
        let change = bench.change();
        let linked = bench
            .link_member(acme, new.clone(), change.clone())
            .await
            .unwrap();
        let LinkedUser::ByEmail(user) = new.user else {
            unreachable!()
        };
        let profile = Profile {
            portal_role: new.profile.portal_role.or_else(|| Some(PortalRole::default())),
            ..new.profile
        };
        assert_eq!(
            (linked.id, linked.user_id, &linked.profile),
            (new.id, user, &profile)
        );
        assert_eq!(linked.created_at, change.at);
        let by_id = bench.member(acme, MemberLookup::UserId(user)).await.unwrap();
        assert_eq!(by_id.as_ref(), Some(&linked));
        let lookup = MemberLookup::UserId(user);
        let by_key = bench.key_and_member(key.digest, lookup).await.unwrap();
        assert_eq!(by_key.member.as_ref(), Some(&linked));
        if let Some(email) = &linked.profile.email {
            let lookup = MemberLookup::Email(email.as_str().to_owned());
            assert_eq!(bench.member(acme, lookup).await.unwrap().as_ref(), Some(&linked));
        }
        assert!(bench.members(acme, all()).await.unwrap().contains(&linked));
    }
}

pub(super) async fn an_address_is_the_same_person_in_every_organization(bench: Bench) {
    let (acme, globex) = (
        bench.organization("acme").await,
        bench.organization("globex").await,
    );
    let here = bench.link(acme, SALLY).await;
    let there = bench.link(globex, SALLY).await;
    assert_eq!(here.user_id, there.user_id);
    assert_ne!(here.id, there.id);
    assert_ne!(
        bench.link(acme, "tom@acme.example.com").await.user_id,
        here.user_id
    );
}

pub(super) async fn a_known_user_is_linked_by_id(bench: Bench) {
    let (acme, globex) = (
        bench.organization("acme").await,
        bench.organization("globex").await,
    );
    let here = bench.link(acme, SALLY).await;
    let there = bench
        .link_user(globex, here.user_id, "sally@home.example")
        .await
        .unwrap();
    assert_eq!(there.user_id, here.user_id);
    // The profile is each organization's own.
    let again = bench
        .member(acme, MemberLookup::UserId(here.user_id))
        .await
        .unwrap();
    assert_eq!(again, Some(here));
    // Both addresses lead to them from now on.
    for (slug, email) in [("initech", "sally@home.example"), ("hooli", SALLY)] {
        let another = bench.organization(slug).await;
        assert_eq!(bench.link(another, email).await.user_id, there.user_id);
    }
}

pub(super) async fn a_user_who_does_not_exist_is_not_linked(bench: Bench) {
    let acme = bench.organization("acme").await;
    let linked = bench.link_user(acme, bench.user_id(), SALLY).await;
    assert!(matches!(linked, Err(StoreError::NotFound(_))), "{linked:?}");
    assert_eq!(bench.members(acme, all()).await.unwrap(), []);
}

pub(super) async fn a_link_that_fails_leaves_no_user_behind(bench: Bench) {
    let acme = bench.organization("acme").await;
    let nowhere = bench.new_organization("nowhere").id;
    let failed = bench.new_member(SALLY);
    let LinkedUser::ByEmail(never) = failed.user else {
        unreachable!()
    };
    let linked = bench.link_member(nowhere, failed, bench.change()).await;
    assert!(matches!(linked, Err(StoreError::NotFound(_))), "{linked:?}");
    assert_ne!(bench.link(acme, SALLY).await.user_id, never);
    let known = bench.link_user(acme, never, "tom@acme.example.com").await;
    assert!(matches!(known, Err(StoreError::NotFound(_))), "{known:?}");
}

pub(super) async fn a_user_is_linked_to_an_organization_once(bench: Bench) {
    let acme = bench.organization("acme").await;
    let sally = bench.link(acme, SALLY).await;
    let again = bench
        .linked(acme, bench.new_member(SALLY), bench.change())
        .await
        .unwrap();
    assert_eq!((again.outcome, again.entry.version), (LinkOutcome::Found, 1));
    assert_eq!(again.entry.member, sally);
    let other = NewMember {
        user: LinkedUser::Known(sally.user_id),
        ..bench.new_member("other@acme.example.com")
    };
    let again = bench.linked(acme, other, bench.change()).await.unwrap();
    assert_eq!((again.outcome, again.entry.version), (LinkOutcome::Updated, 2));
    assert_eq!(again.entry.member.id, sally.id);
    assert_eq!(bench.members(acme, all()).await.unwrap(), [again.entry.member]);
}

pub(super) async fn an_address_is_unique_among_live_members(bench: Bench) {
    let (acme, globex) = (
        bench.organization("acme").await,
        bench.organization("globex").await,
    );
    bench.link(acme, SALLY).await;
    let tom = bench.link(globex, "tom@globex.example.com").await;
    assert_conflict(&bench.link_user(acme, tom.user_id, SALLY).await);
    bench.link(globex, SALLY).await;
    bench
        .link_user(acme, tom.user_id, "tom@acme.example.com")
        .await
        .unwrap();
}

pub(super) async fn of_many_links_of_one_address_at_once_one_happens(bench: Bench) {
    let acme = bench.organization("acme").await;
    let mut racers = JoinSet::new();
    for _ in 0..30 {
        let bench = bench.clone();
        racers.spawn(async move {
            let linked = bench.linked(acme, bench.new_member(SALLY), bench.change()).await;
            linked.unwrap().outcome
        });
    }
    let outcomes = racers.join_all().await;
    assert_eq!(count(&outcomes, LinkOutcome::Created), 1);
    assert_eq!(count(&outcomes, LinkOutcome::Found), 29);
    assert_eq!(bench.members(acme, all()).await.unwrap().len(), 1);
}

pub(super) async fn of_many_links_of_one_user_at_once_one_happens(bench: Bench) {
    let (acme, globex) = (
        bench.organization("acme").await,
        bench.organization("globex").await,
    );
    let user = bench.link(globex, SALLY).await.user_id;
    let mut racers = JoinSet::new();
    for index in 0..30 {
        let bench = bench.clone();
        racers.spawn(async move {
            let new = NewMember {
                user: LinkedUser::Known(user),
                ..bench.new_member(&format!("sally{index}@acme.example.com"))
            };
            bench.linked(acme, new, bench.change()).await.unwrap().outcome
        });
    }
    let outcomes = racers.join_all().await;
    assert_eq!(count(&outcomes, LinkOutcome::Created), 1);
    assert_eq!(count(&outcomes, LinkOutcome::Updated), 29);
    assert_eq!(bench.members(acme, all()).await.unwrap().len(), 1);
}

pub(super) async fn members_without_an_address_are_many(bench: Bench) {
    let acme = bench.organization("acme").await;
    let mut users = Vec::new();
    for _ in 0..3 {
        let new = NewMember {
            profile: Profile::default(),
            ..bench.new_member(SALLY)
        };
        users.push(
            bench
                .link_member(acme, new, bench.change())
                .await
                .unwrap()
                .user_id,
        );
    }
    users.dedup();
    assert_eq!(users.len(), 3);
    assert_eq!(bench.members(acme, all()).await.unwrap().len(), 3);
}

pub(super) async fn a_revoked_member_is_gone_from_every_read(bench: Bench) {
    let acme = bench.organization("acme").await;
    let key = bench.public_key(acme).await;
    let sally = bench.link(acme, SALLY).await;
    let tom = bench.link(acme, "tom@acme.example.com").await;
    assert!(
        bench
            .revoke_member(acme, sally.user_id, bench.change())
            .await
            .unwrap()
    );
    for lookup in [
        MemberLookup::UserId(sally.user_id),
        MemberLookup::Email(SALLY.to_owned()),
    ] {
        assert_eq!(bench.member(acme, lookup.clone()).await.unwrap(), None);
        let found = bench.key_and_member(key.digest, lookup).await.unwrap();
        assert_eq!((found.key, found.member), (Some(key.key.clone()), None));
    }
    assert_eq!(bench.members(acme, all()).await.unwrap(), [tom]);
}

pub(super) async fn a_member_is_revoked_once(bench: Bench) {
    let acme = bench.organization("acme").await;
    let sally = bench.link(acme, SALLY).await.user_id;
    assert!(bench.revoke_member(acme, sally, bench.change()).await.unwrap());
    assert!(!bench.revoke_member(acme, sally, bench.change()).await.unwrap());
    assert!(
        !bench
            .revoke_member(acme, bench.user_id(), bench.change())
            .await
            .unwrap()
    );
}

pub(super) async fn of_many_revokes_at_once_one_happens(bench: Bench) {
    let acme = bench.organization("acme").await;
    let sally = bench.link(acme, SALLY).await.user_id;
    let mut racers = JoinSet::new();
    for _ in 0..30 {
        let bench = bench.clone();
        racers.spawn(async move { bench.revoke_member(acme, sally, bench.change()).await.unwrap() });
    }
    let results = racers.join_all().await;
    assert_eq!(results.iter().filter(|revoked| **revoked).count(), 1);
}

pub(super) async fn a_user_who_is_linked_again_is_a_new_member_and_the_same_user(bench: Bench) {
    let acme = bench.organization("acme").await;
    let mut ids = vec![bench.link(acme, SALLY).await];
    for by_id in [false, true] {
        let user = ids[0].user_id;
        assert!(bench.revoke_member(acme, user, bench.change()).await.unwrap());
        let again = if by_id {
            bench.link_user(acme, user, SALLY).await.unwrap()
        } else {
            bench.link(acme, SALLY).await
        };
        assert_eq!(again.user_id, user);
        assert!(ids.iter().all(|earlier| earlier.id != again.id));
        let found = bench
            .member(acme, MemberLookup::Email(SALLY.to_owned()))
            .await
            .unwrap();
        assert_eq!(found.as_ref(), Some(&again));
        ids.push(again);
    }
}

pub(super) async fn an_address_is_free_for_another_user_at_once(bench: Bench) {
    let (acme, globex) = (
        bench.organization("acme").await,
        bench.organization("globex").await,
    );
    let sally = bench.link(acme, SALLY).await;
    let tom = bench.link(globex, "tom@globex.example.com").await;
    bench
        .revoke_member(acme, sally.user_id, bench.change())
        .await
        .unwrap();
    let heir = bench.link_user(acme, tom.user_id, SALLY).await.unwrap();
    let found = bench
        .member(acme, MemberLookup::Email(SALLY.to_owned()))
        .await
        .unwrap();
    assert_eq!(found, Some(heir));
    assert_eq!(
        bench
            .member(acme, MemberLookup::UserId(sally.user_id))
            .await
            .unwrap(),
        None
    );
}

pub(super) async fn addresses_compare_byte_for_byte(bench: Bench) {
    let acme = bench.organization("acme").await;
    let key = bench.public_key(acme).await;
    let addresses = [
        SALLY,
        "Sally@acme.example.com",
        "SALLY@ACME.EXAMPLE.COM",
        "s%@acme.example.com",
        "s_lly@acme.example.com",
        "s*@acme.example.com",
        "o'hara@acme.example.com",
        "\"odd\\@local\"@acme.example.com",
        "';--@acme.example.com",
        // The same letter, composed and decomposed.
        "j\u{fc}rgen@acme.example.com",
        "ju\u{308}rgen@acme.example.com",
        "😀@acme.example.com",
        "ß@acme.example.com",
        "ss@acme.example.com",
        "0@1",
        "1e3@0",
    ];
    let mut linked = Vec::new();
    for address in addresses {
        linked.push(bench.link(acme, address).await);
    }
    for (address, member) in addresses.into_iter().zip(&linked) {
        let lookup = MemberLookup::Email(address.to_owned());
        let found = bench.member(acme, lookup.clone()).await.unwrap();
        assert_eq!(found.as_ref(), Some(member), "{address}");
        let found = bench.key_and_member(key.digest, lookup).await.unwrap().member;
        assert_eq!(found.as_ref(), Some(member), "{address}");
    }
    for address in [
        "%",
        "_ally@acme.example.com",
        "s?lly@acme.example.com",
        "sAlly@acme.example.com",
    ] {
        assert_nobody(&bench, address).await;
    }
}

pub(super) async fn an_address_that_no_member_can_have_finds_nobody(bench: Bench) {
    let acme = bench.organization("acme").await;
    bench.link(acme, SALLY).await;
    for address in [
        String::new(),
        "\0".to_owned(),
        "a\0b".to_owned(),
        format!("{SALLY}\0"),
        format!("\0{SALLY}"),
        format!("{SALLY} "),
        format!(" {SALLY}"),
        format!("{SALLY}\n"),
        "sally@acme".to_owned(),
        "x".repeat(100_000),
    ] {
        assert_nobody(&bench, &address).await;
    }
}

pub(super) async fn members_come_in_the_order_of_their_linking(bench: Bench) {
    let (acme, globex) = (
        bench.organization("acme").await,
        bench.organization("globex").await,
    );
    let mut live = Vec::new();
    for index in 0..11 {
        // Not in the order of the addresses.
        let email = format!("user{}@acme.example.com", (index * 7) % 11);
        let member = bench.link(acme, &email).await;
        bench.link(globex, &email).await;
        if index % 4 == 1 {
            bench
                .revoke_member(acme, member.user_id, bench.change())
                .await
                .unwrap();
        } else {
            live.push(member);
        }
    }
    for limit in [1, 3, 8, 100] {
        let mut seen = Vec::new();
        loop {
            let query = MemberQuery {
                after: seen.last().map(|entry: &MemberEntry| Cursor {
                    number: entry.number,
                    name: None,
                }),
                limit,
                ..MemberQuery::default()
            };
            let page = bench.storage().members(acme, query).await.unwrap();
            assert!(page.len() <= usize::try_from(limit).unwrap());
            if page.is_empty() {
                break;
            }
            seen.extend(page);
        }
        let seen: Vec<_> = seen.into_iter().map(|entry| entry.member).collect();
        assert_eq!(seen, live);
    }
}

async fn assert_nobody(bench: &Bench, address: &str) {
    let acme = "acme".parse().unwrap();
    let acme = bench.organization_by_slug(&acme).await.unwrap().unwrap().id;
    let key = bench.new_key(acme, &[]);
    bench
        .create_api_key(acme, key.clone(), bench.change())
        .await
        .unwrap();
    let lookup = MemberLookup::Email(address.to_owned());
    let member = bench.member(acme, lookup.clone()).await.unwrap();
    assert_eq!(member, None, "{address:?}");
    let found = bench.key_and_member(key.digest, lookup).await.unwrap();
    assert_eq!((found.key, found.member), (Some(key.key), None), "{address:?}");
}

fn assert_conflict<T: std::fmt::Debug>(result: &Result<T, StoreError>) {
    assert!(
        matches!(result, Err(StoreError::Conflict(Conflict::Member))),
        "{result:?}"
    );
}

fn count(outcomes: &[LinkOutcome], outcome: LinkOutcome) -> usize {
    outcomes.iter().filter(|other| **other == outcome).count()
}
