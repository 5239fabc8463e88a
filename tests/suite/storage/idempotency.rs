//! Requests that come again.

use crate::support::rules::LinkMember;
use tokio::task::JoinSet;
use userbridge::{
    domain::{
        ApiKeyId, Change, Idempotency, IdempotencyKey, Idempotent, LinkOutcome, Linked, MemberFilter,
        OrganizationId, Precondition, Timestamp,
    },
    service::ServiceError,
};

use super::{
    fixture::Fixture,
    people::{DAY, address, assert_fails, later, set, values},
};
use crate::support::{Count as _, RANDOM, first};

const SALLY: &str = "sally@acme.example.com";

/// Writes down the id, the name and what happened.
fn encode(linked: &Linked) -> Vec<u8> {
    let name = &linked.member.profile.name;
    format!("{} {name:?} {:?}", linked.member.id, linked.outcome).into_bytes()
}

fn once(api_key: ApiKeyId, key: &str, request: u8) -> Idempotency<Linked> {
    Idempotency {
        key: Some(IdempotencyKey {
            api_key,
            key: key.to_owned(),
            request: [request; 32],
        }),
        encode,
    }
}

async fn link(
    fixture: &Fixture,
    organization: OrganizationId,
    link: LinkMember,
    once: Idempotency<Linked>,
    at: Timestamp,
) -> Result<Idempotent<Linked>, ServiceError> {
    let change = Change {
        at,
        ..fixture.change()
    };
    fixture
        .storage()
        .link_member(organization, link, once, change)
        .await
}

fn caller(fixture: &Fixture) -> ApiKeyId {
    ApiKeyId::new(fixture.tick(), RANDOM).unwrap()
}

pub(super) async fn a_repeated_request_gets_the_first_answer_as_it_was(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let caller = caller(&fixture);
    let sally = || fixture.link_with(values! { email: set(SALLY), name: set("Sally") });
    let at = fixture.tick();
    let answer = link(&fixture, acme, sally(), once(caller, "k", 1), at)
        .await
        .unwrap();
    let linked = first(answer);
    assert_eq!(linked.outcome, LinkOutcome::Created);
    // The member changes, even ends: the answer does not.
    fixture
        .update(acme, &linked.member, values! { name: set("Another") })
        .await
        .unwrap();
    let repeat = async || {
        link(&fixture, acme, sally(), once(caller, "k", 1), fixture.tick())
            .await
            .unwrap()
    };
    assert_eq!(repeat().await, Idempotent::Replayed(encode(&linked)));
    fixture.revoke(acme, &linked.member).await.unwrap();
    let log = fixture.log_of(acme).await;
    assert_eq!(repeat().await, Idempotent::Replayed(encode(&linked)));
    assert_eq!(fixture.log_of(acme).await, log);
    assert_eq!(fixture.reopened().await.log_of(acme).await, log);
}

pub(super) async fn an_idempotency_key_is_good_for_one_request_of_one_caller_in_one_organization(
    fixture: Fixture,
) {
    let (acme, globex) = (
        fixture.organization("acme").await,
        fixture.organization("globex").await,
    );
    let (one, other) = (caller(&fixture), caller(&fixture));
    let sally = || fixture.link_with(address(SALLY));
    let at = fixture.tick();
    link(&fixture, acme, sally(), once(one, "k", 1), at)
        .await
        .unwrap();
    let log = fixture.log_of(acme).await;
    let reused = fixture.link_with(address("tom@acme.example.com"));
    assert_fails!(
        link(&fixture, acme, reused, once(one, "k", 2), at).await,
        ServiceError::Precondition(Precondition::IdempotencyKeyReused)
    );
    assert_eq!(fixture.log_of(acme).await, log);
    for (organization, caller, key) in [(acme, other, "k"), (globex, one, "k"), (acme, one, "K")] {
        let answer = link(&fixture, organization, sally(), once(caller, key, 1), at)
            .await
            .unwrap();
        assert!(matches!(answer, Idempotent::Fresh(_)), "{answer:?}");
    }
}

pub(super) async fn an_answer_is_forgotten_after_a_day(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let caller = caller(&fixture);
    let sally = || fixture.link_with(address(SALLY));
    let at = fixture.tick();
    let linked = first(
        link(&fixture, acme, sally(), once(caller, "k", 1), at)
            .await
            .unwrap(),
    );
    let before = link(&fixture, acme, sally(), once(caller, "k", 1), later(at, DAY - 1))
        .await
        .unwrap();
    assert_eq!(before, Idempotent::Replayed(encode(&linked)));
    // To repeat it did not make it younger. Another request may have the key now.
    let tom = fixture.link_with(address("tom@acme.example.com"));
    let after = link(&fixture, acme, tom, once(caller, "k", 2), later(at, DAY))
        .await
        .unwrap();
    assert!(matches!(after, Idempotent::Fresh(_)), "{after:?}");
    assert_fails!(
        link(&fixture, acme, sally(), once(caller, "k", 1), later(at, DAY + 1)).await,
        ServiceError::Precondition(Precondition::IdempotencyKeyReused)
    );
}

pub(super) async fn a_request_that_failed_has_no_answer(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let caller = caller(&fixture);
    let unknown = LinkMember {
        user_id: Some(fixture.user_id()),
        ..fixture.link_with(address(SALLY))
    };
    let at = fixture.tick();
    for _ in 0..2 {
        assert_fails!(
            link(&fixture, acme, unknown.clone(), once(caller, "k", 1), at).await,
            ServiceError::NotFound(_)
        );
    }
    let other = fixture.link_with(address(SALLY));
    link(&fixture, acme, other, once(caller, "k", 2), at)
        .await
        .unwrap();
}

pub(super) async fn of_many_equal_requests_at_once_one_is_done(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let caller = caller(&fixture);
    let mut racers = JoinSet::new();
    for _ in 0..30 {
        let fixture = fixture.clone();
        racers.spawn(async move {
            // Without an address each would be a new member.
            let new = fixture.link_with(values! { name: set("Sally") });
            link(&fixture, acme, new, once(caller, "k", 1), fixture.tick())
                .await
                .unwrap()
        });
    }
    let answers = racers.join_all().await;
    let new = answers
        .iter()
        .filter(|answer| matches!(answer, Idempotent::Fresh(_)));
    assert_eq!(new.count(), 1);
    assert_eq!(
        fixture
            .storage()
            .count_members(acme, MemberFilter::default())
            .await
            .unwrap(),
        1
    );
}

pub(super) async fn a_repetition_about_an_erased_member_is_refused_for_a_day(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let caller = caller(&fixture);
    let sally = || fixture.link_with(values! { email: set(SALLY), name: set("Sally") });
    let at = fixture.tick();
    let mut kept = None;
    for key in ["created", "found"] {
        let answer = link(&fixture, acme, sally(), once(caller, key, 1), at)
            .await
            .unwrap();
        kept = Some(first(answer).member);
    }
    let tom = fixture.link_with(address("tom@acme.example.com"));
    link(
        &fixture,
        acme,
        tom.clone(),
        once(caller, "tom", 1),
        fixture.tick(),
    )
    .await
    .unwrap();
    let old = kept.unwrap();
    fixture.erase(acme, &old).await.unwrap();
    let log = fixture.log_of(acme).await;
    // Nothing tells a repetition from another request any more.
    for (key, request) in [("created", 1), ("found", 1), ("created", 2)] {
        for at in [fixture.tick(), later(at, DAY - 1)] {
            assert_fails!(
                link(&fixture, acme, sally(), once(caller, key, request), at).await,
                ServiceError::Precondition(Precondition::MemberErased)
            );
        }
    }
    assert_eq!(fixture.log_of(acme).await, log);
    let again = link(&fixture, acme, sally(), once(caller, "found", 2), later(at, DAY))
        .await
        .unwrap();
    assert_ne!(first(again).member.id, old.id);
    let again = link(&fixture, acme, sally(), once(caller, "found", 2), later(at, DAY))
        .await
        .unwrap();
    assert!(matches!(again, Idempotent::Replayed(_)), "{again:?}");
    // Others keep theirs.
    let again = link(&fixture, acme, tom, once(caller, "tom", 1), fixture.tick())
        .await
        .unwrap();
    assert!(matches!(again, Idempotent::Replayed(_)), "{again:?}");
}

pub(super) async fn old_responses_are_removed_whoever_they_were_for(fixture: Fixture) {
    let caller = caller(&fixture);
    let first = fixture.tick();
    let mut organizations = Vec::new();
    for (millis, slug) in [(0, "acme"), (1, "globex"), (2, "initech"), (3, "umbrella")] {
        let organization = fixture.organization(slug).await;
        let sally = fixture.link_with(address(SALLY));
        let made = link(
            &fixture,
            organization,
            sally,
            once(caller, "k", 1),
            later(first, millis),
        )
        .await;
        assert!(matches!(made, Ok(Idempotent::Fresh(_))), "{made:?}");
        organizations.push(organization);
    }
    // Nobody of the first three calls again.
    let now = later(first, DAY + 2);
    assert_eq!(fixture.oldest_response().await.unwrap(), Some(first));
    for removed in [2, 1, 0] {
        assert_eq!(fixture.remove_responses(now, 2).await.unwrap(), removed);
    }
    assert_eq!(fixture.oldest_response().await.unwrap(), Some(later(first, 3)));
    let sally = fixture.link_with(address(SALLY));
    let again = link(&fixture, organizations[3], sally, once(caller, "k", 1), now).await;
    assert!(matches!(again, Ok(Idempotent::Replayed(_))), "{again:?}");
}
