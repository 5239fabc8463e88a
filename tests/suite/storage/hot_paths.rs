//! The two paths that engines write for themselves do what the rules do.

use userbridge::domain::{
    Change, Event, Member, MemberFilter, MemberLookup, MemberPatch, MemberRef, OrganizationId, PublicMember,
    Role, Scope, Timestamp,
};

use super::{
    fixture::Fixture,
    people::{address, set, values},
};
use crate::support::Count as _;

/// End users, staff, both, and who was each of them.
fn people() -> [(&'static str, MemberPatch); 3] {
    [
        ("end", MemberPatch::default()),
        ("staff", values! { role: Some(Role::Owner) }),
        (
            "both",
            values! { role: Some(Role::Editor), portal_role: set("partner") },
        ),
    ]
}

impl Fixture {
    /// Makes an organization of all kinds of people, and returns a live and a revoked one of each. Another live one of each
    /// stays beside them: a count below zero would read as 0, and one that is too low pass for right.
    async fn populated(&self, slug: &str) -> (OrganizationId, Vec<Member>) {
        let organization = self.organization(slug).await;
        let mut members = Vec::new();
        for (name, values) in people() {
            self.person(organization, values.clone()).await;
            for ended in [false, true] {
                let email = address(&format!("{name}-{ended}@{slug}.example.com")).email;
                let member = self
                    .person(
                        organization,
                        MemberPatch {
                            email,
                            ..values.clone()
                        },
                    )
                    .await;
                members.push(member);
            }
        }
        for member in members.iter().skip(1).step_by(2) {
            self.revoke(organization, member).await.unwrap();
        }
        (organization, members)
    }

    /// What is left of the members, of the counts and of the log: without what differs between two organizations.
    async fn seen(&self, organization: OrganizationId, members: &[Member], at: Timestamp) -> Vec<String> {
        let mut seen = Vec::new();
        for member in members {
            let now = self.now(organization, member).await;
            let (access, portal_role) = (now.access, now.profile.portal_role);
            let (ended, changed) = (now.revoked_at.map(|time| time == at), now.updated_at == at);
            let (number, version) = (now.number.0, now.version);
            seen.push(format!(
                "{number} {access:?} {portal_role:?} {version} {ended:?} {changed}"
            ));
        }
        for role in [None, Some(Role::Owner), Some(Role::Editor)] {
            let filter = MemberFilter {
                roles: vec![role],
                ..MemberFilter::default()
            };
            let count = self.count_members(organization, filter).await.unwrap();
            seen.push(format!("{role:?} {count}"));
        }
        for event in self.log_of(organization).await {
            let Event {
                sequence,
                kind,
                actor,
                source,
                fields,
                ..
            } = event;
            seen.push(format!("{sequence} {kind} {actor} {source:?} {fields:?}"));
        }
        seen
    }
}

pub(super) async fn an_integrators_delete_does_what_the_rules_do(fixture: Fixture) {
    let (fast, of_fast) = fixture.populated("fast").await;
    let (plain, of_plain) = fixture.populated("plain").await;
    let at = fixture.tick();
    let change = || Change {
        at,
        ..fixture.change()
    };
    for (one, other) in of_fast.iter().zip(&of_plain) {
        let made = fixture
            .storage()
            .revoke_user(fast, one.user_id, change())
            .await
            .unwrap();
        // The rule, by the changes that anybody may make: an end user's link ends, unless there is a role to keep it.
        let is_end_user = other.is_live() && other.profile.portal_role.is_some();
        let found = fixture
            .storage()
            .member(plain, MemberRef::UserId(other.user_id), false);
        let found = found.await.unwrap().filter(|_| is_end_user);
        assert_eq!(made, found.is_some(), "{:?}", one.profile.email);
        match found {
            None => {}
            Some(found) if found.access.role.is_none() => {
                let revoke = fixture.storage().revoke_member(plain, found.id, None, change());
                revoke.await.unwrap();
            }
            Some(found) => {
                let patch = values! { portal_role: None };
                let update = fixture
                    .storage()
                    .update_member(plain, found.id, patch, None, change());
                update.await.unwrap();
            }
        }
    }
    assert_eq!(
        fixture.seen(fast, &of_fast, at).await,
        fixture.seen(plain, &of_plain, at).await
    );
}

pub(super) async fn a_lookup_by_key_finds_what_the_rules_find(fixture: Fixture) {
    let (acme, members) = fixture.populated("acme").await;
    let (globex, strangers) = fixture.populated("globex").await;
    let keys = [
        (acme, fixture.public_key(acme).await),
        (globex, fixture.new_key(globex, &[Scope::Admin])),
    ];
    let (_, stored) = &keys[1];
    fixture
        .create_api_key(globex, stored.clone(), fixture.change())
        .await
        .unwrap();
    for (organization, key) in keys {
        for member in members.iter().chain(&strangers) {
            let email = member.profile.email.clone().unwrap();
            for (lookup, reference) in [
                (
                    MemberLookup::UserId(member.user_id),
                    MemberRef::UserId(member.user_id),
                ),
                (
                    MemberLookup::Email(email.to_string()),
                    MemberRef::Email(email.clone()),
                ),
            ] {
                let found = fixture.key_and_member(key.digest, lookup).await.unwrap();
                // The rule: the live member of the key's own organization, if it is an end user.
                let expected = fixture
                    .storage()
                    .member(organization, reference, false)
                    .await
                    .unwrap();
                let expected = expected.filter(|member| member.profile.portal_role.is_some());
                assert_eq!(found.member, expected.map(PublicMember::from));
                let by_digest = fixture.api_key_by_digest(key.digest).await.unwrap();
                let by_id = fixture
                    .storage()
                    .api_key(Some(organization), key.key.id)
                    .await
                    .unwrap();
                assert_eq!((&found.key, &by_digest), (&by_id, &by_id));
                assert_eq!(by_id.as_ref(), Some(&key.key));
            }
        }
    }
}
