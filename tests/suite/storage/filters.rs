//! Filters of lists, each by itself and all together.

use crate::support::rules::LinkMember;
use proptest::{
    prelude::{Strategy, any},
    strategy::ValueTree as _,
    test_runner::TestRunner,
};
use userbridge::domain::{
    DisplayName, Email, Idempotency, Member, MemberFilter, MemberQuery, OrganizationId, Role, Source,
    TeamNumber, TimeRange, Timestamp,
};

use super::{
    fixture::Fixture,
    lists::{orders, pages, sort},
    people::{later, numbers, origin, values},
};
use crate::support::first;

/// A filter of which only these fields are set.
macro_rules! filter {
    ($($field:ident: $value:expr),*) => {
        MemberFilter { $($field: $value,)* ..MemberFilter::default() }
    };
}

const NAMES: [Option<&str>; 6] = [
    None,
    Some("Ann"),
    Some("ann"),
    Some("Änne"),
    Some("Bob"),
    Some("日本"),
];

/// Members who differ in everything that a filter asks for.
async fn crowd(fixture: &Fixture, organization: OrganizationId) -> Vec<Member> {
    let change = fixture.change();
    let (key, name) = ("support".parse().unwrap(), "Support".parse().unwrap());
    let team = fixture
        .storage()
        .create_team(organization, key, name, Idempotency::never(), change);
    let team = first(team.await.unwrap()).number;
    let mut members = Vec::new();
    for index in 0..36_usize {
        let domain = ["Acme", "globex"][index % 2];
        let email = (index % 5 != 0).then(|| format!("user{index}@{domain}.example.com").parse().unwrap());
        let teams = [
            vec![],
            vec![TeamNumber::ROOT],
            vec![team],
            vec![TeamNumber::ROOT, team],
        ];
        let teams = &teams[index % 4 / (1 + index % 2)];
        let values = values! {
            email: email,
            name: NAMES[index % NAMES.len()].map(|name| name.parse().unwrap()),
            portal_role: (index % 3 == 0 || index % 4 == 0).then(|| "end_user".parse().unwrap()),
            role: [None, Some(Role::Editor), Some(Role::Viewer), Some(Role::Admin)][index % 4],
            teams: teams.clone(),
        };
        let link = LinkMember {
            origin: origin(["portal", "zendesk", "api"][index % 3], &index.to_string()),
            ..fixture.link_with(values)
        };
        let mut entry = fixture.link_as(organization, link).await.unwrap().member;
        if index % 7 == 3 {
            entry = fixture
                .update(organization, &entry, values! { enabled: false })
                .await
                .unwrap();
        }
        if index % 3 == 1 {
            let seen = vec![(organization, entry.id, fixture.tick())];
            fixture.storage().record_seen(seen).await.unwrap();
        }
        entry = fixture.now(organization, &entry).await;
        if index % 11 == 5 {
            fixture.revoke(organization, &entry).await.unwrap();
        } else {
            members.push(entry);
        }
    }
    members
}

/// What the filter says, in plain words.
fn lets_through(filter: &MemberFilter, entry: &Member) -> bool {
    let within = |range: TimeRange, at: Option<Timestamp>| match at {
        None => range == TimeRange::default(),
        Some(at) => range.from.is_none_or(|from| at >= from) && range.until.is_none_or(|until| at < until),
    };
    let part_of = |parts: &[String], text: Option<&str>| {
        let text = text.map(str::to_lowercase);
        parts.is_empty()
            || text.is_some_and(|text| parts.iter().any(|part| text.contains(&part.to_lowercase())))
    };
    let profile = &entry.profile;
    (filter.roles.is_empty() || filter.roles.contains(&entry.access.role))
        && filter
            .end_user
            .is_none_or(|end_user| profile.portal_role.is_some() == end_user)
        && filter.team.is_none_or(|team| entry.teams.contains(&team))
        && filter
            .enabled
            .is_none_or(|enabled| entry.access.enabled == enabled)
        && filter
            .source
            .as_ref()
            .is_none_or(|source| entry.origin.source == *source)
        && part_of(&filter.email_parts, profile.email.as_ref().map(Email::as_str))
        && part_of(&filter.name_parts, profile.name.as_ref().map(DisplayName::as_str))
        && filter.text.as_ref().is_none_or(|text| {
            let text = std::slice::from_ref(text);
            part_of(text, profile.email.as_ref().map(Email::as_str))
                || part_of(text, profile.name.as_ref().map(DisplayName::as_str))
        })
        && within(filter.created, Some(entry.created_at))
        && within(filter.seen, entry.last_seen_at)
}

pub(super) async fn each_filter_lets_through_what_it_says(fixture: Fixture) {
    let (acme, globex) = (
        fixture.organization("acme").await,
        fixture.organization("globex").await,
    );
    let members = crowd(&fixture, acme).await;
    crowd(&fixture, globex).await;
    let middle = members[12].created_at;
    let parts = |parts: &[&str]| parts.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>();
    let text = |text: &str| Some(text.to_owned());
    let source = |source: &str| Some(source.parse::<Source>().unwrap());
    let (from, until) = (Some(middle), Some(later(middle, 200)));
    for (filter, any) in [
        (filter!(), true),
        (filter!(roles: vec![None]), true),
        (filter!(roles: vec![Some(Role::Editor)]), true),
        (filter!(roles: vec![Some(Role::Owner)]), false),
        (filter!(roles: vec![Some(Role::Editor), Some(Role::Admin)]), true),
        (filter!(roles: vec![Some(Role::Editor), None]), true),
        (
            filter!(roles: Role::ALL.iter().copied().map(Some).collect()),
            true,
        ),
        (
            filter!(roles: Role::ALL.iter().copied().map(Some).chain([None]).collect()),
            true,
        ),
        (filter!(end_user: Some(true)), true),
        (filter!(end_user: Some(false)), true),
        (filter!(end_user: Some(false), roles: vec![None]), false),
        (
            filter!(end_user: Some(false), roles: vec![Some(Role::Editor), None]),
            true,
        ),
        (filter!(team: Some(TeamNumber::ROOT)), true),
        (filter!(team: Some(TeamNumber(2))), true),
        (filter!(team: Some(TeamNumber(77))), false),
        (filter!(enabled: Some(true)), true),
        (filter!(enabled: Some(false)), true),
        (filter!(source: source("zendesk")), true),
        (filter!(source: source("Zendesk")), false),
        (filter!(email_parts: parts(&["ACME"])), true),
        (filter!(email_parts: parts(&["@a"])), true),
        (filter!(email_parts: parts(&["user1@", "user2@"])), true),
        (filter!(email_parts: parts(&["user1@", "2@"])), true),
        (filter!(name_parts: parts(&["ÄNN"])), true),
        (filter!(name_parts: parts(&["本"])), true),
        (
            filter!(name_parts: parts(&["nn"]), email_parts: parts(&["globex"])),
            true,
        ),
        (
            filter!(name_parts: parts(&["ann"]), email_parts: parts(&["gl"])),
            true,
        ),
        (
            filter!(name_parts: parts(&["ann"]), email_parts: parts(&["glob"])),
            true,
        ),
        (filter!(text: text("ÄNN")), true),
        (filter!(text: text("USER1")), true),
        (filter!(text: text("nn")), true),
        (filter!(text: text("@A")), true),
        (filter!(text: text("nobody")), false),
        (filter!(text: text("user"), name_parts: parts(&["nn"])), true),
        (filter!(text: text("us"), email_parts: parts(&["globex"])), true),
        (filter!(created: TimeRange { from, until: None }), true),
        (filter!(created: TimeRange { from: None, until: from, }), true),
        (filter!(created: TimeRange { from, until }), true),
        (filter!(created: TimeRange { from: until, until: from, }), false),
        (filter!(seen: TimeRange { from, until: None }), true),
        (filter!(seen: TimeRange { from: None, until: from, }), true),
        (filter!(seen: TimeRange { from, until }), true),
        (
            filter!(
                roles: vec![Some(Role::Editor), Some(Role::Viewer)],
                team: Some(TeamNumber(2)),
                enabled: Some(true),
                email_parts: parts(&["example"]),
                created: TimeRange { from: None, until }
            ),
            true,
        ),
    ] {
        let expected: Vec<_> = members
            .iter()
            .filter(|entry| lets_through(&filter, entry))
            .cloned()
            .collect();
        assert_eq!(!expected.is_empty(), any, "{filter:?}");
        assert_eq!(
            fixture.filtered(acme, filter.clone()).await,
            expected,
            "{filter:?}"
        );
    }
}

fn filters(members: &[Member]) -> impl Strategy<Value = MemberFilter> + use<> {
    let times: Vec<_> = members.iter().map(|entry| entry.created_at).collect();
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
    let text = proptest::sample::select(&["a", "ÄNN", "ann", "@g", "EXAMPLE", "1", "user2", "zz"][..]);
    let rare = |range| proptest::option::weighted(0.3, range);
    let times = move || {
        let time = proptest::option::weighted(0.2, proptest::sample::select(times.clone()));
        (time.clone(), time).prop_map(|(from, until)| TimeRange { from, until })
    };
    (
        (
            proptest::collection::vec(role, 0..4),
            proptest::option::weighted(0.3, any::<bool>()),
        ),
        rare(1_i64..4),
        proptest::option::weighted(0.3, any::<bool>()),
        proptest::option::weighted(0.3, proptest::sample::select(&["portal", "zendesk", "api"][..])),
        part(&["1", "@g", "ACM", "example.com", "zz", "user3"]),
        part(&["a", "Ä", "nn", "ANN", "änne", "日", "zz", "bob"]),
        proptest::option::weighted(0.3, text),
        (times(), times()),
    )
        .prop_map(
            |((roles, end_user), team, enabled, source, email_parts, name_parts, text, (created, seen))| {
                MemberFilter {
                    roles,
                    end_user,
                    team: team.map(TeamNumber),
                    enabled,
                    source: source.map(|source| source.parse().unwrap()),
                    email_parts,
                    name_parts,
                    text: text.map(str::to_owned),
                    created,
                    seen,
                }
            },
        )
}

pub(super) async fn any_filter_lists_what_it_counts_in_any_order_and_page_by_page(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let members = crowd(&fixture, acme).await;
    let (orders, filters) = (orders(), filters(&members));
    let mut runner = TestRunner::deterministic();
    for case in 0..160 {
        let filter = filters.new_tree(&mut runner).unwrap().current();
        let (order, descending) = orders[case % orders.len()];
        let mut expected: Vec<_> = members
            .iter()
            .filter(|entry| lets_through(&filter, entry))
            .cloned()
            .collect();
        sort(&mut expected, order, descending);
        let total = fixture.filtered(acme, filter.clone()).await.len();
        assert_eq!(total, expected.len(), "{filter:?}");
        let query = MemberQuery {
            filter: filter.clone(),
            order,
            descending,
            limit: [1, 3, 7][case % 3],
            ..MemberQuery::default()
        };
        assert_eq!(
            numbers(&pages(&fixture, acme, query.clone()).await),
            numbers(&expected),
            "{query:?}"
        );
        let skip = case % 5;
        let skipped = MemberQuery {
            skip: skip as u64,
            limit: u32::MAX,
            ..query
        };
        let skipped = fixture.list(acme, skipped).await;
        assert_eq!(numbers(&skipped), numbers(&expected)[skip.min(expected.len())..]);
    }
}
