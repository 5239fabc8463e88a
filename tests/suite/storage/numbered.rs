//! Numbered pages, the counts they need, and links of those without a role alone.

use userbridge::{
    domain::{Conflict, MemberFilter, MemberQuery, OrganizationId, Role},
    service::ServiceError,
};

use super::{
    fixture::Fixture,
    lists::orders,
    people::{address, assert_fails, set, values},
};
use crate::support::Count as _;

/// No role, and each role.
const ROLES: [Option<Role>; 6] = [
    None,
    Some(Role::Owner),
    Some(Role::Admin),
    Some(Role::Editor),
    Some(Role::Viewer),
    Some(Role::RestrictedViewer),
];

/// That every set of roles is counted as it is listed.
async fn assert_counted(fixture: &Fixture, organization: OrganizationId) {
    for set in 0..1_u32 << ROLES.len() {
        let roles = ROLES
            .into_iter()
            .enumerate()
            .filter(|(index, _)| set >> index & 1 == 1);
        let filter = MemberFilter {
            roles: roles.map(|(_, role)| role).collect(),
            ..MemberFilter::default()
        };
        let listed = fixture.filtered(organization, filter.clone()).await.len();
        let counted = fixture
            .storage()
            .count_members(organization, filter.clone())
            .await;
        assert_eq!(counted.unwrap(), u64::try_from(listed).unwrap(), "{filter:?}");
    }
}

pub(super) async fn what_is_counted_is_what_is_listed_whatever_changes(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let globex = fixture.organization("globex").await;
    assert_counted(&fixture, acme).await;
    let mut members = Vec::new();
    for (index, role) in ROLES.into_iter().cycle().take(13).enumerate() {
        let values = values! {
            email: set(&format!("user{index}@example.com")),
            portal_role: set("end_user"),
            role: role,
        };
        members.push(fixture.person(acme, values).await);
    }
    fixture.holder(globex, "other@example.com", Role::Viewer).await;
    assert_counted(&fixture, acme).await;
    // From each role to another, to the same, and to none; a change of something else.
    for (index, member) in members.iter().enumerate() {
        let role = ROLES[(index * 5 + 2) % ROLES.len()];
        fixture
            .update(acme, member, values! { role: role })
            .await
            .unwrap();
        fixture
            .update(acme, member, values! { name: set("Sally") })
            .await
            .unwrap();
    }
    assert_counted(&fixture, acme).await;
    let mut gone = Vec::new();
    for member in &members[..6] {
        if fixture.revoke(acme, member).await.is_ok() {
            gone.push(member);
        }
    }
    assert_counted(&fixture, acme).await;
    fixture.restore(acme, gone[0]).await.unwrap();
    fixture.restore(acme, gone[1]).await.unwrap();
    assert_counted(&fixture, acme).await;
    fixture.erase(acme, gone[0]).await.unwrap();
    fixture.erase(acme, gone[2]).await.unwrap();
    assert_counted(&fixture, acme).await;
    assert_counted(&fixture, globex).await;
    let user = members[12].user_id;
    assert!(
        fixture
            .storage()
            .revoke_user(acme, user, fixture.change())
            .await
            .unwrap()
    );
    assert_counted(&fixture, acme).await;
}

pub(super) async fn a_page_has_its_number_from_either_end(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    for index in 0..11 {
        let name = format!("N{}", index * 7 % 11);
        let role = ROLES[index % 3];
        let values =
            values! { email: set(&format!("user{index}@example.com")), name: set(&name), role: role };
        fixture.person(acme, values).await;
    }
    let staff = MemberFilter {
        roles: ROLES[1..].to_vec(),
        ..MemberFilter::default()
    };
    let found = MemberFilter {
        email_parts: vec!["example".to_owned()],
        ..staff.clone()
    };
    for filter in [MemberFilter::default(), staff, found] {
        for (order, descending) in orders() {
            let query = MemberQuery {
                filter: filter.clone(),
                order,
                descending,
                limit: 100,
                ..MemberQuery::default()
            };
            let all = fixture.list(acme, query.clone()).await;
            for skip in 0..=all.len() + 1 {
                for limit in 1..5 {
                    let query = MemberQuery {
                        skip: u64::try_from(skip).unwrap(),
                        limit,
                        ..query.clone()
                    };
                    let (page, total) = fixture
                        .storage()
                        .members_counted(acme, query.clone())
                        .await
                        .unwrap();
                    let limit = usize::try_from(limit).unwrap();
                    let expected: Vec<_> = all.iter().skip(skip).take(limit).cloned().collect();
                    assert_eq!(page, expected, "{query:?}");
                    assert_eq!(total, u64::try_from(all.len()).unwrap());
                    assert_eq!(fixture.list(acme, query).await, expected);
                }
            }
        }
    }
}

pub(super) async fn only_one_without_a_role_is_linked_if_that_is_asked_for(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let only = |values| {
        let mut link = fixture.link_with(values);
        link.only_without_role = true;
        link
    };
    let viewer = |email: &str| values! { email: set(email), role: Some(Role::Viewer) };
    let end_user = fixture.person(acme, address("end@example.com")).await;
    let linked = fixture
        .link_as(acme, only(viewer("end@example.com")))
        .await
        .unwrap();
    assert_eq!(linked.member.id, end_user.id);
    let before = fixture.now(acme, &end_user).await;
    for values in [viewer("end@example.com"), address("end@example.com")] {
        assert_fails!(
            fixture.link_as(acme, only(values)).await,
            ServiceError::Conflict(Conflict::Member)
        );
    }
    assert_eq!(fixture.now(acme, &end_user).await, before);
    // At once, of a stranger.
    let calls: Vec<_> = (0..8)
        .map(|_| {
            let (fixture, link) = (fixture.clone(), only(viewer("new@example.com")));
            tokio::spawn(async move { fixture.link_as(acme, link).await })
        })
        .collect();
    let mut made = 0;
    for call in calls {
        match call.await.unwrap() {
            Ok(_) => made += 1,
            Err(error) => assert!(
                matches!(error, ServiceError::Conflict(Conflict::Member)),
                "{error}"
            ),
        }
    }
    assert_eq!(made, 1);
}
