//! Lists: order, and pages that stay right while members come and go.

use std::collections::BTreeSet;

use userbridge::domain::{Cursor, Member, MemberFilter, MemberOrder, MemberQuery, OrganizationId};

use super::{
    fixture::Fixture,
    people::{address, names, numbers, set, values},
};

pub(super) fn orders() -> [(MemberOrder, bool); 4] {
    [
        (MemberOrder::Number, false),
        (MemberOrder::Number, true),
        (MemberOrder::Name, false),
        (MemberOrder::Name, true),
    ]
}

/// By name byte for byte, nobody's name first; then by number.
pub(super) fn sort(members: &mut [Member], order: MemberOrder, descending: bool) {
    members.sort_by(|one, other| {
        let name = |entry: &Member| match order {
            MemberOrder::Number => None,
            MemberOrder::Name => entry.profile.name.clone().map(String::from),
        };
        let ordering = (name(one), one.number).cmp(&(name(other), other.number));
        if descending { ordering.reverse() } else { ordering }
    });
}

/// Where the page after this member begins.
fn after(entry: &Member, order: MemberOrder) -> Cursor {
    Cursor {
        number: entry.number,
        name: match order {
            MemberOrder::Number => None,
            MemberOrder::Name => entry.profile.name.clone().map(Into::into),
        },
    }
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
        query.after = Some(after(last, query.order));
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
                let entry = fixture.person(acme, values! { name: set(&name) }).await;
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
                query.after = Some(after(last, order));
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
