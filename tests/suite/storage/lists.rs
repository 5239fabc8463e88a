//! Lists: filters, order, and pages that stay right while members come and go.

use std::collections::BTreeSet;

use proptest::{
    prelude::{Strategy, any},
    strategy::ValueTree as _,
    test_runner::TestRunner,
};
use userbridge::{
    domain::{MemberEntry, OrganizationId, Role, Source, TeamNumber, Timestamp},
    storage::{Cursor, LinkMember, MemberFilter, MemberOrder, MemberQuery, Once, TimeRange},
};

use super::{
    bench::Bench,
    people::{address, later, names, numbers, origin, set, values},
};
use crate::support::first;

const NAMES: [Option<&str>; 6] = [
    None,
    Some("Ann"),
    Some("ann"),
    Some("Änne"),
    Some("Bob"),
    Some("日本"),
];

/// Members who differ in everything that a filter asks for.
async fn crowd(bench: &Bench, organization: OrganizationId) -> Vec<MemberEntry> {
    let change = bench.change();
    let (key, name) = ("support".parse().unwrap(), "Support".parse().unwrap());
    let team = bench
        .storage()
        .create_team(organization, key, name, Once::never(), change);
    let team = first(team.await.unwrap()).number;
    let mut members = Vec::new();
    for index in 0..36_usize {
        let values = values! {
            email: (index % 5 != 0).then(|| format!("user{index}@{}.example.com", ["Acme", "globex"][index % 2]).parse().unwrap()),
            name: NAMES[index % NAMES.len()].map(|name| name.parse().unwrap()),
            role: [None, Some(Role::Editor), Some(Role::Viewer), Some(Role::Admin)][index % 4],
            teams: [vec![], vec![TeamNumber::ROOT], vec![team], vec![TeamNumber::ROOT, team]][index % 4 / (1 + index % 2)].clone(),
        };
        let link = LinkMember {
            origin: origin(["portal", "zendesk", "api"][index % 3], &index.to_string()),
            ..bench.link_with(values)
        };
        let mut entry = bench.link_as(organization, link).await.unwrap().entry;
        if index % 7 == 3 {
            entry = bench
                .update(organization, &entry, values! { enabled: false })
                .await
                .unwrap();
        }
        if index % 3 == 1 {
            let seen = vec![(organization, entry.member.id, bench.tick())];
            bench.storage().record_seen(seen).await.unwrap();
        }
        entry = bench.now(organization, &entry).await;
        if index % 11 == 5 {
            bench.revoke(organization, &entry).await.unwrap();
        } else {
            members.push(entry);
        }
    }
    members
}

/// What the filter says, in plain words.
fn lets_through(filter: &MemberFilter, entry: &MemberEntry) -> bool {
    let within = |range: TimeRange, at: Option<Timestamp>| match at {
        None => range == TimeRange::default(),
        Some(at) => range.from.is_none_or(|from| at >= from) && range.until.is_none_or(|until| at < until),
    };
    let part_of = |parts: &[String], text: Option<&str>| {
        let text = text.map(str::to_lowercase);
        parts.is_empty()
            || text.is_some_and(|text| parts.iter().any(|part| text.contains(&part.to_lowercase())))
    };
    let profile = &entry.member.profile;
    (filter.roles.is_empty() || filter.roles.contains(&entry.access.role))
        && filter.team.is_none_or(|team| entry.teams.contains(&team))
        && filter
            .enabled
            .is_none_or(|enabled| entry.access.enabled == enabled)
        && filter
            .source
            .as_ref()
            .is_none_or(|source| entry.origin.source == *source)
        && part_of(
            &filter.email_parts,
            profile.email.as_ref().map(|email| email.as_str()),
        )
        && part_of(
            &filter.name_parts,
            profile.name.as_ref().map(|name| name.as_str()),
        )
        && within(filter.created, Some(entry.member.created_at))
        && within(filter.seen, entry.last_seen_at)
}

pub(super) async fn each_filter_lets_through_what_it_says(bench: Bench) {
    let (acme, globex) = (
        bench.organization("acme").await,
        bench.organization("globex").await,
    );
    let members = crowd(&bench, acme).await;
    crowd(&bench, globex).await;
    let middle = members[12].member.created_at;
    let plain = MemberFilter::default;
    let parts = |parts: &[&str]| parts.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>();
    let source = |source: &str| Some(source.parse::<Source>().unwrap());
    let (from, until) = (Some(middle), Some(later(middle, 200)));
    for (filter, any) in [
        (plain(), true),
        (
            MemberFilter {
                roles: vec![None],
                ..plain()
            },
            true,
        ),
        (
            MemberFilter {
                roles: vec![Some(Role::Editor)],
                ..plain()
            },
            true,
        ),
        (
            MemberFilter {
                roles: vec![Some(Role::Owner)],
                ..plain()
            },
            false,
        ),
        (
            MemberFilter {
                roles: vec![Some(Role::Editor), Some(Role::Admin)],
                ..plain()
            },
            true,
        ),
        (
            MemberFilter {
                roles: vec![Some(Role::Editor), None],
                ..plain()
            },
            true,
        ),
        (
            MemberFilter {
                roles: Role::ALL.iter().copied().map(Some).collect(),
                ..plain()
            },
            true,
        ),
        (
            MemberFilter {
                roles: Role::ALL.iter().copied().map(Some).chain([None]).collect(),
                ..plain()
            },
            true,
        ),
        (
            MemberFilter {
                team: Some(TeamNumber::ROOT),
                ..plain()
            },
            true,
        ),
        (
            MemberFilter {
                team: Some(TeamNumber(2)),
                ..plain()
            },
            true,
        ),
        (
            MemberFilter {
                team: Some(TeamNumber(77)),
                ..plain()
            },
            false,
        ),
        (
            MemberFilter {
                enabled: Some(true),
                ..plain()
            },
            true,
        ),
        (
            MemberFilter {
                enabled: Some(false),
                ..plain()
            },
            true,
        ),
        (
            MemberFilter {
                source: source("zendesk"),
                ..plain()
            },
            true,
        ),
        (
            MemberFilter {
                source: source("Zendesk"),
                ..plain()
            },
            false,
        ),
        (
            MemberFilter {
                email_parts: parts(&["ACME"]),
                ..plain()
            },
            true,
        ),
        (
            MemberFilter {
                email_parts: parts(&["@a"]),
                ..plain()
            },
            true,
        ),
        (
            MemberFilter {
                email_parts: parts(&["user1@", "user2@"]),
                ..plain()
            },
            true,
        ),
        (
            MemberFilter {
                email_parts: parts(&["user1@", "2@"]),
                ..plain()
            },
            true,
        ),
        (
            MemberFilter {
                name_parts: parts(&["ÄNN"]),
                ..plain()
            },
            true,
        ),
        (
            MemberFilter {
                name_parts: parts(&["本"]),
                ..plain()
            },
            true,
        ),
        (
            MemberFilter {
                name_parts: parts(&["nn"]),
                email_parts: parts(&["globex"]),
                ..plain()
            },
            true,
        ),
        (
            MemberFilter {
                name_parts: parts(&["ann"]),
                email_parts: parts(&["gl"]),
                ..plain()
            },
            true,
        ),
        (
            MemberFilter {
                name_parts: parts(&["ann"]),
                email_parts: parts(&["glob"]),
                ..plain()
            },
            true,
        ),
        (
            MemberFilter {
                created: TimeRange { from, until: None },
                ..plain()
            },
            true,
        ),
        (
            MemberFilter {
                created: TimeRange {
                    from: None,
                    until: from,
                },
                ..plain()
            },
            true,
        ),
        (
            MemberFilter {
                created: TimeRange { from, until },
                ..plain()
            },
            true,
        ),
        (
            MemberFilter {
                created: TimeRange {
                    from: until,
                    until: from,
                },
                ..plain()
            },
            false,
        ),
        (
            MemberFilter {
                seen: TimeRange { from, until: None },
                ..plain()
            },
            true,
        ),
        (
            MemberFilter {
                seen: TimeRange {
                    from: None,
                    until: from,
                },
                ..plain()
            },
            true,
        ),
        (
            MemberFilter {
                seen: TimeRange { from, until },
                ..plain()
            },
            true,
        ),
        (
            MemberFilter {
                roles: vec![Some(Role::Editor), Some(Role::Viewer)],
                team: Some(TeamNumber(2)),
                enabled: Some(true),
                email_parts: parts(&["example"]),
                created: TimeRange { from: None, until },
                ..plain()
            },
            true,
        ),
    ] {
        let expected: Vec<_> = members
            .iter()
            .filter(|entry| lets_through(&filter, entry))
            .cloned()
            .collect();
        assert_eq!(!expected.is_empty(), any, "{filter:?}");
        assert_eq!(bench.filtered(acme, filter.clone()).await, expected, "{filter:?}");
    }
}

fn filters(members: &[MemberEntry]) -> impl Strategy<Value = MemberFilter> + use<> {
    let times: Vec<_> = members.iter().map(|entry| entry.member.created_at).collect();
    let role = proptest::sample::select(vec![
        None,
        Some(Role::Owner),
        Some(Role::Admin),
        Some(Role::Editor),
        Some(Role::Viewer),
    ]);
    let part = |parts: &'static [&'static str]| {
        let part = proptest::sample::select(parts).prop_map(str::to_owned);
        proptest::collection::vec(part, 0..3)
    };
    let rare = |range| proptest::option::weighted(0.3, range);
    let times = move || {
        let time = proptest::option::weighted(0.2, proptest::sample::select(times.clone()));
        (time.clone(), time).prop_map(|(from, until)| TimeRange { from, until })
    };
    (
        proptest::collection::vec(role, 0..4),
        rare(1_i64..4),
        proptest::option::weighted(0.3, any::<bool>()),
        proptest::option::weighted(0.3, proptest::sample::select(&["portal", "zendesk", "api"][..])),
        part(&["1", "@g", "ACM", "example.com", "zz", "user3"]),
        part(&["a", "Ä", "nn", "ANN", "änne", "日", "zz", "bob"]),
        times(),
        times(),
    )
        .prop_map(
            |(roles, team, enabled, source, email_parts, name_parts, created, seen)| MemberFilter {
                roles,
                team: team.map(TeamNumber),
                enabled,
                source: source.map(|source| source.parse().unwrap()),
                email_parts,
                name_parts,
                created,
                seen,
            },
        )
}

pub(super) async fn any_filter_lists_what_it_counts_in_any_order_and_page_by_page(bench: Bench) {
    let acme = bench.organization("acme").await;
    let members = crowd(&bench, acme).await;
    let (orders, filters) = (orders(), filters(&members));
    let mut runner = TestRunner::deterministic();
    for case in 0..160 {
        let filter = filters.new_tree(&mut runner).unwrap().current();
        let (order, descending) = orders[case % 4];
        let mut expected: Vec<_> = members
            .iter()
            .filter(|entry| lets_through(&filter, entry))
            .cloned()
            .collect();
        sort(&mut expected, order, descending);
        let total = bench.filtered(acme, filter.clone()).await.len();
        assert_eq!(total, expected.len(), "{filter:?}");
        let query = MemberQuery {
            filter: filter.clone(),
            order,
            descending,
            limit: [1, 3, 7][case % 3],
            ..MemberQuery::default()
        };
        assert_eq!(
            numbers(&pages(&bench, acme, query.clone()).await),
            numbers(&expected),
            "{query:?}"
        );
        let skip = case % 5;
        let skipped = MemberQuery {
            skip: skip as u64,
            limit: u32::MAX,
            ..query
        };
        let skipped = bench.list(acme, skipped).await;
        assert_eq!(numbers(&skipped), numbers(&expected)[skip.min(expected.len())..]);
    }
}

fn orders() -> [(MemberOrder, bool); 4] {
    [
        (MemberOrder::Number, false),
        (MemberOrder::Number, true),
        (MemberOrder::Name, false),
        (MemberOrder::Name, true),
    ]
}

/// By name byte for byte, nobody's name first; then by number.
fn sort(members: &mut [MemberEntry], order: MemberOrder, descending: bool) {
    members.sort_by(|one, other| {
        let name = |entry: &MemberEntry| match order {
            MemberOrder::Number => None,
            MemberOrder::Name => entry.member.profile.name.clone().map(String::from),
        };
        let ordering = (name(one), one.number).cmp(&(name(other), other.number));
        if descending { ordering.reverse() } else { ordering }
    });
}

/// Where the page after this member begins.
fn after(entry: &MemberEntry, order: MemberOrder) -> Option<Cursor> {
    Some(Cursor {
        number: entry.number,
        name: match order {
            MemberOrder::Number => None,
            MemberOrder::Name => entry.member.profile.name.clone().map(Into::into),
        },
    })
}

/// All pages.
async fn pages(bench: &Bench, organization: OrganizationId, mut query: MemberQuery) -> Vec<MemberEntry> {
    let mut all = Vec::new();
    loop {
        let page = bench.list(organization, query.clone()).await;
        assert!(page.len() <= query.limit as usize);
        let Some(last) = page.last() else { return all };
        query.after = after(last, query.order);
        all.extend(page);
    }
}

pub(super) async fn members_without_a_name_come_first_and_equal_names_by_number(bench: Bench) {
    let acme = bench.organization("acme").await;
    for name in ["b", "-", "a", "B", "ä", "b", "-", "a"] {
        let name = (name != "-").then(|| name.parse().unwrap());
        bench.person(acme, values! { name: name }).await;
    }
    let ask = async |descending| {
        let query = MemberQuery {
            order: MemberOrder::Name,
            descending,
            limit: 3,
            ..MemberQuery::default()
        };
        pages(&bench, acme, query).await
    };
    let found = ask(false).await;
    assert_eq!(names(&found), ["-", "-", "B", "a", "a", "b", "b", "ä"]);
    assert_eq!(numbers(&found), [2, 7, 4, 3, 8, 1, 6, 5]);
    let mut backwards = ask(true).await;
    backwards.reverse();
    assert_eq!(backwards, found);
}

pub(super) async fn pages_are_whole_while_members_come_and_go(bench: Bench) {
    for (case, (order, descending)) in orders().into_iter().enumerate() {
        for search in [false, true] {
            let acme = bench.organization(&format!("acme-{case}-{search}")).await;
            let mut stay = BTreeSet::new();
            let mut go = Vec::new();
            for index in 0..40 {
                let name = format!("Member {:02}", index * 17 % 40 / 2);
                let entry = bench.person(acme, values! { name: set(&name) }).await;
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
                let page = bench.list(acme, query.clone()).await;
                let Some(last) = page.last() else { break };
                query.after = after(last, order);
                // The one that the next page begins after may go as well.
                if let Some(position) = go.iter().position(|entry| entry.number == last.number) {
                    bench.revoke(acme, &go.remove(position)).await.unwrap();
                }
                seen.extend(numbers(&page));
                if let Some(gone) = go.pop() {
                    bench.revoke(acme, &gone).await.unwrap();
                }
                let come = format!("Member {:02} new", seen.len() % 40);
                if seen.len() < 40 {
                    bench.person(acme, values! { name: set(&come) }).await;
                }
            }
            let once: BTreeSet<_> = seen.iter().copied().collect();
            assert_eq!(once.len(), seen.len(), "somebody came twice: {seen:?}");
            assert!(stay.is_subset(&once), "somebody was left out: {seen:?}");
        }
    }
}

pub(super) async fn lists_are_of_one_organization(bench: Bench) {
    let (acme, globex) = (
        bench.organization("acme").await,
        bench.organization("globex").await,
    );
    let here = bench
        .person(
            acme,
            values! { email: set("sally@acme.example.com"), name: set("Sally") },
        )
        .await;
    bench
        .person(
            globex,
            values! { email: set("sally@acme.example.com"), name: set("Sally") },
        )
        .await;
    bench.person(globex, address("tom@acme.example.com")).await;
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
            assert_eq!(bench.list(acme, query).await, [here.clone()]);
        }
    }
    let nowhere = bench.new_organization("nowhere").id;
    for parts in [vec![], vec!["sally".to_owned()], vec!["sa".to_owned()]] {
        let filter = MemberFilter {
            name_parts: parts,
            ..MemberFilter::default()
        };
        assert_eq!(bench.filtered(nowhere, filter).await, []);
    }
}
