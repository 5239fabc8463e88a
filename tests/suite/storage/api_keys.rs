//! API keys.

use tokio::task::JoinSet;
use userbridge::{
    domain::{ApiKeyId, KeyDigest, MemberLookup, Page, Scope, Timestamp},
    storage::{Answer, Change, Conflict, EventQuery, Missing, NewApiKey, Once, StoreError},
};

use super::bench::{Bench, all};

pub(super) async fn a_key_comes_back_as_it_was_stored(bench: Bench) {
    let acme = bench.organization("acme").await;
    let mut new = bench.new_key(acme, &[Scope::Admin, Scope::PublicApi, Scope::DirectoryWrite]);
    new.key.expires_at = Some(Timestamp::from_millis(4_102_444_800_123));
    bench
        .create_api_key(acme, new.clone(), bench.change())
        .await
        .unwrap();
    assert_eq!(bench.stored(&new).await, new.key);
    assert_eq!(bench.api_keys(acme, all()).await.unwrap(), [new.key.clone()]);
    assert_eq!(
        bench.api_key_by_digest(KeyDigest::of("pb_other")).await.unwrap(),
        None
    );
    assert_eq!(bench.api_key_by_digest(KeyDigest::of("")).await.unwrap(), None);
}

pub(super) async fn an_organization_has_one_current_public_key(bench: Bench) {
    let (acme, globex) = (
        bench.organization("acme").await,
        bench.organization("globex").await,
    );
    bench.public_key(acme).await;
    for scopes in [&[Scope::PublicApi][..], &[Scope::Admin, Scope::PublicApi]] {
        let second = bench.new_key(acme, scopes);
        assert_conflict(&bench.create_api_key(acme, second.clone(), bench.change()).await);
        assert_eq!(bench.api_key_by_digest(second.digest).await.unwrap(), None);
    }
    for _ in 0..2 {
        let other = bench.new_key(acme, &[Scope::Admin, Scope::DirectoryRead]);
        bench.create_api_key(acme, other, bench.change()).await.unwrap();
    }
    bench.public_key(globex).await;
}

pub(super) async fn of_many_public_keys_made_at_once_one_is_stored(bench: Bench) {
    let acme = bench.organization("acme").await;
    let mut racers = JoinSet::new();
    for _ in 0..20 {
        let bench = bench.clone();
        racers.spawn(async move {
            let key = bench.new_key(acme, &[Scope::PublicApi]);
            bench.create_api_key(acme, key, bench.change()).await
        });
    }
    let results = racers.join_all().await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    results
        .iter()
        .filter(|result| result.is_err())
        .for_each(assert_conflict);
    assert_eq!(bench.api_keys(acme, all()).await.unwrap().len(), 1);
}

pub(super) async fn a_revoked_public_key_makes_room_for_another(bench: Bench) {
    let acme = bench.organization("acme").await;
    let old = bench.public_key(acme).await;
    bench
        .revoke_api_key(acme, old.key.id, bench.change())
        .await
        .unwrap();
    let new = bench.public_key(acme).await;
    let now = bench.tick();
    assert!(!bench.stored(&old).await.is_active(now));
    assert!(bench.stored(&new).await.is_active(now));
}

pub(super) async fn an_expired_public_key_makes_room_for_another(bench: Bench) {
    let acme = bench.organization("acme").await;
    let end = Timestamp::from_millis(bench.tick().as_millis() + 1_000_000);
    let mut old = bench.new_key(acme, &[Scope::PublicApi]);
    old.key.expires_at = Some(end);
    bench
        .create_api_key(acme, old.clone(), bench.change())
        .await
        .unwrap();

    let new = bench.new_key(acme, &[Scope::PublicApi]);
    let at = |millis: i64| Change {
        at: Timestamp::from_millis(end.as_millis() + millis),
        ..bench.change()
    };
    assert_conflict(&bench.create_api_key(acme, new.clone(), at(-1)).await);
    bench.create_api_key(acme, new.clone(), at(0)).await.unwrap();
    assert_eq!(bench.stored(&old).await, old.key);
    assert_conflict(
        &bench
            .create_api_key(acme, bench.new_key(acme, &[Scope::PublicApi]), at(1))
            .await,
    );
}

pub(super) async fn a_rotated_key_ends_when_it_is_told_to(bench: Bench) {
    let acme = bench.organization("acme").await;
    let old = bench.public_key(acme).await;
    let new = bench.new_key(acme, &[Scope::PublicApi]);
    let end = Timestamp::from_millis(bench.tick().as_millis() + 1000);
    bench
        .rotate_api_key(acme, old.key.id, end, new.clone(), bench.change())
        .await
        .unwrap();
    assert_eq!(bench.stored(&new).await, new.key);
    let stored = bench.stored(&old).await;
    assert_eq!((stored.expires_at, stored.revoked_at), (Some(end), None));
    assert!(stored.is_active(Timestamp::from_millis(end.as_millis() - 1)));
    assert!(!stored.is_active(end));
    // The new one is the current one, and only it.
    assert_conflict(
        &bench
            .create_api_key(acme, bench.new_key(acme, &[Scope::PublicApi]), bench.change())
            .await,
    );
}

pub(super) async fn a_rotated_key_ends_no_later_than_it_would_have(bench: Bench) {
    let acme = bench.organization("acme").await;
    let end = Timestamp::from_millis(bench.tick().as_millis() + 1000);
    let mut old = bench.new_key(acme, &[Scope::PublicApi]);
    old.key.expires_at = Some(end);
    bench
        .create_api_key(acme, old.clone(), bench.change())
        .await
        .unwrap();
    let later = Timestamp::from_millis(end.as_millis() + 1);
    let new = bench.new_key(acme, &[Scope::PublicApi]);
    bench
        .rotate_api_key(acme, old.key.id, later, new, bench.change())
        .await
        .unwrap();
    assert_eq!(bench.stored(&old).await.expires_at, Some(end));
}

pub(super) async fn a_key_is_rotated_once(bench: Bench) {
    let acme = bench.organization("acme").await;
    let old = bench.public_key(acme).await;
    let end = Timestamp::from_millis(i64::MAX);
    let new = bench.new_key(acme, &[Scope::PublicApi]);
    bench
        .rotate_api_key(acme, old.key.id, end, new.clone(), bench.change())
        .await
        .unwrap();
    let third = bench.new_key(acme, &[Scope::PublicApi]);
    let again = bench
        .rotate_api_key(acme, old.key.id, end, third.clone(), bench.change())
        .await;
    assert!(matches!(again, Err(StoreError::NotFound(_))), "{again:?}");
    assert_eq!(bench.api_key_by_digest(third.digest).await.unwrap(), None);
    bench
        .rotate_api_key(acme, new.key.id, end, third, bench.change())
        .await
        .unwrap();
}

pub(super) async fn a_revoked_key_is_not_rotated(bench: Bench) {
    let acme = bench.organization("acme").await;
    let old = bench.public_key(acme).await;
    bench
        .revoke_api_key(acme, old.key.id, bench.change())
        .await
        .unwrap();
    let before = bench.stored(&old).await;
    let new = bench.new_key(acme, &[Scope::PublicApi]);
    let unknown = ApiKeyId::from_uuid(*new.key.id.as_uuid());
    for id in [old.key.id, unknown] {
        let result = bench
            .rotate_api_key(acme, id, bench.tick(), new.clone(), bench.change())
            .await;
        assert!(matches!(result, Err(StoreError::NotFound(_))), "{result:?}");
    }
    assert_eq!(bench.stored(&old).await, before);
    assert_eq!(bench.api_keys(acme, all()).await.unwrap().len(), 1);
}

pub(super) async fn of_many_rotations_at_once_one_happens(bench: Bench) {
    let acme = bench.organization("acme").await;
    let old = bench.public_key(acme).await.key.id;
    let mut racers = JoinSet::new();
    for _ in 0..20 {
        let bench = bench.clone();
        racers.spawn(async move {
            let new = bench.new_key(acme, &[Scope::PublicApi]);
            bench
                .rotate_api_key(acme, old, bench.tick(), new, bench.change())
                .await
        });
    }
    let results = racers.join_all().await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert!(
        results
            .iter()
            .all(|result| matches!(result, Ok(()) | Err(StoreError::NotFound(_))))
    );
    assert_eq!(bench.api_keys(acme, all()).await.unwrap().len(), 2);
}

pub(super) async fn a_rotation_that_fails_leaves_the_old_key_as_it_was(bench: Bench) {
    let acme = bench.organization("acme").await;
    bench.public_key(acme).await;
    let old = bench.new_key(acme, &[Scope::Admin]);
    bench
        .create_api_key(acme, old.clone(), bench.change())
        .await
        .unwrap();
    let events = bench.log_of(acme).await.len();

    let public = bench.new_key(acme, &[Scope::PublicApi]);
    assert_conflict(
        &bench
            .rotate_api_key(acme, old.key.id, bench.tick(), public, bench.change())
            .await,
    );
    assert_eq!(bench.stored(&old).await, old.key);
    assert_eq!(bench.log_of(acme).await.len(), events);
    let new = bench.new_key(acme, &[Scope::Admin]);
    bench
        .rotate_api_key(acme, old.key.id, bench.tick(), new, bench.change())
        .await
        .unwrap();
}

pub(super) async fn a_key_is_revoked_once(bench: Bench) {
    let acme = bench.organization("acme").await;
    let key = bench.public_key(acme).await;
    let change = bench.change();
    assert!(
        bench
            .revoke_api_key(acme, key.key.id, change.clone())
            .await
            .unwrap()
    );
    assert!(
        !bench
            .revoke_api_key(acme, key.key.id, bench.change())
            .await
            .unwrap()
    );
    let stored = bench.stored(&key).await;
    assert_eq!(stored.revoked_at, Some(change.at));
    assert!(!stored.is_active(change.at));
    let unknown = bench.new_key(acme, &[]).key.id;
    assert!(!bench.revoke_api_key(acme, unknown, bench.change()).await.unwrap());
}

pub(super) async fn a_rotated_key_can_be_revoked_before_its_time(bench: Bench) {
    let acme = bench.organization("acme").await;
    let old = bench.public_key(acme).await;
    let new = bench.new_key(acme, &[Scope::PublicApi]);
    let end = Timestamp::from_millis(i64::MAX);
    bench
        .rotate_api_key(acme, old.key.id, end, new.clone(), bench.change())
        .await
        .unwrap();
    assert!(
        bench
            .revoke_api_key(acme, old.key.id, bench.change())
            .await
            .unwrap()
    );
    let now = bench.tick();
    assert!(!bench.stored(&old).await.is_active(now));
    assert!(bench.stored(&new).await.is_active(now));
}

pub(super) async fn keys_come_in_the_order_they_were_made(bench: Bench) {
    let (acme, globex) = (
        bench.organization("acme").await,
        bench.organization("globex").await,
    );
    let mut made: Vec<NewApiKey> = Vec::new();
    for index in 0..8 {
        let key = bench.new_key(acme, &[Scope::DirectoryRead]);
        bench
            .create_api_key(acme, key.clone(), bench.change())
            .await
            .unwrap();
        bench
            .create_api_key(globex, bench.new_key(globex, &[Scope::Admin]), bench.change())
            .await
            .unwrap();
        if index % 3 == 0 {
            bench
                .revoke_api_key(acme, key.key.id, bench.change())
                .await
                .unwrap();
        }
        made.push(key);
    }
    let mut seen = Vec::new();
    loop {
        let after = seen.last().copied();
        let page = bench.api_keys(acme, Page { after, limit: 3 }).await.unwrap();
        assert!(page.len() <= 3);
        if page.is_empty() {
            break;
        }
        seen.extend(page.iter().map(|key| key.id));
    }
    assert!(seen.iter().eq(made.iter().map(|new| &new.key.id)));
}

fn assert_conflict(result: &Result<(), StoreError>) {
    assert!(
        matches!(result, Err(StoreError::Conflict(Conflict::PublicKey))),
        "{result:?}"
    );
}

pub(super) async fn keys_of_no_organization_are_a_set_of_their_own(bench: Bench) {
    let acme = bench.organization("acme").await;
    let of_acme = bench.public_key(acme).await;
    let mut new = bench.new_key(acme, &[Scope::Admin]);
    let made = bench
        .storage()
        .create_api_key(None, new.clone(), Once::never(), bench.change())
        .await;
    new.key.organization_id = None;
    assert!(matches!(made, Ok(Answer::New(key)) if key == new.key));
    assert_eq!(bench.stored(&new).await, new.key);
    let listed = bench.storage().api_keys(None, all()).await.unwrap();
    assert_eq!(listed, [new.key.clone()]);
    assert_eq!(bench.api_keys(acme, all()).await.unwrap(), [of_acme.key]);
    assert_eq!(
        bench.storage().api_key(Some(acme), new.key.id).await.unwrap(),
        None
    );
    let found = bench.storage().api_key(None, new.key.id).await.unwrap();
    assert_eq!(found, Some(new.key.clone()));
    // It finds no member, because it has no organization.
    let sally = bench.link(acme, "sally@acme.example.com").await;
    let lookup = MemberLookup::UserId(sally.user_id);
    let found = bench.key_and_member(new.digest, lookup).await.unwrap();
    assert_eq!((found.key, found.member), (Some(new.key.clone()), None));
    assert!(
        !bench
            .revoke_api_key(acme, new.key.id, bench.change())
            .await
            .unwrap()
    );
    assert!(
        bench
            .storage()
            .revoke_api_key(None, new.key.id, bench.change())
            .await
            .unwrap()
    );
    // They have a log of their own.
    let query = EventQuery {
        limit: 10,
        ..EventQuery::default()
    };
    let log = bench.storage().events(None, query).await.unwrap();
    let kinds: Vec<_> = log
        .iter()
        .map(|event| (event.sequence, event.organization_id, event.kind.as_str()))
        .collect();
    assert_eq!(
        kinds,
        [(1, None, "api_key.created"), (2, None, "api_key.revoked")]
    );
}

pub(super) async fn when_a_key_was_used_is_kept_and_is_no_event(bench: Bench) {
    let acme = bench.organization("acme").await;
    let key = bench.public_key(acme).await;
    let events = bench.log_of(acme).await.len();
    let (early, late) = (bench.tick(), bench.tick());
    let unknown = bench.new_key(acme, &[]).key.id;
    for at in [late, early] {
        let uses = vec![
            (Some(acme), unknown, at),
            (None, key.key.id, at),
            (Some(acme), key.key.id, at),
        ];
        bench.record_key_use(uses).await.unwrap();
    }
    assert_eq!(bench.stored(&key).await.last_used_at, Some(late));
    assert_eq!(bench.log_of(acme).await.len(), events);
}

pub(super) async fn an_expired_key_is_not_rotated(bench: Bench) {
    let acme = bench.organization("acme").await;
    let mut old = bench.new_key(acme, &[Scope::PublicApi]);
    let change = bench.change();
    old.key.expires_at = Some(change.at);
    bench
        .create_api_key(acme, old.clone(), bench.change())
        .await
        .unwrap();
    let new = bench.new_key(acme, &[Scope::PublicApi]);
    let rotated = bench
        .rotate_api_key(acme, old.key.id, change.at, new, change.clone())
        .await;
    assert!(
        matches!(rotated, Err(StoreError::NotFound(Missing::ApiKey))),
        "{rotated:?}"
    );
}
