//! Many changes at once, callers that leave, closing and opening again.

use std::{collections::BTreeSet, future::poll_fn, pin::Pin, task::Poll, time::Duration};

use tokio::{task::JoinSet, time::timeout};
use userbridge::{
    domain::{EventKind, KeyDigest, MemberLookup, Scope, Slug},
    storage::{Conflict, StoreError},
};

use super::bench::{Bench, all};

const SALLY: &str = "sally@acme.example.com";

pub(super) async fn changes_made_at_once_fail_alone(bench: Bench) {
    let acme = bench.organization("acme").await;
    bench.link(acme, SALLY).await;
    let tom = bench.link(acme, "tom@acme.example.com").await.user_id;
    let nowhere = bench.new_organization("nowhere").id;
    let mut tasks = JoinSet::new();
    for index in 0..150 {
        let bench = bench.clone();
        tasks.spawn(async move {
            match index % 3 {
                0 => {
                    bench.link(acme, &format!("{index}@acme.example.com")).await;
                }
                1 => {
                    let taken = bench.link_user(acme, tom, SALLY).await;
                    assert!(
                        matches!(taken, Err(StoreError::Conflict(Conflict::Member))),
                        "{taken:?}"
                    );
                }
                _ => {
                    let lost = bench
                        .try_link(nowhere, &format!("{index}@acme.example.com"))
                        .await;
                    assert!(matches!(lost, Err(StoreError::NotFound(_))), "{lost:?}");
                }
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(bench.members(acme, all()).await.unwrap().len(), 52);
    assert_eq!(bench.log_of(acme).await.len(), 53);
}

pub(super) async fn changes_whose_callers_went_away_are_whole_or_not_at_all(bench: Bench) {
    let acme = bench.organization("acme").await;
    let mut tasks = JoinSet::new();
    for index in 0..150 {
        let bench = bench.clone();
        tasks.spawn(async move {
            let email = format!("{index}@acme.example.com");
            match index % 3 {
                // Leaves at the first chance.
                0 => {
                    let _ = timeout(Duration::ZERO, bench.try_link(acme, &email)).await;
                }
                // Leaves when somebody else's change was made: it may be in the middle.
                1 => {
                    let other = bench.clone();
                    let link = tokio::spawn(async move { other.try_link(acme, &email).await });
                    tokio::task::yield_now().await;
                    link.abort();
                    let _ = link.await;
                }
                _ => {
                    bench.link(acme, &email).await;
                }
            }
        });
    }
    tasks.join_all().await;
    // Whatever is still in the queue comes before this.
    bench.link(acme, SALLY).await;
    let members: BTreeSet<_> = bench
        .members(acme, all())
        .await
        .unwrap()
        .iter()
        .map(|m| m.id)
        .collect();
    assert!(members.len() > 50);
    let log = bench.log_of(acme).await;
    let linked: Vec<_> = log
        .iter()
        .filter(|event| event.kind == EventKind::MemberLinked)
        .filter_map(|event| event.member_id)
        .collect();
    assert_eq!(linked.len(), members.len());
    assert_eq!(linked.into_iter().collect::<BTreeSet<_>>(), members);
}

pub(super) async fn closing_finishes_what_was_accepted(bench: Bench) {
    let acme = bench.organization("acme").await;
    let key = bench.public_key(acme).await;
    let sally = bench.link(acme, SALLY).await;
    let mut links: Vec<_> = (0..150)
        .map(|index| {
            let new = bench.new_member(&format!("{index}@acme.example.com"));
            bench.link_member(acme, new, bench.change())
        })
        .collect();
    let mut lookups: Vec<_> = (0..150)
        .map(|_| bench.key_and_member(key.digest, MemberLookup::UserId(sally.user_id)))
        .collect();
    // A call is accepted when it is first polled.
    let mut linked: Vec<_> = accept(&mut links).await;
    let mut found: Vec<_> = accept(&mut lookups).await;
    bench.close().await;
    for (link, early) in links.into_iter().zip(&mut linked) {
        if early.is_none() {
            *early = Some(link.await);
        }
    }
    for (lookup, early) in lookups.into_iter().zip(&mut found) {
        if early.is_none() {
            *early = Some(lookup.await);
        }
    }
    for answer in found {
        assert_eq!(answer.unwrap().unwrap().member.as_ref(), Some(&sally));
    }
    let bench = bench.reopened().await;
    assert_eq!(bench.members(acme, all()).await.unwrap().len(), 151);
    for member in linked {
        let member = member.unwrap().unwrap();
        let lookup = MemberLookup::UserId(member.user_id);
        assert_eq!(bench.member(acme, lookup).await.unwrap(), Some(member));
    }
}

/// Polls each call once. Some may be answered already.
async fn accept<T>(calls: &mut [Pin<Box<dyn Future<Output = T> + Send + '_>>]) -> Vec<Option<T>> {
    poll_fn(|context| {
        let polled = calls.iter_mut().map(|call| match call.as_mut().poll(context) {
            Poll::Ready(answer) => Some(answer),
            Poll::Pending => None,
        });
        Poll::Ready(polled.collect())
    })
    .await
}

pub(super) async fn a_closed_storage_says_so(bench: Bench) {
    let acme = bench.organization("acme").await;
    let slug = Slug::new("acme").unwrap();
    bench.close().await;
    // Twice does no harm.
    bench.close().await;
    let digest = KeyDigest::of("pb_any");
    let user = bench.user_id();
    let lookup = || MemberLookup::UserId(user);
    let now = bench.change();
    let change = || now.clone();
    let key = || bench.new_key(acme, &[Scope::Admin]);
    macro_rules! assert_closed {
        ($($call:expr),+ $(,)?) => {
            $(let result = $call.await;
            assert!(matches!(result, Err(StoreError::Closed)), "{}: {result:?}", stringify!($call));)+
        };
    }
    assert_closed!(
        bench.create_organization(bench.new_organization("globex"), change()),
        bench.storage().organization(acme),
        bench.organization_by_slug(&slug),
        bench.organizations(all()),
        bench.delete_organization(acme, change()),
        bench.create_api_key(acme, key(), change()),
        bench.rotate_api_key(acme, key().key.id, now.at, key(), change()),
        bench.revoke_api_key(acme, key().key.id, change()),
        bench.api_keys(acme, all()),
        bench.api_key_by_digest(digest),
        bench.link_member(acme, bench.new_member(SALLY), change()),
        bench.member(acme, lookup()),
        bench.key_and_member(digest, lookup()),
        bench.members(acme, all()),
        bench.revoke_member(acme, user, change()),
        bench.events(acme, all()),
    );
}

pub(super) async fn what_was_written_is_there_after_opening_again(bench: Bench) {
    let acme = bench.organization("acme").await;
    let key = bench.public_key(acme).await;
    let sally = bench.link(acme, SALLY).await;
    let tom = bench.link(acme, "tom@acme.example.com").await;
    bench
        .revoke_member(acme, tom.user_id, bench.change())
        .await
        .unwrap();
    let log = bench.log_of(acme).await;
    bench.close().await;

    let bench = bench.reopened().await;
    assert_eq!(bench.members(acme, all()).await.unwrap(), [sally]);
    assert_eq!(bench.stored(&key).await, key.key);
    assert_eq!(bench.log_of(acme).await, log);
    // The log goes on where it was.
    bench.link(acme, "tom@acme.example.com").await;
    let longer = bench.log_of(acme).await;
    assert_eq!(longer[..log.len()], log);
    assert_eq!(longer.len(), log.len() + 1);
}
