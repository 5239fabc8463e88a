//! Members.

use tokio::task::JoinSet;
use userbridge::{
    domain::{
        AvatarUrl, CompanyName, Conflict, Cursor, CustomerStatus, Email, LinkOutcome, Member, MemberLookup,
        MemberQuery, PortalRole, Profile,
    },
    service::ServiceError,
};

use super::fixture::{Fixture, LinkedUser, NewMember, all};

const SALLY: &str = "sally@acme.example.com";

pub(super) async fn a_member_comes_back_as_it_was_linked(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let key = fixture.public_key(acme).await;
    let full = NewMember {
        profile: Profile {
            email: Some(Email::new("jürgen@bücher.example").unwrap()),
            name: Some("Jürgen \"J\\n\" Groß 😀\u{2028}".parse().unwrap()),
            avatar_url: Some(AvatarUrl::new("https://acme.example.com/a.png?x='1'").unwrap()),
            portal_role: Some(PortalRole::new("admin").unwrap()),
            company_name: Some(CompanyName::new("Bücher & Söhne").unwrap()),
            customer_status: Some(CustomerStatus::new("paying").unwrap()),
            locale: Some("pt-BR".parse().unwrap()),
        },
        ..fixture.new_member(SALLY)
    };
    let bare = NewMember {
        profile: Profile::default(),
        ..fixture.new_member(SALLY)
    };
    for new in [full, bare] {
        let change = fixture.change();
        let linked = fixture
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
        let by_id = fixture.member(acme, MemberLookup::UserId(user)).await.unwrap();
        assert_eq!(by_id.as_ref(), Some(&linked));
        let lookup = MemberLookup::UserId(user);
        let by_key = fixture.key_and_member(key.digest, lookup).await.unwrap();
        assert_eq!(by_key.member, Some(linked.clone().into()));
        if let Some(email) = &linked.profile.email {
            let lookup = MemberLookup::Email(email.as_str().to_owned());
            assert_eq!(
                fixture.member(acme, lookup).await.unwrap().as_ref(),
                Some(&linked)
            );
        }
        assert!(fixture.members(acme, all()).await.unwrap().contains(&linked));
    }
}

pub(super) async fn an_address_is_the_same_person_in_every_organization(fixture: Fixture) {
    let (acme, globex) = (
        fixture.organization("acme").await,
        fixture.organization("globex").await,
    );
    let here = fixture.link(acme, SALLY).await;
    let there = fixture.link(globex, SALLY).await;
    assert_eq!(here.user_id, there.user_id);
    assert_ne!(here.id, there.id);
    assert_ne!(
        fixture.link(acme, "tom@acme.example.com").await.user_id,
        here.user_id
    );
}

pub(super) async fn a_known_user_is_linked_by_id(fixture: Fixture) {
    let (acme, globex) = (
        fixture.organization("acme").await,
        fixture.organization("globex").await,
    );
    let here = fixture.link(acme, SALLY).await;
    let there = fixture
        .link_user(globex, here.user_id, "sally@home.example")
        .await
        .unwrap();
    assert_eq!(there.user_id, here.user_id);
    // The profile is each organization's own.
    let again = fixture
        .member(acme, MemberLookup::UserId(here.user_id))
        .await
        .unwrap();
    assert_eq!(again, Some(here));
    // Both addresses lead to them from now on.
    for (slug, email) in [("initech", "sally@home.example"), ("hooli", SALLY)] {
        let another = fixture.organization(slug).await;
        assert_eq!(fixture.link(another, email).await.user_id, there.user_id);
    }
}

pub(super) async fn a_user_who_does_not_exist_is_not_linked(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let linked = fixture.link_user(acme, fixture.user_id(), SALLY).await;
    assert!(matches!(linked, Err(ServiceError::NotFound(_))), "{linked:?}");
    assert_eq!(fixture.members(acme, all()).await.unwrap(), []);
}

pub(super) async fn a_link_that_fails_leaves_no_user_behind(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let nowhere = fixture.new_organization("nowhere").id;
    let failed = fixture.new_member(SALLY);
    let LinkedUser::ByEmail(never) = failed.user else {
        unreachable!()
    };
    let linked = fixture.link_member(nowhere, failed, fixture.change()).await;
    assert!(matches!(linked, Err(ServiceError::NotFound(_))), "{linked:?}");
    assert_ne!(fixture.link(acme, SALLY).await.user_id, never);
    let known = fixture.link_user(acme, never, "tom@acme.example.com").await;
    assert!(matches!(known, Err(ServiceError::NotFound(_))), "{known:?}");
}

pub(super) async fn a_user_is_linked_to_an_organization_once(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let sally = fixture.link(acme, SALLY).await;
    let again = fixture
        .linked(acme, fixture.new_member(SALLY), fixture.change())
        .await
        .unwrap();
    assert_eq!((again.outcome, again.member.version), (LinkOutcome::Unchanged, 1));
    assert_eq!(again.member, sally);
    let other = NewMember {
        user: LinkedUser::Known(sally.user_id),
        ..fixture.new_member("other@acme.example.com")
    };
    let again = fixture.linked(acme, other, fixture.change()).await.unwrap();
    assert_eq!((again.outcome, again.member.version), (LinkOutcome::Updated, 2));
    assert_eq!(again.member.id, sally.id);
    assert_eq!(fixture.members(acme, all()).await.unwrap(), [again.member]);
}

pub(super) async fn an_address_is_unique_among_live_members(fixture: Fixture) {
    let (acme, globex) = (
        fixture.organization("acme").await,
        fixture.organization("globex").await,
    );
    fixture.link(acme, SALLY).await;
    let tom = fixture.link(globex, "tom@globex.example.com").await;
    assert_conflict(&fixture.link_user(acme, tom.user_id, SALLY).await);
    fixture.link(globex, SALLY).await;
    fixture
        .link_user(acme, tom.user_id, "tom@acme.example.com")
        .await
        .unwrap();
}

pub(super) async fn of_many_links_of_one_address_at_once_one_happens(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let mut racers = JoinSet::new();
    for _ in 0..30 {
        let fixture = fixture.clone();
        racers.spawn(async move {
            let linked = fixture
                .linked(acme, fixture.new_member(SALLY), fixture.change())
                .await;
            linked.unwrap().outcome
        });
    }
    let outcomes = racers.join_all().await;
    assert_eq!(count(&outcomes, LinkOutcome::Created), 1);
    assert_eq!(count(&outcomes, LinkOutcome::Unchanged), 29);
    assert_eq!(fixture.members(acme, all()).await.unwrap().len(), 1);
}

pub(super) async fn of_many_links_of_one_user_at_once_one_happens(fixture: Fixture) {
    let (acme, globex) = (
        fixture.organization("acme").await,
        fixture.organization("globex").await,
    );
    let user = fixture.link(globex, SALLY).await.user_id;
    let mut racers = JoinSet::new();
    for index in 0..30 {
        let fixture = fixture.clone();
        racers.spawn(async move {
            let new = NewMember {
                user: LinkedUser::Known(user),
                ..fixture.new_member(&format!("sally{index}@acme.example.com"))
            };
            fixture.linked(acme, new, fixture.change()).await.unwrap().outcome
        });
    }
    let outcomes = racers.join_all().await;
    assert_eq!(count(&outcomes, LinkOutcome::Created), 1);
    assert_eq!(count(&outcomes, LinkOutcome::Updated), 29);
    assert_eq!(fixture.members(acme, all()).await.unwrap().len(), 1);
}

pub(super) async fn members_without_an_address_are_many(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let mut users = Vec::new();
    for _ in 0..3 {
        let new = NewMember {
            profile: Profile::default(),
            ..fixture.new_member(SALLY)
        };
        users.push(
            fixture
                .link_member(acme, new, fixture.change())
                .await
                .unwrap()
                .user_id,
        );
    }
    users.dedup();
    assert_eq!(users.len(), 3);
    assert_eq!(fixture.members(acme, all()).await.unwrap().len(), 3);
}

pub(super) async fn a_revoked_member_is_gone_from_every_read(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let key = fixture.public_key(acme).await;
    let sally = fixture.link(acme, SALLY).await;
    let tom = fixture.link(acme, "tom@acme.example.com").await;
    assert!(
        fixture
            .revoke_member(acme, sally.user_id, fixture.change())
            .await
            .unwrap()
    );
    for lookup in [
        MemberLookup::UserId(sally.user_id),
        MemberLookup::Email(SALLY.to_owned()),
    ] {
        assert_eq!(fixture.member(acme, lookup.clone()).await.unwrap(), None);
        let found = fixture.key_and_member(key.digest, lookup).await.unwrap();
        assert_eq!((found.key, found.member), (Some(key.key.clone()), None));
    }
    assert_eq!(fixture.members(acme, all()).await.unwrap(), [tom]);
}

pub(super) async fn a_member_is_revoked_once(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let sally = fixture.link(acme, SALLY).await.user_id;
    assert!(
        fixture
            .revoke_member(acme, sally, fixture.change())
            .await
            .unwrap()
    );
    assert!(
        !fixture
            .revoke_member(acme, sally, fixture.change())
            .await
            .unwrap()
    );
    assert!(
        !fixture
            .revoke_member(acme, fixture.user_id(), fixture.change())
            .await
            .unwrap()
    );
}

pub(super) async fn of_many_revokes_at_once_one_happens(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let sally = fixture.link(acme, SALLY).await.user_id;
    let mut racers = JoinSet::new();
    for _ in 0..30 {
        let fixture = fixture.clone();
        racers.spawn(async move {
            fixture
                .revoke_member(acme, sally, fixture.change())
                .await
                .unwrap()
        });
    }
    let results = racers.join_all().await;
    assert_eq!(results.iter().filter(|revoked| **revoked).count(), 1);
}

pub(super) async fn a_user_who_is_linked_again_is_a_new_member_and_the_same_user(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let mut ids = vec![fixture.link(acme, SALLY).await];
    for by_id in [false, true] {
        let user = ids[0].user_id;
        assert!(fixture.revoke_member(acme, user, fixture.change()).await.unwrap());
        let again = if by_id {
            fixture.link_user(acme, user, SALLY).await.unwrap()
        } else {
            fixture.link(acme, SALLY).await
        };
        assert_eq!(again.user_id, user);
        assert!(ids.iter().all(|earlier| earlier.id != again.id));
        let found = fixture
            .member(acme, MemberLookup::Email(SALLY.to_owned()))
            .await
            .unwrap();
        assert_eq!(found.as_ref(), Some(&again));
        ids.push(again);
    }
}

pub(super) async fn an_address_is_free_for_another_user_at_once(fixture: Fixture) {
    let (acme, globex) = (
        fixture.organization("acme").await,
        fixture.organization("globex").await,
    );
    let sally = fixture.link(acme, SALLY).await;
    let tom = fixture.link(globex, "tom@globex.example.com").await;
    fixture
        .revoke_member(acme, sally.user_id, fixture.change())
        .await
        .unwrap();
    let heir = fixture.link_user(acme, tom.user_id, SALLY).await.unwrap();
    let found = fixture
        .member(acme, MemberLookup::Email(SALLY.to_owned()))
        .await
        .unwrap();
    assert_eq!(found, Some(heir));
    assert_eq!(
        fixture
            .member(acme, MemberLookup::UserId(sally.user_id))
            .await
            .unwrap(),
        None
    );
}

pub(super) async fn addresses_compare_byte_for_byte(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let key = fixture.public_key(acme).await;
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
        linked.push(fixture.link(acme, address).await);
    }
    for (address, member) in addresses.into_iter().zip(&linked) {
        let lookup = MemberLookup::Email(address.to_owned());
        let found = fixture.member(acme, lookup.clone()).await.unwrap();
        assert_eq!(found.as_ref(), Some(member), "{address}");
        let found = fixture.key_and_member(key.digest, lookup).await.unwrap().member;
        assert_eq!(found, Some(member.clone().into()), "{address}");
    }
    for address in [
        "%",
        "_ally@acme.example.com",
        "s?lly@acme.example.com",
        "sAlly@acme.example.com",
    ] {
        assert_nobody(&fixture, address).await;
    }
}

pub(super) async fn an_address_that_no_member_can_have_finds_nobody(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    fixture.link(acme, SALLY).await;
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
        assert_nobody(&fixture, &address).await;
    }
}

pub(super) async fn members_come_in_the_order_of_their_linking(fixture: Fixture) {
    let (acme, globex) = (
        fixture.organization("acme").await,
        fixture.organization("globex").await,
    );
    let mut live = Vec::new();
    for index in 0..11 {
        // Not in the order of the addresses.
        let email = format!("user{}@acme.example.com", (index * 7) % 11);
        let member = fixture.link(acme, &email).await;
        fixture.link(globex, &email).await;
        if index % 4 == 1 {
            fixture
                .revoke_member(acme, member.user_id, fixture.change())
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
                after: seen.last().map(|entry: &Member| Cursor {
                    number: entry.number,
                    value: None,
                }),
                limit,
                ..MemberQuery::default()
            };
            let page = fixture.storage().members(acme, query).await.unwrap();
            assert!(page.len() <= usize::try_from(limit).unwrap());
            if page.is_empty() {
                break;
            }
            seen.extend(page);
        }
        assert_eq!(seen, live);
    }
}

async fn assert_nobody(fixture: &Fixture, address: &str) {
    let acme = "acme".parse().unwrap();
    let acme = fixture.organization_by_slug(&acme).await.unwrap().unwrap().id;
    let key = fixture.new_key(acme, &[]);
    fixture
        .create_api_key(acme, key.clone(), fixture.change())
        .await
        .unwrap();
    let lookup = MemberLookup::Email(address.to_owned());
    let member = fixture.member(acme, lookup.clone()).await.unwrap();
    assert_eq!(member, None, "{address:?}");
    let found = fixture.key_and_member(key.digest, lookup).await.unwrap();
    assert_eq!((found.key, found.member), (Some(key.key), None), "{address:?}");
}

fn assert_conflict<T: std::fmt::Debug>(result: &Result<T, ServiceError>) {
    assert!(
        matches!(result, Err(ServiceError::Conflict(Conflict::Member))),
        "{result:?}"
    );
}

fn count(outcomes: &[LinkOutcome], outcome: LinkOutcome) -> usize {
    outcomes.iter().filter(|other| **other == outcome).count()
}
