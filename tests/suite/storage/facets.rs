//! The two facets of a member: end user, staff, or both; never neither.

use tokio::task::JoinSet;
use userbridge::{
    domain::{
        EventKind, LinkOutcome, Member, MemberFilter, MemberLookup, MemberPatch, OrganizationId, PortalRole,
        Precondition, Role,
    },
    service::ServiceError,
};

use super::{
    fixture::Fixture,
    people::{address, assert_fails, numbers, set, values},
};

const SALLY: &str = "sally@acme.example.com";

/// The portal role and the role of a member.
fn facets(entry: &Member) -> (Option<&str>, Option<Role>) {
    let portal_role = entry.profile.portal_role.as_ref();
    (portal_role.map(PortalRole::as_str), entry.access.role)
}

fn editor() -> MemberPatch {
    values! { role: Some(Role::Editor) }
}

fn partner() -> MemberPatch {
    values! { portal_role: set("partner") }
}

fn both() -> MemberPatch {
    values! { portal_role: set("partner"), role: Some(Role::Editor) }
}

/// The event's kind and fields.
async fn last(fixture: &Fixture, organization: OrganizationId) -> (EventKind, Vec<String>) {
    let event = fixture.last_event(organization).await;
    (event.kind, event.fields)
}

pub(super) async fn a_link_makes_an_end_user_or_staff_or_both(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    for (values, expected, fields) in [
        (
            values! {},
            (Some("end_user"), None),
            &["portal_role", "source"][..],
        ),
        (partner(), (Some("partner"), None), &["portal_role", "source"]),
        (editor(), (None, Some(Role::Editor)), &["role", "source"]),
        (
            both(),
            (Some("partner"), Some(Role::Editor)),
            &["portal_role", "role", "source"],
        ),
    ] {
        let entry = fixture.person(acme, values).await;
        assert_eq!(facets(&entry), expected);
        assert_eq!(fixture.now(acme, &entry).await, entry);
        let fields = fields.iter().map(|field| (*field).to_owned()).collect();
        assert_eq!(last(&fixture, acme).await, (EventKind::MemberLinked, fields));
    }
}

/// Every kind of member linked again in every way.
pub(super) async fn a_link_of_the_other_kind_adds_the_facet_and_keeps_the_ids(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let kinds: [fn() -> MemberPatch; 4] = [|| values! {}, partner, editor, both];
    let mut people = 0;
    for first in kinds {
        for second in kinds {
            people += 1;
            let email = format!("{people}@acme.example.com");
            let before = fixture
                .person(
                    acme,
                    MemberPatch {
                        email: address(&email).email,
                        ..first()
                    },
                )
                .await;
            let again = fixture.link_with(MemberPatch {
                email: address(&email).email,
                ..second()
            });
            let again = fixture.link_as(acme, again).await.unwrap();
            let (portal_role, role) = facets(&before);
            let asked = second();
            let asked_role = asked.role.flatten();
            let expected = (
                match (&asked.portal_role, portal_role, asked_role) {
                    (Some(asked), ..) => asked.as_ref().map(PortalRole::as_str),
                    // The default overwrites nothing.
                    (None, Some(there), _) => Some(there),
                    (None, None, Some(_)) => None,
                    (None, None, None) => Some("end_user"),
                },
                asked_role.or(role),
            );
            assert_eq!(
                facets(&again.member),
                expected,
                "{:?} then {:?}",
                first(),
                second()
            );
            let changed = expected != facets(&before);
            assert_eq!(again.outcome == LinkOutcome::Updated, changed);
            assert_eq!(
                (again.member.id, again.member.user_id, again.member.number),
                (before.id, before.user_id, before.number)
            );
        }
    }
}

pub(super) async fn a_live_member_loses_either_facet_but_never_both(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let no_role = || values! { role: None };
    let no_portal_role = || values! { portal_role: None };
    let neither = || values! { portal_role: None, role: None };
    for (values, fatal) in [
        (partner(), vec![no_portal_role(), neither()]),
        (editor(), vec![no_role(), neither()]),
        (both(), vec![neither()]),
    ] {
        let entry = fixture.person(acme, values).await;
        let log = fixture.log_of(acme).await;
        for patch in fatal {
            assert_fails!(
                fixture.update(acme, &entry, patch).await,
                ServiceError::Precondition(Precondition::LastFacet)
            );
            assert_eq!(fixture.now(acme, &entry).await, entry);
        }
        assert_eq!(fixture.log_of(acme).await, log);
    }
    for (patch, left, field) in [
        (no_role(), (Some("partner"), None), "role"),
        (no_portal_role(), (None, Some(Role::Editor)), "portal_role"),
    ] {
        let entry = fixture.person(acme, both()).await;
        let entry = fixture.update(acme, &entry, patch).await.unwrap();
        assert_eq!(facets(&entry), left);
        assert_eq!(
            last(&fixture, acme).await,
            (EventKind::MemberUpdated, vec![field.to_owned()])
        );
    }
    // One taken for the other is a change like any.
    let entry = fixture.person(acme, editor()).await;
    let swap = values! { portal_role: set("partner"), role: None };
    let entry = fixture.update(acme, &entry, swap).await.unwrap();
    assert_eq!(facets(&entry), (Some("partner"), None));
    // Of the last owner that is told first.
    let owner = fixture.holder(acme, SALLY, Role::Owner).await;
    assert_fails!(
        fixture.update(acme, &owner, no_role()).await,
        ServiceError::Precondition(Precondition::LastOwner)
    );
}

pub(super) async fn a_lookup_by_key_finds_end_users_only(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let key = fixture.public_key(acme).await;
    let lookups = |entry: &Member| {
        let email = entry.profile.email.clone().unwrap();
        [
            MemberLookup::UserId(entry.user_id),
            MemberLookup::Email(email.into()),
        ]
    };
    let finds = async |entry: &Member| {
        let mut found = Vec::new();
        for lookup in lookups(entry) {
            let answer = fixture.key_and_member(key.digest, lookup).await.unwrap();
            assert_eq!(answer.key.as_ref(), Some(&key.key));
            found.push(answer.member);
        }
        found
    };
    for (index, (values, found)) in [(partner(), true), (editor(), false), (both(), true)]
        .into_iter()
        .enumerate()
    {
        let values = MemberPatch {
            email: address(&format!("{index}@acme.example.com")).email,
            ..values
        };
        let entry = fixture.person(acme, values).await;
        let expected: Option<userbridge::domain::PublicMember> = found.then(|| entry.clone().into());
        assert_eq!(finds(&entry).await, [expected.clone(), expected]);
        // What becomes one is found, and what was one is not.
        let entry = fixture.update(acme, &entry, both()).await.unwrap();
        assert_eq!(finds(&entry).await[0], Some(entry.clone().into()));
        let entry = fixture
            .update(acme, &entry, values! { portal_role: None })
            .await
            .unwrap();
        assert_eq!(finds(&entry).await, [None, None]);
    }
}

/// What an integrator's delete must do to a member: the rule that the batch of the hot path is held to. None: nothing.
fn deleted(before: &Member, after: &Member) -> Option<(Member, EventKind, &'static str)> {
    before.profile.portal_role.as_ref()?;
    let mut expected = before.clone();
    expected.version += 1;
    expected.updated_at = after.updated_at;
    if before.access.role.is_some() {
        expected.profile.portal_role = None;
        return Some((expected, EventKind::MemberUpdated, "portal_role"));
    }
    expected.revoked_at = Some(after.updated_at);
    Some((expected, EventKind::MemberRevoked, "revoked_at"))
}

/// Alone and all at once, each twice: the second of the same user finds nobody.
pub(super) async fn a_delete_ends_the_link_of_end_users_and_the_facet_of_staff(fixture: Fixture) {
    let roles = [None, Some(Role::Owner), Some(Role::Viewer)];
    for at_once in [false, true] {
        let acme = fixture.organization(&format!("acme-{at_once}")).await;
        let mut people = Vec::new();
        for index in 0..60 {
            let values = values! {
                email: set(&format!("{index}@acme.example.com")),
                role: roles[index % 3],
            };
            let values = match index % 4 {
                0 => values,
                _ => MemberPatch {
                    portal_role: partner().portal_role,
                    ..values
                },
            };
            people.push(fixture.person(acme, values).await);
        }
        let before = fixture.log_of(acme).await.len();
        let mut deletes = JoinSet::new();
        let mut results = Vec::new();
        for round in 0..2 {
            for (index, person) in people.iter().enumerate() {
                let (fixture, user) = (fixture.clone(), person.user_id);
                let delete = async move {
                    let change = fixture.change();
                    let storage = fixture.storage();
                    (index, storage.revoke_user(acme, user, change).await.unwrap())
                };
                if at_once {
                    deletes.spawn(delete);
                } else {
                    let (_, found) = delete.await;
                    results.push((index, found));
                    assert!(round == 0 || !found, "{person:?}");
                }
            }
        }
        results.extend(deletes.join_all().await);
        let log = fixture.log_of(acme).await.split_off(before);
        let mut changed = 0;
        for (index, person) in people.iter().enumerate() {
            let found = results.iter().filter(|result| **result == (index, true)).count();
            let after = fixture.now(acme, person).await;
            let events: Vec<_> = log
                .iter()
                .filter(|event| event.member_id == Some(person.id))
                .map(|event| (event.kind, &event.fields[..], event.user_id, event.at))
                .collect();
            match deleted(person, &after) {
                None => assert_eq!((found, &after, &events[..]), (0, person, &[][..])),
                Some((expected, kind, field)) => {
                    changed += 1;
                    assert_eq!((found, &after), (1, &expected));
                    let fields = [field.to_owned()];
                    let user = Some(person.user_id);
                    assert_eq!(events, [(kind, &fields[..], user, after.updated_at)]);
                }
            }
        }
        assert_eq!(log.len(), changed);
        let owners = MemberFilter {
            roles: vec![Some(Role::Owner)],
            ..MemberFilter::default()
        };
        assert_eq!(fixture.filtered(acme, owners).await.len(), 20);
        let everybody = fixture.filtered(acme, MemberFilter::default()).await.len();
        let end_users = people
            .iter()
            .filter(|person| person.access.role.is_none())
            .count();
        assert_eq!(everybody, people.len() - end_users);
    }
}

pub(super) async fn restoring_brings_the_facets_back_and_erasing_takes_both(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    for values in [partner(), editor(), both()] {
        let entry = fixture.person(acme, values).await;
        fixture.revoke(acme, &entry).await.unwrap();
        let restored = fixture.restore(acme, &entry).await.unwrap();
        assert_eq!(facets(&restored), facets(&entry));
        fixture.erase(acme, &entry).await.unwrap();
        assert_eq!(facets(&fixture.now(acme, &entry).await), (None, None));
    }
    // Deleted as an end user, revoked, restored: still staff only.
    let entry = fixture
        .person(
            acme,
            MemberPatch {
                email: address(SALLY).email,
                ..both()
            },
        )
        .await;
    let change = fixture.change();
    let deleted = fixture.storage().revoke_user(acme, entry.user_id, change).await;
    assert!(deleted.unwrap());
    fixture.revoke(acme, &entry).await.unwrap();
    let restored = fixture.restore(acme, &entry).await.unwrap();
    assert_eq!(facets(&restored), (None, Some(Role::Editor)));
}

pub(super) async fn end_users_are_listed_apart_from_those_who_are_only_staff(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    for values in [partner(), editor(), both(), values! {}] {
        fixture.person(acme, values).await;
    }
    for (end_user, expected) in [
        (Some(true), &[1, 3, 4][..]),
        (Some(false), &[2]),
        (None, &[1, 2, 3, 4]),
    ] {
        let filter = MemberFilter {
            end_user,
            ..MemberFilter::default()
        };
        assert_eq!(numbers(&fixture.filtered(acme, filter).await), expected);
    }
}
