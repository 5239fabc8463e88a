//! API keys.

use crate::support::rules::NewApiKey;
use tokio::task::JoinSet;
use userbridge::{
    domain::{
        ApiKey, ApiKeyId, Change, Conflict, EventQuery, Idempotency, Idempotent, KeyDigest, MemberLookup,
        PageRequest, Resource, Scope, Timestamp,
    },
    service::ServiceError,
};

use super::fixture::{Fixture, all};

pub(super) async fn a_key_comes_back_as_it_was_stored(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let mut new = fixture.new_key(acme, &[Scope::Admin, Scope::PublicApi, Scope::DirectoryWrite]);
    new.key.expires_at = Some(Timestamp::from_millis(4_102_444_800_123));
    fixture
        .create_api_key(acme, new.clone(), fixture.change())
        .await
        .unwrap();
    assert_eq!(fixture.stored(&new).await, new.key);
    assert_eq!(fixture.api_keys(acme, all()).await.unwrap(), [new.key.clone()]);
    assert_eq!(
        fixture
            .api_key_by_digest(KeyDigest::of("pb_other"))
            .await
            .unwrap(),
        None
    );
    assert_eq!(fixture.api_key_by_digest(KeyDigest::of("")).await.unwrap(), None);
}

pub(super) async fn an_organization_has_one_current_public_key(fixture: Fixture) {
    let (acme, globex) = (
        fixture.organization("acme").await,
        fixture.organization("globex").await,
    );
    fixture.public_key(acme).await;
    for scopes in [&[Scope::PublicApi][..], &[Scope::Admin, Scope::PublicApi]] {
        let second = fixture.new_key(acme, scopes);
        assert_conflict(
            &fixture
                .create_api_key(acme, second.clone(), fixture.change())
                .await,
        );
        assert_eq!(fixture.api_key_by_digest(second.digest).await.unwrap(), None);
    }
    for _ in 0..2 {
        let other = fixture.new_key(acme, &[Scope::Admin, Scope::DirectoryRead]);
        fixture
            .create_api_key(acme, other, fixture.change())
            .await
            .unwrap();
    }
    fixture.public_key(globex).await;
}

pub(super) async fn of_many_public_keys_made_at_once_one_is_stored(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let mut racers = JoinSet::new();
    for _ in 0..20 {
        let fixture = fixture.clone();
        racers.spawn(async move {
            let key = fixture.new_key(acme, &[Scope::PublicApi]);
            fixture.create_api_key(acme, key, fixture.change()).await
        });
    }
    let results = racers.join_all().await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    results
        .iter()
        .filter(|result| result.is_err())
        .for_each(assert_conflict);
    assert_eq!(fixture.api_keys(acme, all()).await.unwrap().len(), 1);
}

pub(super) async fn a_revoked_public_key_makes_room_for_another(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let old = fixture.public_key(acme).await;
    fixture
        .revoke_api_key(acme, old.key.id, fixture.change())
        .await
        .unwrap();
    let new = fixture.public_key(acme).await;
    let now = fixture.tick();
    assert!(!fixture.stored(&old).await.is_active(now));
    assert!(fixture.stored(&new).await.is_active(now));
}

pub(super) async fn an_expired_public_key_makes_room_for_another(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let end = Timestamp::from_millis(fixture.tick().as_millis() + 1_000_000);
    let mut old = fixture.new_key(acme, &[Scope::PublicApi]);
    old.key.expires_at = Some(end);
    fixture
        .create_api_key(acme, old.clone(), fixture.change())
        .await
        .unwrap();

    let new = fixture.new_key(acme, &[Scope::PublicApi]);
    let at = |millis: i64| Change {
        at: Timestamp::from_millis(end.as_millis() + millis),
        ..fixture.change()
    };
    assert_conflict(&fixture.create_api_key(acme, new.clone(), at(-1)).await);
    fixture.create_api_key(acme, new.clone(), at(0)).await.unwrap();
    let stored = fixture.stored(&old).await;
    assert_eq!((stored.expires_at, stored.superseded_at), (Some(end), Some(end)));
    assert_conflict(
        &fixture
            .create_api_key(acme, fixture.new_key(acme, &[Scope::PublicApi]), at(1))
            .await,
    );
}

pub(super) async fn a_rotated_key_ends_when_it_is_told_to(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let old = fixture.public_key(acme).await;
    let new = fixture.new_key(acme, &[Scope::PublicApi]);
    let end = Timestamp::from_millis(fixture.tick().as_millis() + 1000);
    let change = fixture.change();
    fixture
        .rotate_api_key(acme, old.key.id, end, new.clone(), change.clone())
        .await
        .unwrap();
    let made = ApiKey {
        created_at: change.at,
        ..new.key.clone()
    };
    assert_eq!(fixture.stored(&new).await, made);
    let stored = fixture.stored(&old).await;
    assert_eq!((stored.expires_at, stored.revoked_at), (Some(end), None));
    assert!(stored.is_active(Timestamp::from_millis(end.as_millis() - 1)));
    assert!(!stored.is_active(end));
    // The new one is the current one, and only it.
    assert_conflict(
        &fixture
            .create_api_key(acme, fixture.new_key(acme, &[Scope::PublicApi]), fixture.change())
            .await,
    );
}

pub(super) async fn a_rotated_key_ends_no_later_than_it_would_have(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let end = Timestamp::from_millis(fixture.tick().as_millis() + 1000);
    let mut old = fixture.new_key(acme, &[Scope::PublicApi]);
    old.key.expires_at = Some(end);
    fixture
        .create_api_key(acme, old.clone(), fixture.change())
        .await
        .unwrap();
    let later = Timestamp::from_millis(end.as_millis() + 1);
    let new = fixture.new_key(acme, &[Scope::PublicApi]);
    fixture
        .rotate_api_key(acme, old.key.id, later, new, fixture.change())
        .await
        .unwrap();
    assert_eq!(fixture.stored(&old).await.expires_at, Some(end));
}

pub(super) async fn a_key_is_rotated_once(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let old = fixture.public_key(acme).await;
    let end = Timestamp::from_millis(i64::MAX);
    let new = fixture.new_key(acme, &[Scope::PublicApi]);
    fixture
        .rotate_api_key(acme, old.key.id, end, new.clone(), fixture.change())
        .await
        .unwrap();
    let third = fixture.new_key(acme, &[Scope::PublicApi]);
    let again = fixture
        .rotate_api_key(acme, old.key.id, end, third.clone(), fixture.change())
        .await;
    assert!(matches!(again, Err(ServiceError::NotFound(_))), "{again:?}");
    assert_eq!(fixture.api_key_by_digest(third.digest).await.unwrap(), None);
    fixture
        .rotate_api_key(acme, new.key.id, end, third, fixture.change())
        .await
        .unwrap();
}

pub(super) async fn a_revoked_key_is_not_rotated(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let old = fixture.public_key(acme).await;
    fixture
        .revoke_api_key(acme, old.key.id, fixture.change())
        .await
        .unwrap();
    let before = fixture.stored(&old).await;
    let new = fixture.new_key(acme, &[Scope::PublicApi]);
    let unknown = ApiKeyId::from_uuid(*new.key.id.as_uuid());
    for id in [old.key.id, unknown] {
        let result = fixture
            .rotate_api_key(acme, id, fixture.tick(), new.clone(), fixture.change())
            .await;
        assert!(matches!(result, Err(ServiceError::NotFound(_))), "{result:?}");
    }
    assert_eq!(fixture.stored(&old).await, before);
    assert_eq!(fixture.api_keys(acme, all()).await.unwrap().len(), 1);
}

pub(super) async fn of_many_rotations_at_once_one_happens(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let old = fixture.public_key(acme).await.key.id;
    let mut racers = JoinSet::new();
    for _ in 0..20 {
        let fixture = fixture.clone();
        racers.spawn(async move {
            let new = fixture.new_key(acme, &[Scope::PublicApi]);
            fixture
                .rotate_api_key(acme, old, fixture.tick(), new, fixture.change())
                .await
        });
    }
    let results = racers.join_all().await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert!(
        results
            .iter()
            .all(|result| matches!(result, Ok(()) | Err(ServiceError::NotFound(_))))
    );
    assert_eq!(fixture.api_keys(acme, all()).await.unwrap().len(), 2);
}

pub(super) async fn a_rotation_that_fails_leaves_the_old_key_as_it_was(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    fixture.public_key(acme).await;
    let old = fixture.new_key(acme, &[Scope::Admin]);
    fixture
        .create_api_key(acme, old.clone(), fixture.change())
        .await
        .unwrap();
    let events = fixture.log_of(acme).await.len();

    let mut expired = fixture.new_key(acme, &[Scope::Admin]);
    expired.key.expires_at = Some(fixture.tick());
    let rotated = fixture
        .rotate_api_key(acme, old.key.id, fixture.tick(), expired, fixture.change())
        .await;
    assert!(
        matches!(rotated, Err(ServiceError::ExpiresInThePast)),
        "{rotated:?}"
    );
    assert_eq!(fixture.stored(&old).await, old.key);
    assert_eq!(fixture.log_of(acme).await.len(), events);
    let new = fixture.new_key(acme, &[Scope::Admin]);
    fixture
        .rotate_api_key(acme, old.key.id, fixture.tick(), new, fixture.change())
        .await
        .unwrap();
}

pub(super) async fn a_key_is_revoked_once(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let key = fixture.public_key(acme).await;
    let change = fixture.change();
    assert!(
        fixture
            .revoke_api_key(acme, key.key.id, change.clone())
            .await
            .unwrap()
    );
    assert!(
        !fixture
            .revoke_api_key(acme, key.key.id, fixture.change())
            .await
            .unwrap()
    );
    let stored = fixture.stored(&key).await;
    assert_eq!(stored.revoked_at, Some(change.at));
    assert!(!stored.is_active(change.at));
    let unknown = fixture.new_key(acme, &[]).key.id;
    assert!(
        !fixture
            .revoke_api_key(acme, unknown, fixture.change())
            .await
            .unwrap()
    );
}

pub(super) async fn a_rotated_key_can_be_revoked_before_its_time(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let old = fixture.public_key(acme).await;
    let new = fixture.new_key(acme, &[Scope::PublicApi]);
    let end = Timestamp::from_millis(i64::MAX);
    fixture
        .rotate_api_key(acme, old.key.id, end, new.clone(), fixture.change())
        .await
        .unwrap();
    assert!(
        fixture
            .revoke_api_key(acme, old.key.id, fixture.change())
            .await
            .unwrap()
    );
    let now = fixture.tick();
    assert!(!fixture.stored(&old).await.is_active(now));
    assert!(fixture.stored(&new).await.is_active(now));
}

pub(super) async fn keys_come_in_the_order_they_were_made(fixture: Fixture) {
    let (acme, globex) = (
        fixture.organization("acme").await,
        fixture.organization("globex").await,
    );
    let mut made: Vec<NewApiKey> = Vec::new();
    for index in 0..8 {
        let key = fixture.new_key(acme, &[Scope::DirectoryRead]);
        fixture
            .create_api_key(acme, key.clone(), fixture.change())
            .await
            .unwrap();
        fixture
            .create_api_key(globex, fixture.new_key(globex, &[Scope::Admin]), fixture.change())
            .await
            .unwrap();
        if index % 3 == 0 {
            fixture
                .revoke_api_key(acme, key.key.id, fixture.change())
                .await
                .unwrap();
        }
        made.push(key);
    }
    let mut seen = Vec::new();
    loop {
        let after = seen.last().copied();
        let page = fixture
            .api_keys(acme, PageRequest { after, limit: 3 })
            .await
            .unwrap();
        assert!(page.len() <= 3);
        if page.is_empty() {
            break;
        }
        seen.extend(page.iter().map(|key| key.id));
    }
    assert!(seen.iter().eq(made.iter().map(|new| &new.key.id)));
}

fn assert_conflict(result: &Result<(), ServiceError>) {
    assert!(
        matches!(result, Err(ServiceError::Conflict(Conflict::PublicKey))),
        "{result:?}"
    );
}

pub(super) async fn keys_of_no_organization_are_a_set_of_their_own(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let of_acme = fixture.public_key(acme).await;
    let mut new = fixture.new_key(acme, &[Scope::Admin]);
    let made = fixture
        .storage()
        .create_api_key(None, new.clone(), Idempotency::never(), fixture.change())
        .await;
    new.key.organization_id = None;
    assert!(matches!(made, Ok(Idempotent::Fresh(key)) if key == new.key));
    assert_eq!(fixture.stored(&new).await, new.key);
    let listed = fixture.storage().api_keys(None, all()).await.unwrap();
    assert_eq!(listed, [new.key.clone()]);
    assert_eq!(fixture.api_keys(acme, all()).await.unwrap(), [of_acme.key]);
    assert_eq!(
        fixture.storage().api_key(Some(acme), new.key.id).await.unwrap(),
        None
    );
    let found = fixture.storage().api_key(None, new.key.id).await.unwrap();
    assert_eq!(found, Some(new.key.clone()));
    // It finds no member, because it has no organization.
    let sally = fixture.link(acme, "sally@acme.example.com").await;
    let lookup = MemberLookup::UserId(sally.user_id);
    let found = fixture.key_and_member(new.digest, lookup).await.unwrap();
    assert_eq!((found.key, found.member), (Some(new.key.clone()), None));
    assert!(
        !fixture
            .revoke_api_key(acme, new.key.id, fixture.change())
            .await
            .unwrap()
    );
    assert!(
        fixture
            .storage()
            .revoke_api_key(None, new.key.id, fixture.change())
            .await
            .unwrap()
    );
    // They have a log of their own.
    let query = EventQuery {
        limit: 10,
        ..EventQuery::default()
    };
    let log = fixture.storage().events(None, query).await.unwrap();
    let kinds: Vec<_> = log
        .iter()
        .map(|event| (event.sequence, event.organization_id, event.kind.as_str()))
        .collect();
    assert_eq!(
        kinds,
        [(1, None, "api_key.created"), (2, None, "api_key.revoked")]
    );
}

pub(super) async fn when_a_key_was_used_is_kept_and_is_no_event(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let key = fixture.public_key(acme).await;
    let events = fixture.log_of(acme).await.len();
    let (early, late) = (fixture.tick(), fixture.tick());
    let unknown = fixture.new_key(acme, &[]).key.id;
    for at in [late, early] {
        let uses = vec![
            (Some(acme), unknown, at),
            (None, key.key.id, at),
            (Some(acme), key.key.id, at),
        ];
        fixture.record_key_use(uses).await.unwrap();
    }
    assert_eq!(fixture.stored(&key).await.last_used_at, Some(late));
    assert_eq!(fixture.log_of(acme).await.len(), events);
}

pub(super) async fn an_expired_key_is_not_rotated(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let mut old = fixture.new_key(acme, &[Scope::PublicApi]);
    let made = fixture.change();
    let change = fixture.change();
    old.key.expires_at = Some(change.at);
    fixture.create_api_key(acme, old.clone(), made).await.unwrap();
    let new = fixture.new_key(acme, &[Scope::PublicApi]);
    let rotated = fixture
        .rotate_api_key(acme, old.key.id, change.at, new, change.clone())
        .await;
    assert!(
        matches!(rotated, Err(ServiceError::NotFound(Resource::ApiKey))),
        "{rotated:?}"
    );
}
