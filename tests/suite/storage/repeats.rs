//! Requests that come again, and the log that everything is written in.

use tokio::task::JoinSet;
use userbridge::{
    domain::{ApiKeyId, EventKind, OrganizationId, Timestamp},
    storage::{
        Answer, Change, EventQuery, LinkMember, LinkOutcome, Linked, MemberFilter, Once, Precondition,
        StoreError, Token,
    },
};

use super::{
    bench::Bench,
    people::{DAY, address, assert_fails, later, set, values},
};
use crate::support::{RANDOM, first};

const SALLY: &str = "sally@acme.example.com";

/// Writes down the id, the name and what happened.
fn encode(linked: &Linked) -> Vec<u8> {
    let name = &linked.entry.member.profile.name;
    format!("{} {name:?} {:?}", linked.entry.member.id, linked.outcome).into_bytes()
}

fn once(api_key: ApiKeyId, key: &str, request: u8) -> Once<Linked> {
    Once {
        token: Some(Token {
            api_key,
            key: key.to_owned(),
            request: [request; 32],
        }),
        encode,
    }
}

async fn link(
    bench: &Bench,
    organization: OrganizationId,
    link: LinkMember,
    once: Once<Linked>,
    at: Timestamp,
) -> Result<Answer<Linked>, StoreError> {
    let change = Change { at, ..bench.change() };
    bench
        .storage()
        .link_member(organization, link, once, change)
        .await
}

fn caller(bench: &Bench) -> ApiKeyId {
    ApiKeyId::new(bench.tick(), RANDOM).unwrap()
}

pub(super) async fn a_repeated_request_gets_the_first_answer_as_it_was(bench: Bench) {
    let acme = bench.organization("acme").await;
    let caller = caller(&bench);
    let sally = || bench.link_with(values! { email: set(SALLY), name: set("Sally") });
    let at = bench.tick();
    let answer = link(&bench, acme, sally(), once(caller, "k", 1), at)
        .await
        .unwrap();
    let linked = first(answer);
    assert_eq!(linked.outcome, LinkOutcome::Created);
    // The member changes, even ends: the answer does not.
    bench
        .update(acme, &linked.entry, values! { name: set("Another") })
        .await
        .unwrap();
    let repeat = async || {
        link(&bench, acme, sally(), once(caller, "k", 1), bench.tick())
            .await
            .unwrap()
    };
    assert_eq!(repeat().await, Answer::Repeated(encode(&linked)));
    bench.revoke(acme, &linked.entry).await.unwrap();
    let log = bench.log_of(acme).await;
    assert_eq!(repeat().await, Answer::Repeated(encode(&linked)));
    assert_eq!(bench.log_of(acme).await, log);
    assert_eq!(bench.reopened().await.log_of(acme).await, log);
}

pub(super) async fn an_idempotency_key_is_good_for_one_request_of_one_caller_in_one_organization(
    bench: Bench,
) {
    let (acme, globex) = (
        bench.organization("acme").await,
        bench.organization("globex").await,
    );
    let (one, other) = (caller(&bench), caller(&bench));
    let sally = || bench.link_with(address(SALLY));
    let at = bench.tick();
    link(&bench, acme, sally(), once(one, "k", 1), at).await.unwrap();
    let log = bench.log_of(acme).await;
    let reused = bench.link_with(address("tom@acme.example.com"));
    assert_fails!(
        link(&bench, acme, reused, once(one, "k", 2), at).await,
        StoreError::Precondition(Precondition::IdempotencyKeyReused)
    );
    assert_eq!(bench.log_of(acme).await, log);
    for (organization, caller, key) in [(acme, other, "k"), (globex, one, "k"), (acme, one, "K")] {
        let answer = link(&bench, organization, sally(), once(caller, key, 1), at)
            .await
            .unwrap();
        assert!(matches!(answer, Answer::New(_)), "{answer:?}");
    }
}

pub(super) async fn an_answer_is_forgotten_after_a_day(bench: Bench) {
    let acme = bench.organization("acme").await;
    let caller = caller(&bench);
    let sally = || bench.link_with(address(SALLY));
    let at = bench.tick();
    let linked = first(
        link(&bench, acme, sally(), once(caller, "k", 1), at)
            .await
            .unwrap(),
    );
    let before = link(&bench, acme, sally(), once(caller, "k", 1), later(at, DAY - 1))
        .await
        .unwrap();
    assert_eq!(before, Answer::Repeated(encode(&linked)));
    // To repeat it did not make it younger. Another request may have the key now.
    let tom = bench.link_with(address("tom@acme.example.com"));
    let after = link(&bench, acme, tom, once(caller, "k", 2), later(at, DAY))
        .await
        .unwrap();
    assert!(matches!(after, Answer::New(_)), "{after:?}");
    assert_fails!(
        link(&bench, acme, sally(), once(caller, "k", 1), later(at, DAY + 1)).await,
        StoreError::Precondition(Precondition::IdempotencyKeyReused)
    );
}

pub(super) async fn a_request_that_failed_has_no_answer(bench: Bench) {
    let acme = bench.organization("acme").await;
    let caller = caller(&bench);
    let unknown = LinkMember {
        user_id: Some(bench.user_id()),
        ..bench.link_with(address(SALLY))
    };
    let at = bench.tick();
    for _ in 0..2 {
        assert_fails!(
            link(&bench, acme, unknown.clone(), once(caller, "k", 1), at).await,
            StoreError::NotFound(_)
        );
    }
    let other = bench.link_with(address(SALLY));
    link(&bench, acme, other, once(caller, "k", 2), at).await.unwrap();
}

pub(super) async fn of_many_equal_requests_at_once_one_is_done(bench: Bench) {
    let acme = bench.organization("acme").await;
    let caller = caller(&bench);
    let mut racers = JoinSet::new();
    for _ in 0..30 {
        let bench = bench.clone();
        racers.spawn(async move {
            // Without an address each would be a new member.
            let new = bench.link_with(values! { name: set("Sally") });
            link(&bench, acme, new, once(caller, "k", 1), bench.tick())
                .await
                .unwrap()
        });
    }
    let answers = racers.join_all().await;
    let new = answers.iter().filter(|answer| matches!(answer, Answer::New(_)));
    assert_eq!(new.count(), 1);
    assert_eq!(
        bench
            .storage()
            .count_members(acme, MemberFilter::default())
            .await
            .unwrap(),
        1
    );
}

pub(super) async fn a_repetition_about_an_erased_member_is_refused_for_a_day(bench: Bench) {
    let acme = bench.organization("acme").await;
    let caller = caller(&bench);
    let sally = || bench.link_with(values! { email: set(SALLY), name: set("Sally") });
    let at = bench.tick();
    let mut kept = None;
    for key in ["created", "found"] {
        let answer = link(&bench, acme, sally(), once(caller, key, 1), at)
            .await
            .unwrap();
        kept = Some(first(answer).entry);
    }
    let tom = bench.link_with(address("tom@acme.example.com"));
    link(&bench, acme, tom.clone(), once(caller, "tom", 1), bench.tick())
        .await
        .unwrap();
    let old = kept.unwrap();
    bench.erase(acme, &old).await.unwrap();
    let log = bench.log_of(acme).await;
    // Nothing tells a repetition from another request any more.
    for (key, request) in [("created", 1), ("found", 1), ("created", 2)] {
        for at in [bench.tick(), later(at, DAY - 1)] {
            assert_fails!(
                link(&bench, acme, sally(), once(caller, key, request), at).await,
                StoreError::Precondition(Precondition::MemberErased)
            );
        }
    }
    assert_eq!(bench.log_of(acme).await, log);
    let again = link(&bench, acme, sally(), once(caller, "found", 2), later(at, DAY))
        .await
        .unwrap();
    assert_ne!(first(again).entry.member.id, old.member.id);
    let again = link(&bench, acme, sally(), once(caller, "found", 2), later(at, DAY))
        .await
        .unwrap();
    assert!(matches!(again, Answer::Repeated(_)), "{again:?}");
    // Others keep theirs.
    let again = link(&bench, acme, tom, once(caller, "tom", 1), bench.tick())
        .await
        .unwrap();
    assert!(matches!(again, Answer::Repeated(_)), "{again:?}");
}

pub(super) async fn every_organization_counts_its_events_without_gaps_while_many_write(bench: Bench) {
    let organizations = [
        bench.organization("acme").await,
        bench.organization("globex").await,
        bench.organization("initech").await,
    ];
    let mut writers = JoinSet::new();
    for index in 0..90_usize {
        let (bench, organization) = (bench.clone(), organizations[index % 3]);
        writers.spawn(async move {
            let email = format!("{index}@acme.example.com");
            let entry = bench.person(organization, address(&email)).await;
            let unknown = LinkMember {
                user_id: Some(bench.user_id()),
                ..bench.link_with(address(&email))
            };
            // One that fails in between takes no number.
            bench.link_as(organization, unknown).await.unwrap_err();
            bench
                .update(organization, &entry, values! { name: set("Name") })
                .await
                .unwrap();
            match index % 9 {
                0..3 => {
                    bench.erase(organization, &entry).await.unwrap();
                }
                3..6 => {
                    bench.revoke(organization, &entry).await.unwrap();
                    bench.restore(organization, &entry).await.unwrap();
                }
                _ => {}
            }
        });
    }
    writers.join_all().await;
    for organization in organizations {
        let log = bench.log_of(organization).await;
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

pub(super) async fn events_are_picked_by_user_and_by_kind(bench: Bench) {
    let acme = bench.organization("acme").await;
    let sally = bench.person(acme, address(SALLY)).await;
    let tom = bench.person(acme, address("tom@acme.example.com")).await;
    for entry in [&sally, &tom, &sally] {
        let name = format!("Name {}", bench.tick().as_millis());
        bench
            .update(acme, entry, values! { name: set(&name) })
            .await
            .unwrap();
    }
    bench.revoke(acme, &tom).await.unwrap();
    let log = bench.log_of(acme).await;
    let user = Some(sally.member.user_id);
    for user in [None, user, Some(bench.user_id())] {
        for kinds in [
            vec![],
            vec![EventKind::MemberUpdated],
            vec![EventKind::MemberLinked, EventKind::MemberRevoked],
            vec![EventKind::TeamCreated],
        ] {
            let mut expected = log.clone();
            expected.retain(|event| user.is_none() || event.user_id == user);
            expected.retain(|event| kinds.is_empty() || kinds.contains(&event.kind));
            let mut found = Vec::new();
            loop {
                let after = found
                    .last()
                    .map_or(0, |event: &userbridge::domain::Event| event.sequence);
                let query = EventQuery {
                    after,
                    limit: 2,
                    user,
                    kinds: kinds.clone(),
                };
                let page = bench.storage().events(Some(acme), query).await.unwrap();
                if page.is_empty() {
                    break;
                }
                found.extend(page);
            }
            assert_eq!(found, expected);
        }
    }
}
