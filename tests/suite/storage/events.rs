//! The event log: one row for each change, none for anything else.

use tokio::task::JoinSet;
use userbridge::domain::{
    Actor, AvatarUrl, Change, ClientIdentity, CompanyName, CustomerStatus, Email, Event, EventKind,
    EventQuery, Idempotency, PageRequest, PortalRole, Profile, Scope,
};

use super::{
    fixture::{Fixture, NewMember, all},
    people::{address, set, values},
};
use crate::support::{first, rules::LinkMember};

const SALLY: &str = "sally@acme.example.com";

#[expect(clippy::too_many_lines, reason = "one change of each kind, in their order")]
pub(super) async fn every_change_is_one_event(fixture: Fixture) {
    let organization = fixture.new_organization("acme");
    let acme = organization.id;
    let created = fixture.change();
    fixture
        .create_organization(organization, created.clone())
        .await
        .unwrap();
    let key = fixture.new_key(acme, &[Scope::PublicApi]);
    let key_created = fixture.change();
    fixture
        .create_api_key(acme, key.clone(), key_created.clone())
        .await
        .unwrap();
    let new_key = fixture.new_key(acme, &[Scope::PublicApi]);
    let rotated = fixture.change();
    fixture
        .rotate_api_key(acme, key.key.id, fixture.tick(), new_key.clone(), rotated.clone())
        .await
        .unwrap();
    let key_revoked = fixture.change();
    fixture
        .revoke_api_key(acme, key.key.id, key_revoked.clone())
        .await
        .unwrap();
    let linked = fixture.change();
    let sally = fixture
        .link_member(acme, fixture.new_member(SALLY), linked.clone())
        .await
        .unwrap();
    let full = NewMember {
        profile: Profile {
            email: Some(Email::new("tom@acme.example.com").unwrap()),
            name: Some("Tom".parse().unwrap()),
            avatar_url: Some(AvatarUrl::new("https://acme.example.com/tom.png").unwrap()),
            portal_role: Some(PortalRole::default()),
            company_name: Some(CompanyName::new("Acme").unwrap()),
            customer_status: Some(CustomerStatus::new("paying").unwrap()),
            locale: Some("pt-BR".parse().unwrap()),
        },
        ..fixture.new_member(SALLY)
    };
    let tom_linked = fixture.change();
    let tom = fixture.link_member(acme, full, tom_linked.clone()).await.unwrap();
    let revoked = fixture.change();
    fixture
        .revoke_member(acme, sally.user_id, revoked.clone())
        .await
        .unwrap();
    let deleted = fixture.change();
    fixture.delete_organization(acme, deleted.clone()).await.unwrap();

    let event = |kind, change: Change, fields: &[&str]| Event {
        sequence: 0,
        organization_id: Some(acme),
        kind,
        member_id: None,
        user_id: None,
        api_key_id: None,
        team: None,
        client: change.client.clone(),
        actor: change.actor,
        source: change.source,
        at: change.at,
        fields: fields.iter().map(|field| (*field).to_owned()).collect(),
    };
    let of_key = |id, event: Event| Event {
        api_key_id: Some(id),
        ..event
    };
    let of_member = |member: &userbridge::domain::Member, event: Event| Event {
        member_id: Some(member.id),
        user_id: Some(member.user_id),
        ..event
    };
    let (old, new) = (key.key.id, new_key.key.id);
    let all_fields = [
        "email",
        "name",
        "avatar_url",
        "portal_role",
        "company_name",
        "customer_status",
        "locale",
        "source",
    ];
    let expected = [
        event(EventKind::OrganizationCreated, created, &["slug", "name"]),
        of_key(old, event(EventKind::ApiKeyCreated, key_created, &["scopes"])),
        of_key(
            old,
            event(EventKind::ApiKeyRotated, rotated.clone(), &["expires_at"]),
        ),
        of_key(new, event(EventKind::ApiKeyCreated, rotated, &["scopes"])),
        of_key(old, event(EventKind::ApiKeyRevoked, key_revoked, &["revoked_at"])),
        of_member(
            &sally,
            event(
                EventKind::MemberLinked,
                linked,
                &["email", "portal_role", "source"],
            ),
        ),
        of_member(&tom, event(EventKind::MemberLinked, tom_linked, &all_fields)),
        of_member(&sally, event(EventKind::MemberRevoked, revoked, &["revoked_at"])),
        event(EventKind::OrganizationDeleted, deleted, &["deleted_at"]),
    ];
    let log = fixture.log_of(acme).await;
    // Each organization counts its own, without gaps.
    assert!(log.iter().map(|event| event.sequence).eq(1..=9));
    let log: Vec<_> = log
        .into_iter()
        .map(|event| Event { sequence: 0, ..event })
        .collect();
    assert_eq!(log, expected);
}

pub(super) async fn a_change_that_fails_is_no_event(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let key = fixture.public_key(acme).await;
    fixture.link(acme, SALLY).await;
    let tom = fixture.link(acme, "tom@acme.example.com").await;
    let log = fixture.log_of(acme).await;

    let second = fixture.new_organization("acme");
    let refused = second.id;
    assert!(
        fixture
            .create_organization(second, fixture.change())
            .await
            .is_err()
    );
    let second = fixture.new_key(acme, &[Scope::PublicApi]);
    assert!(
        fixture
            .create_api_key(acme, second.clone(), fixture.change())
            .await
            .is_err()
    );
    let unknown = second.key.id;
    assert!(
        fixture
            .rotate_api_key(acme, unknown, fixture.tick(), second, fixture.change())
            .await
            .is_err()
    );
    assert!(
        !fixture
            .revoke_api_key(acme, unknown, fixture.change())
            .await
            .unwrap()
    );
    // A link that is there is found, and nothing changes.
    fixture.try_link(acme, SALLY).await.unwrap();
    assert!(fixture.link_user(acme, tom.user_id, SALLY).await.is_err());
    assert!(
        fixture
            .link_user(acme, fixture.user_id(), "x@acme.example.com")
            .await
            .is_err()
    );
    assert!(
        !fixture
            .revoke_member(acme, fixture.user_id(), fixture.change())
            .await
            .unwrap()
    );
    assert!(
        !fixture
            .delete_organization(refused, fixture.change())
            .await
            .unwrap()
    );
    assert!(fixture.try_link(refused, SALLY).await.is_err());

    assert_eq!(fixture.log_of(acme).await, log);
    assert_eq!(fixture.log_of(refused).await, []);
    assert_eq!(fixture.stored(&key).await, key.key);
}

pub(super) async fn an_event_says_who_did_it(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let key = fixture.public_key(acme).await;
    let sally = fixture.link(acme, SALLY).await;
    let team = async |slug: &str, change: Change| {
        let (slug, name) = (slug.parse().unwrap(), slug.parse().unwrap());
        let made = fixture.create_team(acme, slug, name, Idempotency::never(), change);
        first(made.await.unwrap()).number
    };
    let sales = team("sales", fixture.change()).await;
    let by = |client: &str| Change {
        actor: Actor::ApiKey(key.key.id),
        at: fixture.tick(),
        client: Some(ClientIdentity::new(client).unwrap()),
        source: None,
    };
    let before = fixture.log_of(acme).await;
    assert!(
        before
            .iter()
            .all(|event| event.actor == Actor::Operator && event.client.is_none())
    );
    // Each of the ways in which an engine writes events: of members in a team, by an integrator, and all others.
    let teamed = by("spiffe://example.com/teams");
    let set = fixture.set_team_members(acme, sales, vec![sally.id], teamed.clone());
    set.await.unwrap();
    let revoked = by("revoking.example.com");
    fixture
        .revoke_member(acme, sally.user_id, revoked.clone())
        .await
        .unwrap();
    let made = by("Making");
    team("support", made.clone()).await;
    let log = fixture.log_of(acme).await.split_off(before.len());
    let said = log.into_iter().map(|event| (event.actor, event.client, event.at));
    let done = [teamed, revoked, made].map(|change| (change.actor, change.client, change.at));
    assert!(said.eq(done));
}

pub(super) async fn events_come_in_order_and_only_ones_own(fixture: Fixture) {
    let (acme, globex) = (
        fixture.organization("acme").await,
        fixture.organization("globex").await,
    );
    for index in 0..5 {
        let email = format!("{index}@acme.example.com");
        fixture.link(acme, &email).await;
        let user = fixture.link(globex, &email).await.user_id;
        fixture
            .revoke_member(globex, user, fixture.change())
            .await
            .unwrap();
    }
    let log = fixture.events(acme, all()).await.unwrap();
    assert_eq!(log.len(), 6);
    assert!(log.iter().all(|event| event.organization_id == Some(acme)));
    let mut seen = Vec::new();
    loop {
        let after = seen.last().map(|event: &Event| event.sequence);
        let page = fixture
            .events(acme, PageRequest { after, limit: 4 })
            .await
            .unwrap();
        assert!(page.len() <= 4);
        if page.is_empty() {
            break;
        }
        seen.extend(page);
    }
    assert_eq!(seen, log);
    let other = fixture.log_of(globex).await;
    assert!(other.iter().map(|event| event.sequence).eq(1..=11));
}

pub(super) async fn events_are_read_by_user_and_by_kind(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let sally = fixture.link(acme, SALLY).await.user_id;
    fixture.link(acme, "tom@acme.example.com").await;
    fixture
        .revoke_member(acme, sally, fixture.change())
        .await
        .unwrap();
    let read = async |user, kinds: &[EventKind], after| {
        let query = EventQuery {
            after,
            limit: 10,
            user,
            kinds: kinds.to_vec(),
            ..EventQuery::default()
        };
        let events = fixture.storage().events(Some(acme), query).await.unwrap();
        events.iter().map(|event| event.sequence).collect::<Vec<_>>()
    };
    let (linked, revoked) = (EventKind::MemberLinked, EventKind::MemberRevoked);
    assert_eq!(read(Some(sally), &[], 0).await, [2, 4]);
    assert_eq!(read(Some(sally), &[], 2).await, [4]);
    assert_eq!(read(None, &[linked], 0).await, [2, 3]);
    assert_eq!(read(None, &[linked, revoked], 2).await, [3, 4]);
    assert_eq!(read(Some(sally), &[linked], 0).await, [2]);
    assert_eq!(read(None, &[EventKind::TeamDeleted], 0).await, [0; 0]);
}

pub(super) async fn events_come_the_newest_first_where_that_is_asked_for(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let sally = fixture.link(acme, SALLY).await.user_id;
    for index in 0..5 {
        fixture.link(acme, &format!("user{index}@acme.example.com")).await;
    }
    fixture
        .revoke_member(acme, sally, fixture.change())
        .await
        .unwrap();
    let read = async |user, kinds: &[EventKind], after, limit| {
        let query = EventQuery {
            after,
            descending: true,
            limit,
            user,
            kinds: kinds.to_vec(),
        };
        let events = fixture.storage().events(Some(acme), query).await.unwrap();
        events.iter().map(|event| event.sequence).collect::<Vec<_>>()
    };
    assert_eq!(read(None, &[], 0, 3).await, [8, 7, 6]);
    assert_eq!(read(None, &[], 6, 3).await, [5, 4, 3]);
    assert_eq!(read(None, &[], 3, 9).await, [2, 1]);
    assert_eq!(read(None, &[], 1, 9).await, [0; 0]);
    assert_eq!(read(Some(sally), &[], 0, 9).await, [8, 2]);
    assert_eq!(read(Some(sally), &[], 8, 9).await, [2]);
    assert_eq!(read(None, &[EventKind::MemberLinked], 0, 2).await, [7, 6]);
}

pub(super) async fn where_each_log_ends_is_told(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let globex = fixture.organization("globex").await;
    fixture.link(acme, SALLY).await;
    let nobodys = fixture.new_organization("initech").id;
    let heads = fixture.heads(vec![globex, nobodys, acme]).await.unwrap();
    assert_eq!(heads, [(globex, 1), (nobodys, 0), (acme, 2)]);
}

pub(super) async fn a_commit_is_told_to_those_who_follow_the_log(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let mut commits = fixture.commits();
    commits.mark_unchanged();
    fixture.link(acme, SALLY).await;
    assert!(commits.has_changed().unwrap());
}

pub(super) async fn every_organization_counts_its_events_without_gaps_while_many_write(fixture: Fixture) {
    let organizations = [
        fixture.organization("acme").await,
        fixture.organization("globex").await,
        fixture.organization("initech").await,
    ];
    let mut writers = JoinSet::new();
    for index in 0..90_usize {
        let (fixture, organization) = (fixture.clone(), organizations[index % 3]);
        writers.spawn(async move {
            let email = format!("{index}@acme.example.com");
            let entry = fixture.person(organization, address(&email)).await;
            let unknown = LinkMember {
                user_id: Some(fixture.user_id()),
                ..fixture.link_with(address(&email))
            };
            // One that fails in between takes no number.
            fixture.link_as(organization, unknown).await.unwrap_err();
            fixture
                .update(organization, &entry, values! { name: set("Name") })
                .await
                .unwrap();
            match index % 9 {
                0..3 => {
                    fixture.erase(organization, &entry).await.unwrap();
                }
                3..6 => {
                    fixture.revoke(organization, &entry).await.unwrap();
                    fixture.restore(organization, &entry).await.unwrap();
                }
                _ => {}
            }
        });
    }
    writers.join_all().await;
    for organization in organizations {
        let log = fixture.log_of(organization).await;
        assert_eq!(log.len(), 1 + 30 * 2 + 10 * 2 + 10 * 2);
        assert!(
            log.iter()
                .map(|event| event.sequence)
                .eq(1..=i64::try_from(log.len()).unwrap())
        );
        assert!(
            log.iter()
                .all(|event| event.organization_id == Some(organization))
        );
    }
}
