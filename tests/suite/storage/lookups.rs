//! The hot path: key and member in one step, many at once.

use std::time::Duration;

use crate::support::rules::NewApiKey;
use tokio::{task::JoinSet, time::timeout};
use userbridge::domain::{KeyDigest, Member, MemberLookup};

use super::fixture::Fixture;

const SALLY: &str = "sally@acme.example.com";

pub(super) async fn a_lookup_by_key_finds_the_key_and_the_member(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let key = fixture.public_key(acme).await;
    let sally = fixture.link(acme, SALLY).await;
    for lookup in [
        MemberLookup::UserId(sally.user_id),
        MemberLookup::Email(SALLY.to_owned()),
    ] {
        let found = fixture.key_and_member(key.digest, lookup.clone()).await.unwrap();
        assert_eq!(
            (found.key, found.member),
            (Some(key.key.clone()), Some(sally.clone().into()))
        );
        let found = fixture
            .key_and_member(KeyDigest::of("pb_other"), lookup)
            .await
            .unwrap();
        assert_eq!((found.key, found.member), (None, None));
    }
    // A dead key is found too: what it may do is for the caller to decide.
    let change = fixture.change();
    fixture
        .revoke_api_key(acme, key.key.id, change.clone())
        .await
        .unwrap();
    let lookup = MemberLookup::UserId(sally.user_id);
    let found = fixture.key_and_member(key.digest, lookup).await.unwrap();
    assert_eq!(found.key.unwrap().revoked_at, Some(change.at));
}

/// Keys of two organizations and one that does not exist; members of each, some of them of both.
struct Crowd {
    keys: Vec<(KeyDigest, Option<NewApiKey>)>,
    members: Vec<(usize, Member)>,
}

impl Crowd {
    async fn new(fixture: &Fixture) -> Self {
        let mut keys = vec![(KeyDigest::of("pb_unknown"), None)];
        let mut members = Vec::new();
        for (index, slug) in ["acme", "globex"].into_iter().enumerate() {
            let organization = fixture.organization(slug).await;
            let key = fixture.public_key(organization).await;
            keys.push((key.digest, Some(key)));
            for person in 0..8 {
                // Half of them are in both.
                let email = if person % 2 == 0 {
                    format!("{person}@both.example.com")
                } else {
                    format!("{person}@{slug}.example.com")
                };
                members.push((index + 1, fixture.link(organization, &email).await));
            }
        }
        Self { keys, members }
    }

    /// Whom a key must find under what `of` is known by.
    fn expected(&self, key: usize, of: &Member, by_email: bool) -> Option<&Member> {
        self.members
            .iter()
            .find(|(owner, member)| {
                let same = if by_email {
                    member.profile.email == of.profile.email
                } else {
                    member.user_id == of.user_id
                };
                *owner == key && same
            })
            .map(|(_, member)| member)
    }
}

pub(super) async fn many_lookups_at_once_each_get_their_own_answer(fixture: Fixture) {
    let crowd = Crowd::new(&fixture).await;
    let mut asked = JoinSet::new();
    // More than fit one statement, and every question several times over.
    for round in 0..4 {
        for key in 0..crowd.keys.len() {
            for (_, of) in &crowd.members {
                for by_email in [false, true] {
                    let (digest, stored) = crowd.keys[key].clone();
                    let expected_key = stored.map(|new| new.key);
                    let expected = crowd.expected(key, of, by_email).cloned();
                    let lookup = if by_email {
                        MemberLookup::Email(of.profile.email.clone().unwrap().into())
                    } else {
                        MemberLookup::UserId(of.user_id)
                    };
                    let fixture = fixture.clone();
                    asked.spawn(async move {
                        if round == 3 {
                            let found = fixture.api_key_by_digest(digest).await.unwrap();
                            return found == expected_key;
                        }
                        let found = fixture.key_and_member(digest, lookup).await.unwrap();
                        found.key == expected_key && found.member == expected.map(Into::into)
                    });
                }
            }
        }
    }
    let answers = asked.join_all().await;
    assert!(answers.len() > 300);
    assert_eq!(answers.iter().filter(|right| !**right).count(), 0);
}

pub(super) async fn a_lookup_sees_every_change_that_was_acknowledged_before(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let key = fixture.public_key(acme).await;
    let mut tasks = JoinSet::new();
    for worker in 0..8 {
        let fixture = fixture.clone();
        let digest = key.digest;
        tasks.spawn(async move {
            let email = format!("{worker}@acme.example.com");
            for _ in 0..10 {
                let member = fixture.link(acme, &email).await;
                let by_email = MemberLookup::Email(email.clone());
                let found = fixture.key_and_member(digest, by_email.clone()).await.unwrap();
                assert_eq!(found.member, Some(member.clone().into()));
                assert_eq!(
                    fixture.member(acme, by_email.clone()).await.unwrap(),
                    Some(member.clone())
                );
                fixture
                    .revoke_member(acme, member.user_id, fixture.change())
                    .await
                    .unwrap();
                let found = fixture.key_and_member(digest, by_email.clone()).await.unwrap();
                assert_eq!(found.member, None);
                assert_eq!(fixture.member(acme, by_email).await.unwrap(), None);
            }
        });
    }
    tasks.join_all().await;
}

pub(super) async fn lookups_whose_callers_went_away_harm_nobody(fixture: Fixture) {
    let crowd = Crowd::new(&fixture).await;
    let mut asked = JoinSet::new();
    for index in 0..300 {
        let (owner, member) = crowd.members[index % crowd.members.len()].clone();
        let digest = crowd.keys[owner].0;
        let fixture = fixture.clone();
        asked.spawn(async move {
            let answer = fixture.key_and_member(digest, MemberLookup::UserId(member.user_id));
            if index % 3 == 0 {
                // Asks, and leaves at the first chance.
                let _ = timeout(Duration::ZERO, answer).await;
            } else {
                assert_eq!(answer.await.unwrap().member, Some(member.into()));
            }
        });
    }
    asked.join_all().await;
}
