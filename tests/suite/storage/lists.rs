//! Lists: order, and pages that stay right while members come and go.

use std::collections::BTreeSet;

use userbridge::domain::{
    Change, Cursor, Member, MemberFilter, MemberOrder, MemberQuery, OrganizationId, PageRequest,
    RevokedFilter, Role, Timestamp,
};

use super::{
    fixture::Fixture,
    people::{address, names, numbers, set, values},
};

pub(super) fn orders() -> [(MemberOrder, bool); 10] {
    [
        (MemberOrder::Number, false),
        (MemberOrder::Number, true),
        (MemberOrder::Name, false),
        (MemberOrder::Name, true),
        (MemberOrder::Email, false),
        (MemberOrder::Email, true),
        (MemberOrder::Role, false),
        (MemberOrder::Role, true),
        (MemberOrder::LastSeen, false),
        (MemberOrder::LastSeen, true),
    ]
}

/// By what a member has, texts byte for byte, nothing first; then by number.
pub(super) fn sort(members: &mut [Member], order: MemberOrder, descending: bool) {
    members.sort_by(|one, other| {
        let value = |entry: &Member| match order {
            MemberOrder::Number => (None, None),
            MemberOrder::Name => (entry.profile.name.clone().map(String::from), None),
            MemberOrder::Email => (entry.profile.email.clone().map(String::from), None),
            MemberOrder::Role => {
                let role = |role| Role::ALL.iter().position(|each| *each == role).unwrap();
                (
                    None,
                    entry.access.role.map(|own| i64::try_from(role(own)).unwrap()),
                )
            }
            MemberOrder::LastSeen => (None, entry.last_seen_at.map(Timestamp::as_millis)),
        };
        let ordering = (value(one), one.number).cmp(&(value(other), other.number));
        if descending { ordering.reverse() } else { ordering }
    });
}

/// All pages.
pub(super) async fn pages(
    fixture: &Fixture,
    organization: OrganizationId,
    mut query: MemberQuery,
) -> Vec<Member> {
    let mut all = Vec::new();
    loop {
        let page = fixture.list(organization, query.clone()).await;
        assert!(page.len() <= query.limit as usize);
        let Some(last) = page.last() else { return all };
        query.after = Some(Cursor::after(last, query.order));
        all.extend(page);
    }
}

pub(super) async fn members_without_a_name_come_first_and_equal_names_by_number(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    for name in ["b", "-", "a", "B", "ä", "b", "-", "a"] {
        let name = (name != "-").then(|| name.parse().unwrap());
        fixture.person(acme, values! { name: name }).await;
    }
    let ask = async |descending| {
        let query = MemberQuery {
            order: MemberOrder::Name,
            descending,
            limit: 3,
            ..MemberQuery::default()
        };
        pages(&fixture, acme, query).await
    };
    let found = ask(false).await;
    assert_eq!(names(&found), ["-", "-", "B", "a", "a", "b", "b", "ä"]);
    assert_eq!(numbers(&found), [2, 7, 4, 3, 8, 1, 6, 5]);
    let mut backwards = ask(true).await;
    backwards.reverse();
    assert_eq!(backwards, found);
}

pub(super) async fn pages_are_whole_while_members_come_and_go(fixture: Fixture) {
    for (case, (order, descending)) in orders().into_iter().enumerate() {
        for search in [false, true] {
            let acme = fixture.organization(&format!("acme-{case}-{search}")).await;
            let mut stay = BTreeSet::new();
            let mut go = Vec::new();
            for index in 0..40 {
                let name = format!("Member {:02}", index * 17 % 40 / 2);
                let email = (index % 4 > 0).then(|| format!("{}@example.com", index * 11 % 40));
                let email = email.map(|email| email.parse().unwrap());
                let role = (index % 5 > 0).then(|| Role::ALL[index * 3 % 5]);
                let entry = fixture
                    .person(
                        acme,
                        values! { name: set(&name), email: email, role: role, portal_role: set("user") },
                    )
                    .await;
                if index % 2 == 0 {
                    let seen = vec![(acme, entry.id, fixture.tick())];
                    fixture.storage().record_seen(seen).await.unwrap();
                }
                if index % 3 == 0 {
                    go.push(entry);
                } else {
                    stay.insert(entry.number.0);
                }
            }
            let mut query = MemberQuery {
                filter: MemberFilter {
                    name_parts: if search { vec!["MEMBER".to_owned()] } else { vec![] },
                    ..MemberFilter::default()
                },
                order,
                descending,
                limit: 4,
                ..MemberQuery::default()
            };
            let mut seen = Vec::new();
            loop {
                let page = fixture.list(acme, query.clone()).await;
                let Some(last) = page.last() else { break };
                query.after = Some(Cursor::after(last, order));
                // The one that the next page begins after may go as well.
                if let Some(position) = go.iter().position(|entry| entry.number == last.number) {
                    fixture.revoke(acme, &go.remove(position)).await.unwrap();
                }
                seen.extend(numbers(&page));
                if let Some(gone) = go.pop() {
                    fixture.revoke(acme, &gone).await.unwrap();
                }
                let come = format!("Member {:02} new", seen.len() % 40);
                if seen.len() < 40 {
                    fixture.person(acme, values! { name: set(&come) }).await;
                }
            }
            let once: BTreeSet<_> = seen.iter().copied().collect();
            assert_eq!(once.len(), seen.len(), "somebody came twice: {seen:?}");
            assert!(stay.is_subset(&once), "somebody was left out: {seen:?}");
        }
    }
}

pub(super) async fn lists_are_of_one_organization(fixture: Fixture) {
    let (acme, globex) = (
        fixture.organization("acme").await,
        fixture.organization("globex").await,
    );
    let here = fixture
        .person(
            acme,
            values! { email: set("sally@acme.example.com"), name: set("Sally") },
        )
        .await;
    fixture
        .person(
            globex,
            values! { email: set("sally@acme.example.com"), name: set("Sally") },
        )
        .await;
    fixture.person(globex, address("tom@acme.example.com")).await;
    for (order, descending) in orders() {
        for parts in [vec![], vec!["sally".to_owned()], vec!["sa".to_owned()]] {
            let filter = MemberFilter {
                name_parts: parts,
                ..MemberFilter::default()
            };
            let query = MemberQuery {
                filter,
                order,
                descending,
                limit: 9,
                ..MemberQuery::default()
            };
            assert_eq!(fixture.list(acme, query).await, std::slice::from_ref(&here));
        }
    }
    let nowhere = fixture.new_organization("nowhere").id;
    for parts in [vec![], vec!["sally".to_owned()], vec!["sa".to_owned()]] {
        let filter = MemberFilter {
            name_parts: parts,
            ..MemberFilter::default()
        };
        assert_eq!(fixture.filtered(nowhere, filter).await, []);
    }
}

/// All pages of this many members, from a moment on.
async fn revoked_pages(
    fixture: &Fixture,
    organization: OrganizationId,
    from: Timestamp,
    limit: u32,
) -> Vec<Member> {
    let mut all: Vec<Member> = Vec::new();
    loop {
        let page = PageRequest {
            after: all.last().map(|entry| (entry.revoked_at.unwrap(), entry.number)),
            limit,
        };
        let page = fixture
            .storage()
            .revoked_members(organization, from.into(), page)
            .await
            .unwrap();
        assert!(page.len() <= limit as usize);
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

pub(super) async fn revoked_members_come_the_last_first_and_without_those_who_are_back_or_erased(
    fixture: Fixture,
) {
    let (acme, globex) = (
        fixture.organization("acme").await,
        fixture.organization("globex").await,
    );
    let mut people = Vec::new();
    for index in 0..12 {
        let email = format!("user{index}@example.com");
        people.push(fixture.person(acme, address(&email)).await);
        let other = fixture.person(globex, address(&email)).await;
        fixture.revoke(globex, &other).await.unwrap();
    }
    // Three at each moment, and two who stay.
    let mut moments = Vec::new();
    for (index, entry) in people[..10].iter().rev().enumerate() {
        if index % 3 == 0 {
            moments.push(fixture.tick());
        }
        let change = Change {
            at: moments[index / 3],
            ..fixture.change()
        };
        fixture
            .storage()
            .revoke_user(acme, entry.user_id, change)
            .await
            .unwrap();
    }
    fixture.restore(acme, &people[4]).await.unwrap();
    fixture.erase(acme, &people[8]).await.unwrap();
    for (from, expected) in [
        (Timestamp::from_millis(0), &[1, 4, 3, 2, 7, 6, 10, 8][..]),
        (moments[0], &[1, 4, 3, 2, 7, 6, 10, 8]),
        (moments[2], &[1, 4, 3, 2]),
        (moments[3], &[1]),
        (fixture.tick(), &[]),
    ] {
        for limit in [1, 2, 3, 100] {
            assert_eq!(
                numbers(&revoked_pages(&fixture, acme, from, limit).await),
                expected
            );
        }
    }
    // Who is revoked between two pages comes before what was read, and a mark that is live again still stands.
    let page = |after| PageRequest { after, limit: 2 };
    let from = Timestamp::from_millis(0);
    let first = fixture
        .storage()
        .revoked_members(acme, from.into(), page(None))
        .await
        .unwrap();
    assert_eq!(numbers(&first), [1, 4]);
    let mark = (first[1].revoked_at.unwrap(), first[1].number);
    fixture.revoke(acme, &people[11]).await.unwrap();
    fixture.restore(acme, &people[3]).await.unwrap();
    let next = fixture
        .storage()
        .revoked_members(acme, from.into(), page(Some(mark)))
        .await
        .unwrap();
    assert_eq!(numbers(&next), [3, 2]);
}

pub(super) async fn revoked_members_are_listed_by_the_role_that_they_had(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    fixture.holder(acme, "owner@example.com", Role::Owner).await;
    for (index, role) in [
        Some(Role::Viewer),
        None,
        Some(Role::Admin),
        None,
        Some(Role::Viewer),
    ]
    .into_iter()
    .enumerate()
    {
        let email = format!("user{index}@example.com");
        let person = match role {
            Some(role) => fixture.holder(acme, &email, role).await,
            None => fixture.person(acme, address(&email)).await,
        };
        fixture.revoke(acme, &person).await.unwrap();
    }
    let everybody = [None].into_iter().chain(Role::ALL.iter().copied().map(Some));
    for (roles, expected) in [
        (vec![], &[6, 5, 4, 3, 2][..]),
        (everybody.collect(), &[6, 5, 4, 3, 2]),
        (Role::ALL.iter().copied().map(Some).collect(), &[6, 4, 2]),
        (vec![Some(Role::Viewer)], &[6, 2]),
        (vec![Some(Role::Admin), None], &[5, 4, 3]),
        (vec![Some(Role::Owner)], &[]),
    ] {
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let filter = RevokedFilter {
                from: Timestamp::from_millis(0),
                roles: roles.clone(),
            };
            let page = PageRequest { after, limit: 2 };
            let page = fixture
                .storage()
                .revoked_members(acme, filter, page)
                .await
                .unwrap();
            let Some(last) = page.last() else { break };
            after = Some((last.revoked_at.unwrap(), last.number));
            found.extend(numbers(&page));
        }
        assert_eq!(found, expected, "{roles:?}");
    }
}
