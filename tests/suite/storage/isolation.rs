//! An organization reads and writes its own rows and no others.

use userbridge::{
    domain::{MemberLookup, Scope},
    service::ServiceError,
};

use super::fixture::{Fixture, all};

const SALLY: &str = "sally@acme.example.com";

pub(super) async fn what_another_organization_has_is_not_found(fixture: Fixture) {
    let (acme, globex) = (
        fixture.organization("acme").await,
        fixture.organization("globex").await,
    );
    let key = fixture.public_key(acme).await;
    let sally = fixture.link(acme, SALLY).await;
    let (log, own_log) = (fixture.log_of(globex).await, fixture.log_of(acme).await);

    let by_id = MemberLookup::UserId(sally.user_id);
    let by_email = MemberLookup::Email(SALLY.to_owned());
    assert_eq!(fixture.member(globex, by_id.clone()).await.unwrap(), None);
    assert_eq!(fixture.member(globex, by_email).await.unwrap(), None);
    assert_eq!(fixture.members(globex, all()).await.unwrap(), []);
    assert_eq!(fixture.api_keys(globex, all()).await.unwrap(), []);
    assert!(
        !fixture
            .revoke_member(globex, sally.user_id, fixture.change())
            .await
            .unwrap()
    );
    assert!(
        !fixture
            .revoke_api_key(globex, key.key.id, fixture.change())
            .await
            .unwrap()
    );
    let new = fixture.new_key(globex, &[Scope::PublicApi]);
    let rotated = fixture
        .rotate_api_key(globex, key.key.id, fixture.tick(), new, fixture.change())
        .await;
    assert!(matches!(rotated, Err(ServiceError::NotFound(_))), "{rotated:?}");

    // And nothing of it has left a trace.
    assert_eq!(fixture.log_of(globex).await, log);
    assert_eq!(fixture.log_of(acme).await, own_log);
    assert_eq!(fixture.stored(&key).await, key.key);
    assert_eq!(fixture.member(acme, by_id).await.unwrap(), Some(sally));
}

pub(super) async fn revoking_in_one_organization_leaves_the_other(fixture: Fixture) {
    let (acme, globex) = (
        fixture.organization("acme").await,
        fixture.organization("globex").await,
    );
    let here = fixture.link(acme, SALLY).await;
    let there = fixture.link(globex, SALLY).await;
    assert!(
        fixture
            .revoke_member(acme, here.user_id, fixture.change())
            .await
            .unwrap()
    );
    for lookup in [
        MemberLookup::UserId(here.user_id),
        MemberLookup::Email(SALLY.to_owned()),
    ] {
        assert_eq!(fixture.member(acme, lookup.clone()).await.unwrap(), None);
        let left = fixture.member(globex, lookup).await.unwrap();
        assert_eq!(left.as_ref(), Some(&there));
    }
}

pub(super) async fn a_lookup_by_key_stays_in_the_organization_of_the_key(fixture: Fixture) {
    let (acme, globex) = (
        fixture.organization("acme").await,
        fixture.organization("globex").await,
    );
    let (here_key, there_key) = (fixture.public_key(acme).await, fixture.public_key(globex).await);
    let here = fixture.link(acme, SALLY).await;
    let only_there = fixture.link(globex, "tom@globex.example.com").await;
    let there = fixture.link(globex, SALLY).await;
    for lookup in [
        MemberLookup::UserId(here.user_id),
        MemberLookup::Email(SALLY.to_owned()),
    ] {
        let found = fixture
            .key_and_member(here_key.digest, lookup.clone())
            .await
            .unwrap();
        assert_eq!(found.member.as_ref(), Some(&here.clone().into()));
        let found = fixture.key_and_member(there_key.digest, lookup).await.unwrap();
        assert_eq!(found.member.as_ref(), Some(&there.clone().into()));
    }
    for lookup in [
        MemberLookup::UserId(only_there.user_id),
        MemberLookup::Email("tom@globex.example.com".to_owned()),
    ] {
        let found = fixture.key_and_member(here_key.digest, lookup).await.unwrap();
        assert_eq!((found.key, found.member), (Some(here_key.key.clone()), None));
    }
}
