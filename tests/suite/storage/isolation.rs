//! An organization reads and writes its own rows and no others.

use userbridge::{
    domain::{MemberLookup, Scope},
    storage::StoreError,
};

use super::bench::{Bench, all};

const SALLY: &str = "sally@acme.example.com";

pub(super) async fn what_another_organization_has_is_not_found(bench: Bench) {
    let (acme, globex) = (
        bench.organization("acme").await,
        bench.organization("globex").await,
    );
    let key = bench.public_key(acme).await;
    let sally = bench.link(acme, SALLY).await;
    let (log, own_log) = (bench.log_of(globex).await, bench.log_of(acme).await);

    let by_id = MemberLookup::UserId(sally.user_id);
    let by_email = MemberLookup::Email(SALLY.to_owned());
    assert_eq!(bench.member(globex, by_id.clone()).await.unwrap(), None);
    assert_eq!(bench.member(globex, by_email).await.unwrap(), None);
    assert_eq!(bench.members(globex, all()).await.unwrap(), []);
    assert_eq!(bench.api_keys(globex, all()).await.unwrap(), []);
    assert!(
        !bench
            .revoke_member(globex, sally.user_id, bench.change())
            .await
            .unwrap()
    );
    assert!(
        !bench
            .revoke_api_key(globex, key.key.id, bench.change())
            .await
            .unwrap()
    );
    let new = bench.new_key(globex, &[Scope::PublicApi]);
    let rotated = bench
        .rotate_api_key(globex, key.key.id, bench.tick(), new, bench.change())
        .await;
    assert!(matches!(rotated, Err(StoreError::NotFound(_))), "{rotated:?}");

    // And nothing of it has left a trace.
    assert_eq!(bench.log_of(globex).await, log);
    assert_eq!(bench.log_of(acme).await, own_log);
    assert_eq!(bench.stored(&key).await, key.key);
    assert_eq!(bench.member(acme, by_id).await.unwrap(), Some(sally));
}

pub(super) async fn revoking_in_one_organization_leaves_the_other(bench: Bench) {
    let (acme, globex) = (
        bench.organization("acme").await,
        bench.organization("globex").await,
    );
    let here = bench.link(acme, SALLY).await;
    let there = bench.link(globex, SALLY).await;
    assert!(
        bench
            .revoke_member(acme, here.user_id, bench.change())
            .await
            .unwrap()
    );
    for lookup in [
        MemberLookup::UserId(here.user_id),
        MemberLookup::Email(SALLY.to_owned()),
    ] {
        assert_eq!(bench.member(acme, lookup.clone()).await.unwrap(), None);
        let left = bench.member(globex, lookup).await.unwrap();
        assert_eq!(left.as_ref(), Some(&there));
    }
}

pub(super) async fn a_lookup_by_key_stays_in_the_organization_of_the_key(bench: Bench) {
    let (acme, globex) = (
        bench.organization("acme").await,
        bench.organization("globex").await,
    );
    let (here_key, there_key) = (bench.public_key(acme).await, bench.public_key(globex).await);
    let here = bench.link(acme, SALLY).await;
    let only_there = bench.link(globex, "tom@globex.example.com").await;
    let there = bench.link(globex, SALLY).await;
    for lookup in [
        MemberLookup::UserId(here.user_id),
        MemberLookup::Email(SALLY.to_owned()),
    ] {
        let found = bench
            .key_and_member(here_key.digest, lookup.clone())
            .await
            .unwrap();
        assert_eq!(found.member.as_ref(), Some(&here));
        let found = bench.key_and_member(there_key.digest, lookup).await.unwrap();
        assert_eq!(found.member.as_ref(), Some(&there));
    }
    for lookup in [
        MemberLookup::UserId(only_there.user_id),
        MemberLookup::Email("tom@globex.example.com".to_owned()),
    ] {
        let found = bench.key_and_member(here_key.digest, lookup).await.unwrap();
        assert_eq!((found.key, found.member), (Some(here_key.key.clone()), None));
    }
}
