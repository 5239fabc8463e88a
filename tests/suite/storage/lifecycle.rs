//! Many changes at once, callers that leave, closing and opening again.

use std::{collections::BTreeSet, future::poll_fn, pin::Pin, task::Poll, time::Duration};

use tokio::{task::JoinSet, time::timeout};
use userbridge::{
    domain::{Conflict, EventKind, KeyDigest, MemberLookup, OrganizationId, Scope, Slug, Subject},
    service::ServiceError,
    storage::StoreError,
};

use super::fixture::{Fixture, all};

const SALLY: &str = "sally@acme.example.com";

pub(super) async fn changes_made_at_once_fail_alone(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    fixture.link(acme, SALLY).await;
    let tom = fixture.link(acme, "tom@acme.example.com").await.user_id;
    let nowhere = fixture.new_organization("nowhere").id;
    let mut tasks = JoinSet::new();
    for index in 0..150 {
        let fixture = fixture.clone();
        tasks.spawn(async move {
            match index % 3 {
                0 => {
                    fixture.link(acme, &format!("{index}@acme.example.com")).await;
                }
                1 => {
                    let taken = fixture.link_user(acme, tom, SALLY).await;
                    assert!(
                        matches!(taken, Err(ServiceError::Conflict(Conflict::Member))),
                        "{taken:?}"
                    );
                }
                _ => {
                    let lost = fixture
                        .try_link(nowhere, &format!("{index}@acme.example.com"))
                        .await;
                    assert!(matches!(lost, Err(ServiceError::NotFound(_))), "{lost:?}");
                }
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(fixture.members(acme, all()).await.unwrap().len(), 52);
    assert_eq!(fixture.log_of(acme).await.len(), 53);
}

/// Appends an event, and panics in the middle of a part.
async fn panic_in_a_rule(fixture: &Fixture, organization: OrganizationId) -> Result<(), StoreError> {
    let input = (organization, fixture.change());
    let rule = fixture
        .storage()
        .write(organization, input, |tx, (organization, change)| {
            Box::pin(async move {
                let (kind, subject) = (EventKind::OrganizationUpdated, Subject::Organization);
                tx.append_event(Some(*organization), kind, subject, &[], change)
                    .await?;
                tx.begin_part().await?;
                panic!("as a mistake would");
            })
        });
    rule.await
}

pub(super) async fn a_rule_that_panics_is_undone_alone_and_all_goes_on(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let before = fixture.log_of(acme).await;
    let alone = panic_in_a_rule(&fixture, acme).await;
    assert!(matches!(alone, Err(StoreError::Engine(_))), "{alone:?}");
    assert_eq!(fixture.log_of(acme).await, before);
    let mut tasks = JoinSet::new();
    for index in 0..60 {
        let fixture = fixture.clone();
        tasks.spawn(async move {
            if index % 3 == 0 {
                let failed = panic_in_a_rule(&fixture, acme).await;
                assert!(matches!(failed, Err(StoreError::Engine(_))), "{failed:?}");
            } else {
                fixture.link(acme, &format!("{index}@acme.example.com")).await;
            }
        });
    }
    tasks.join_all().await;
    fixture.link(acme, SALLY).await;
    assert_eq!(fixture.members(acme, all()).await.unwrap().len(), 41);
    assert_eq!(fixture.log_of(acme).await.len(), before.len() + 41);
}

pub(super) async fn changes_whose_callers_went_away_are_whole_or_not_at_all(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let mut tasks = JoinSet::new();
    for index in 0..150 {
        let fixture = fixture.clone();
        tasks.spawn(async move {
            let email = format!("{index}@acme.example.com");
            match index % 3 {
                // Leaves at the first chance.
                0 => {
                    let _ = timeout(Duration::ZERO, fixture.try_link(acme, &email)).await;
                }
                // Leaves when somebody else's change was made: it may be in the middle.
                1 => {
                    let other = fixture.clone();
                    let link = tokio::spawn(async move { other.try_link(acme, &email).await });
                    tokio::task::yield_now().await;
                    link.abort();
                    let _ = link.await;
                }
                _ => {
                    fixture.link(acme, &email).await;
                }
            }
        });
    }
    tasks.join_all().await;
    // Whatever is still in the queue comes before this.
    fixture.link(acme, SALLY).await;
    let members: BTreeSet<_> = fixture
        .members(acme, all())
        .await
        .unwrap()
        .iter()
        .map(|m| m.id)
        .collect();
    assert!(members.len() > 50);
    let log = fixture.log_of(acme).await;
    let linked: Vec<_> = log
        .iter()
        .filter(|event| event.kind == EventKind::MemberLinked)
        .filter_map(|event| event.member_id)
        .collect();
    assert_eq!(linked.len(), members.len());
    assert_eq!(linked.into_iter().collect::<BTreeSet<_>>(), members);
}

pub(super) async fn closing_finishes_what_was_accepted(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let key = fixture.public_key(acme).await;
    let sally = fixture.link(acme, SALLY).await;
    let mut links: Vec<_> = (0..150)
        .map(|index| {
            let new = fixture.new_member(&format!("{index}@acme.example.com"));
            fixture.link_member(acme, new, fixture.change())
        })
        .collect();
    let mut lookups: Vec<_> = (0..150)
        .map(|_| fixture.key_and_member(key.digest, MemberLookup::UserId(sally.user_id)))
        .collect();
    // A call is accepted when it is first polled.
    let mut linked: Vec<_> = accept(&mut links).await;
    let mut found: Vec<_> = accept(&mut lookups).await;
    fixture.close().await;
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
        assert_eq!(
            answer.unwrap().unwrap().member.as_ref(),
            Some(&sally.clone().into())
        );
    }
    let fixture = fixture.reopened().await;
    assert_eq!(fixture.members(acme, all()).await.unwrap().len(), 151);
    for member in linked {
        let member = member.unwrap().unwrap();
        let lookup = MemberLookup::UserId(member.user_id);
        assert_eq!(fixture.member(acme, lookup).await.unwrap(), Some(member));
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

pub(super) async fn a_closed_storage_says_so(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let slug = Slug::new("acme").unwrap();
    fixture.close().await;
    // Twice does no harm.
    fixture.close().await;
    let digest = KeyDigest::of("pb_any");
    let user = fixture.user_id();
    let lookup = || MemberLookup::UserId(user);
    let now = fixture.change();
    let change = || now.clone();
    let key = || fixture.new_key(acme, &[Scope::Admin]);
    macro_rules! assert_closed {
        ($($call:expr),+ $(,)?) => {
            $(let result = $call.await;
            let result = result.map_err(ServiceError::from);
            assert!(matches!(result, Err(ServiceError::Unavailable(StoreError::Closed))), "{}: {result:?}", stringify!($call));)+
        };
    }
    assert_closed!(
        fixture.create_organization(fixture.new_organization("globex"), change()),
        fixture.storage().organization(acme),
        fixture.organization_by_slug(&slug),
        fixture.organizations(all()),
        fixture.delete_organization(acme, change()),
        fixture.create_api_key(acme, key(), change()),
        fixture.rotate_api_key(acme, key().key.id, now.at, key(), change()),
        fixture.revoke_api_key(acme, key().key.id, change()),
        fixture.api_keys(acme, all()),
        fixture.api_key_by_digest(digest),
        fixture.link_member(acme, fixture.new_member(SALLY), change()),
        fixture.member(acme, lookup()),
        fixture.key_and_member(digest, lookup()),
        fixture.members(acme, all()),
        fixture.revoke_member(acme, user, change()),
        fixture.events(acme, all()),
    );
}

pub(super) async fn what_was_written_is_there_after_opening_again(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let key = fixture.public_key(acme).await;
    let sally = fixture.link(acme, SALLY).await;
    let tom = fixture.link(acme, "tom@acme.example.com").await;
    fixture
        .revoke_member(acme, tom.user_id, fixture.change())
        .await
        .unwrap();
    let log = fixture.log_of(acme).await;
    fixture.close().await;

    let fixture = fixture.reopened().await;
    assert_eq!(fixture.members(acme, all()).await.unwrap(), [sally]);
    assert_eq!(fixture.stored(&key).await, key.key);
    assert_eq!(fixture.log_of(acme).await, log);
    // The log goes on where it was.
    fixture.link(acme, "tom@acme.example.com").await;
    let longer = fixture.log_of(acme).await;
    assert_eq!(longer[..log.len()], log);
    assert_eq!(longer.len(), log.len() + 1);
}
