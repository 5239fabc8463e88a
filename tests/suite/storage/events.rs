//! The event log: one row for each change, none for anything else.

use userbridge::{
    domain::{
        Actor, AvatarUrl, CompanyName, CustomerStatus, Email, Event, EventKind, Page, PortalRole, Profile,
        Scope,
    },
    storage::{Change, EventQuery},
};

use super::bench::{Bench, NewMember, all};

const SALLY: &str = "sally@acme.example.com";

#[expect(clippy::too_many_lines, reason = "one change of each kind, in their order")]
pub(super) async fn every_change_is_one_event(bench: Bench) {
    let organization = bench.new_organization("acme");
    let acme = organization.id;
    let created = bench.change();
    bench
        .create_organization(organization, created.clone())
        .await
        .unwrap();
    let key = bench.new_key(acme, &[Scope::PublicApi]);
    let key_created = bench.change();
    bench
        .create_api_key(acme, key.clone(), key_created.clone())
        .await
        .unwrap();
    let new_key = bench.new_key(acme, &[Scope::PublicApi]);
    let rotated = bench.change();
    bench
        .rotate_api_key(acme, key.key.id, bench.tick(), new_key.clone(), rotated.clone())
        .await
        .unwrap();
    let key_revoked = bench.change();
    bench
        .revoke_api_key(acme, key.key.id, key_revoked.clone())
        .await
        .unwrap();
    let linked = bench.change();
    let sally = bench
        .link_member(acme, bench.new_member(SALLY), linked.clone())
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
        },
        ..bench.new_member(SALLY)
    };
    let tom_linked = bench.change();
    let tom = bench.link_member(acme, full, tom_linked.clone()).await.unwrap();
    let revoked = bench.change();
    bench
        .revoke_member(acme, sally.user_id, revoked.clone())
        .await
        .unwrap();
    let deleted = bench.change();
    bench.delete_organization(acme, deleted.clone()).await.unwrap();

    let event = |kind, change: Change, fields: &[&str]| Event {
        sequence: 0,
        organization_id: Some(acme),
        kind,
        member_id: None,
        user_id: None,
        api_key_id: None,
        team: None,
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
    let log = bench.log_of(acme).await;
    // Each organization counts its own, without gaps.
    assert!(log.iter().map(|event| event.sequence).eq(1..=9));
    let log: Vec<_> = log
        .into_iter()
        .map(|event| Event { sequence: 0, ..event })
        .collect();
    assert_eq!(log, expected);
}

pub(super) async fn a_change_that_fails_is_no_event(bench: Bench) {
    let acme = bench.organization("acme").await;
    let key = bench.public_key(acme).await;
    bench.link(acme, SALLY).await;
    let tom = bench.link(acme, "tom@acme.example.com").await;
    let log = bench.log_of(acme).await;

    let second = bench.new_organization("acme");
    let refused = second.id;
    assert!(bench.create_organization(second, bench.change()).await.is_err());
    let second = bench.new_key(acme, &[Scope::PublicApi]);
    assert!(
        bench
            .create_api_key(acme, second.clone(), bench.change())
            .await
            .is_err()
    );
    let unknown = second.key.id;
    assert!(
        bench
            .rotate_api_key(acme, unknown, bench.tick(), second, bench.change())
            .await
            .is_err()
    );
    assert!(!bench.revoke_api_key(acme, unknown, bench.change()).await.unwrap());
    // A link that is there is found, and nothing changes.
    bench.try_link(acme, SALLY).await.unwrap();
    assert!(bench.link_user(acme, tom.user_id, SALLY).await.is_err());
    assert!(
        bench
            .link_user(acme, bench.user_id(), "x@acme.example.com")
            .await
            .is_err()
    );
    assert!(
        !bench
            .revoke_member(acme, bench.user_id(), bench.change())
            .await
            .unwrap()
    );
    assert!(!bench.delete_organization(refused, bench.change()).await.unwrap());
    assert!(bench.try_link(refused, SALLY).await.is_err());

    assert_eq!(bench.log_of(acme).await, log);
    assert_eq!(bench.log_of(refused).await, []);
    assert_eq!(bench.stored(&key).await, key.key);
}

pub(super) async fn an_event_says_who_did_it(bench: Bench) {
    let acme = bench.organization("acme").await;
    let key = bench.public_key(acme).await;
    let sally = bench.link(acme, SALLY).await;
    let change = Change {
        actor: Actor::ApiKey(key.key.id),
        at: bench.tick(),
        source: None,
    };
    bench
        .revoke_member(acme, sally.user_id, change.clone())
        .await
        .unwrap();
    let log = bench.log_of(acme).await;
    let last = log.last().unwrap();
    assert_eq!((last.actor, last.at), (change.actor, change.at));
    assert!(
        log[..log.len() - 1]
            .iter()
            .all(|event| event.actor == Actor::Operator)
    );
}

pub(super) async fn events_come_in_order_and_only_ones_own(bench: Bench) {
    let (acme, globex) = (
        bench.organization("acme").await,
        bench.organization("globex").await,
    );
    for index in 0..5 {
        let email = format!("{index}@acme.example.com");
        bench.link(acme, &email).await;
        let user = bench.link(globex, &email).await.user_id;
        bench.revoke_member(globex, user, bench.change()).await.unwrap();
    }
    let log = bench.events(acme, all()).await.unwrap();
    assert_eq!(log.len(), 6);
    assert!(log.iter().all(|event| event.organization_id == Some(acme)));
    let mut seen = Vec::new();
    loop {
        let after = seen.last().map(|event: &Event| event.sequence);
        let page = bench.events(acme, Page { after, limit: 4 }).await.unwrap();
        assert!(page.len() <= 4);
        if page.is_empty() {
            break;
        }
        seen.extend(page);
    }
    assert_eq!(seen, log);
    let other = bench.log_of(globex).await;
    assert!(other.iter().map(|event| event.sequence).eq(1..=11));
}

pub(super) async fn events_are_read_by_user_and_by_kind(bench: Bench) {
    let acme = bench.organization("acme").await;
    let sally = bench.link(acme, SALLY).await.user_id;
    bench.link(acme, "tom@acme.example.com").await;
    bench.revoke_member(acme, sally, bench.change()).await.unwrap();
    let read = async |user, kinds: &[EventKind], after| {
        let query = EventQuery {
            after,
            limit: 10,
            user,
            kinds: kinds.to_vec(),
        };
        let events = bench.storage().events(Some(acme), query).await.unwrap();
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

pub(super) async fn a_commit_is_told_to_those_who_follow_the_log(bench: Bench) {
    let acme = bench.organization("acme").await;
    let mut commits = bench.commits();
    commits.mark_unchanged();
    bench.link(acme, SALLY).await;
    assert!(commits.has_changed().unwrap());
}
