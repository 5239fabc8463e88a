//! Imports: what many rows at once come to.

use std::collections::{BTreeMap, BTreeSet};

use userbridge::{
    domain::{
        Email, EventKind, EventQuery, ImportRow, LinkOutcome, Member, MemberFilter, MemberPatch, MemberQuery,
        OrganizationId, Origin, PageRequest, Role, TeamNumber, Timestamp, UserId,
    },
    service::{Directory, Imported, Rejection, Write},
};

use super::{
    fixture::Fixture,
    people::{DAY, address, later, origin, set, values},
};
use crate::support::{Count as _, rules::LinkMember};

pub(super) fn directory(fixture: &Fixture) -> Directory {
    Directory::new(fixture.storage().0.clone())
}

pub(super) fn row(origin: Origin, values: MemberPatch) -> ImportRow {
    ImportRow {
        origin,
        values,
        last_seen_at: None,
    }
}

/// Everybody who is live, in the order of their numbers.
pub(super) async fn members(fixture: &Fixture, organization: OrganizationId) -> Vec<Member> {
    let query = MemberQuery {
        limit: u32::MAX,
        ..MemberQuery::default()
    };
    fixture.storage().members(organization, query).await.unwrap()
}

/// The same without what two organizations can't have in common.
async fn everybody(fixture: &Fixture, organization: OrganizationId, domain: &str) -> Vec<Member> {
    let zero = Timestamp::from_millis(0);
    let members = members(fixture, organization).await;
    let strip = |member: Member| Member {
        id: uuid::Uuid::nil().to_string().parse().unwrap(),
        user_id: uuid::Uuid::nil().to_string().parse().unwrap(),
        profile: userbridge::domain::Profile {
            email: member
                .profile
                .email
                .map(|email| set::<Email>(&email.as_str().replace(domain, "x")).unwrap()),
            ..member.profile
        },
        created_at: zero,
        email_since: zero,
        updated_at: zero,
        ..member
    };
    members.into_iter().map(strip).collect()
}

/// Kinds, sources and fields of the events about members.
pub(super) async fn told(
    fixture: &Fixture,
    organization: OrganizationId,
) -> Vec<(i64, EventKind, Option<String>, Vec<String>)> {
    let query = EventQuery {
        limit: u32::MAX,
        ..EventQuery::default()
    };
    let events = fixture.storage().events(Some(organization), query).await.unwrap();
    let told = events.into_iter().filter(|event| event.member_id.is_some());
    told.map(|event| {
        (
            event.sequence,
            event.kind,
            event.source.map(Into::into),
            event.fields,
        )
    })
    .collect()
}

/// Numbers that look like random ones, the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// Rows about few people, so that many are about the same one, in one way or the other.
fn rows(domain: &str, count: usize, seed: u64) -> Vec<ImportRow> {
    let mut numbers = Numbers(seed);
    let mut rows = Vec::new();
    for _ in 0..count {
        let mut values = MemberPatch::default();
        if numbers.below(5) > 0 {
            values.email = Some(set(&format!("p{}@{domain}", numbers.below(40))));
        }
        if numbers.below(3) > 0 {
            values.name = Some(set(&format!("Name {}", numbers.below(3))));
        }
        match numbers.below(12) {
            0 => values.given_name = Some(set(&format!("Given {}", numbers.below(2)))),
            1 => values.family_name = Some(set("Family")),
            2 => values.avatar_url = Some(set(&format!("https://example.com/{}", numbers.below(2)))),
            3 => values.company_name = Some(set("Company")),
            4 => values.customer_status = Some(set(["trial", "paying"][usize::from(numbers.below(2) > 0)])),
            5 => values.locale = Some(set("en")),
            6 => values.locale = Some(None),
            7 => values.portal_role = Some(set("admin")),
            _ => {}
        }
        if numbers.below(8) == 0 {
            values.role = Some(Some(Role::Editor));
        }
        if numbers.below(8) == 0 {
            values.enabled = Some(false);
        }
        match numbers.below(10) {
            0 => values.teams = Some(vec![TeamNumber::ROOT]),
            1 => values.primary_team = Some(TeamNumber::ROOT),
            2 => values.primary_team = Some(TeamNumber(77)),
            _ => {}
        }
        let source = ["zendesk", "import"][usize::try_from(numbers.below(2)).unwrap()];
        let external_id = (numbers.below(3) > 0).then(|| format!("{}", numbers.below(40)));
        let origin = Origin {
            source: source.parse().unwrap(),
            external_id: external_id.map(|id| id.parse().unwrap()),
        };
        rows.push(row(origin, values));
    }
    rows
}

pub(super) async fn an_import_comes_to_what_links_one_by_one_come_to(fixture: Fixture) {
    let [many, each, other] = [
        fixture.organization("many").await,
        fixture.organization("each").await,
        fixture.organization("other").await,
    ];
    // Some addresses lead to somebody who is elsewhere.
    let mut elsewhere = BTreeMap::new();
    for domain in ["many.example", "each.example"] {
        for number in 0..8 {
            let email = format!("p{number}@{domain}");
            let member = fixture.person(other, address(&email)).await;
            elsewhere.insert(email, member.user_id);
        }
    }
    let directory = directory(&fixture);
    // In those of a dozen most people are in one row, by which they are changed.
    let dozens = (23..53).map(|seed| (seed, 12));
    for (seed, size) in [(7, 1), (11, 60), (13, 200), (17, 400), (19, 200)]
        .into_iter()
        .chain(dozens)
    {
        let imported = directory
            .import_members(Write::operator(many), rows("many.example", size, seed).into())
            .await
            .unwrap();
        for (place, row) in rows("each.example", size, seed).into_iter().enumerate() {
            let outcome = imported[place];
            if row.values.email.is_none() && row.origin.external_id.is_none() {
                assert_eq!(outcome, Imported::Rejected(Rejection::Unidentified));
                continue;
            }
            let link = LinkMember {
                origin: row.origin.clone(),
                ..fixture.link_with(row.values)
            };
            let change = userbridge::domain::Change {
                source: Some(row.origin.source),
                ..fixture.change()
            };
            let linked = fixture
                .storage()
                .link_member(each, link, userbridge::domain::Idempotency::never(), change)
                .await;
            let same = match (&linked, outcome) {
                (Err(_), Imported::Rejected(_)) => true,
                (Ok(linked), outcome) => matches!(
                    (crate::support::first(linked.clone()).outcome, outcome),
                    (LinkOutcome::Created, Imported::Created(_))
                        | (LinkOutcome::Updated, Imported::Updated(_))
                        | (LinkOutcome::Unchanged, Imported::Unchanged(_))
                ),
                _ => false,
            };
            assert!(same, "{seed} {place}: {linked:?} {outcome:?}");
        }
        // Numbers are in the order of the rows among those who are new, and of the others after them.
        let by_key = |mut members: Vec<Member>| {
            members.sort_by_key(|member| format!("{:?} {:?}", member.profile.email, member.origin));
            for member in &mut members {
                member.number.0 = 0;
            }
            members
        };
        assert_eq!(
            by_key(everybody(&fixture, many, "many.example").await),
            by_key(everybody(&fixture, each, "each.example").await),
            "{seed}"
        );
    }
    let without_order = |told: Vec<(i64, EventKind, Option<String>, Vec<String>)>| {
        let sequences: Vec<_> = told.iter().map(|event| event.0).collect();
        assert!(sequences.windows(2).all(|pair| pair[0] + 1 == pair[1]));
        let mut told: Vec<_> = told
            .into_iter()
            .map(|(_, kind, source, fields)| format!("{} {source:?} {fields:?}", kind.as_str()))
            .collect();
        told.sort();
        told
    };
    assert_eq!(
        without_order(told(&fixture, many).await),
        without_order(told(&fixture, each).await)
    );
    let query = MemberQuery {
        limit: u32::MAX,
        ..MemberQuery::default()
    };
    let members = fixture.storage().members(many, query).await.unwrap();
    let mut met = 0;
    for member in &members {
        let email = member.profile.email.as_ref().map(Email::as_str);
        if let Some(user) = email.and_then(|email| elsewhere.get(email))
            && member.email_since == member.created_at
            && member.user_id == *user
        {
            met += 1;
        }
    }
    assert!(met > 0, "somebody who is elsewhere is met");
    let users: BTreeSet<UserId> = members.iter().map(|member| member.user_id).collect();
    assert_eq!(users.len(), members.len(), "nobody is linked twice");
}

pub(super) async fn an_import_that_is_repeated_changes_nothing(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let directory = directory(&fixture);
    let rows: Vec<_> = (0..600)
        .map(|number| ImportRow {
            last_seen_at: (number % 3 == 0).then(|| later(fixture.change().at, -DAY)),
            ..row(
                origin("zendesk", &number.to_string()),
                values! {
                    email: set(&format!("p{number}@acme.example")),
                    name: set("Somebody"),
                    locale: set("en"),
                    enabled: number % 5 > 0,
                },
            )
        })
        .collect();
    let import = || directory.import_members(Write::operator(acme), rows.clone().into());
    let first = import().await.unwrap();
    assert!(
        first
            .iter()
            .all(|imported| matches!(imported, Imported::Created(_)))
    );
    let before = (everybody(&fixture, acme, "-").await, told(&fixture, acme).await);
    let again = import().await.unwrap();
    let unchanged: Vec<_> = first
        .iter()
        .map(|imported| match imported {
            Imported::Created(member) => Imported::Unchanged(*member),
            other => *other,
        })
        .collect();
    assert_eq!(again, unchanged);
    assert_eq!(
        (everybody(&fixture, acme, "-").await, told(&fixture, acme).await),
        before
    );
    // Who was seen later is noted, which is no event.
    let later_row = ImportRow {
        last_seen_at: Some(fixture.change().at),
        ..rows[0].clone()
    };
    let seen = directory
        .import_members(Write::operator(acme), vec![later_row].into())
        .await;
    assert!(matches!(seen.unwrap()[..], [Imported::Updated(_)]));
    assert_eq!(told(&fixture, acme).await, before.1);
}

/// They are written in the order of their addresses, some at a time.
pub(super) async fn rows_of_an_import_come_in_their_order(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let directory = directory(&fixture);
    // No two rows that follow each other have addresses that do.
    let address = |number: usize| format!("{}@acme.example", number * 7_919 % 10_007);
    let mut people = Vec::new();
    let mut ids = Vec::new();
    for (first, end) in [(0, 2_700), (2_700, 3_000)] {
        let rows = (first..end).map(|number| {
            let name = format!("Person {number}");
            people.push(name.clone());
            row(
                Origin::default(),
                values! { email: set(&address(number)), name: set(&name) },
            )
        });
        let rows: Vec<_> = rows.collect();
        let imported = directory.import_members(Write::operator(acme), rows.into()).await;
        ids.extend(imported.unwrap().into_iter().map(|imported| match imported {
            Imported::Created(id) => id,
            other => panic!("{other:?}"),
        }));
    }
    let members = members(&fixture, acme).await;
    assert_eq!(members.iter().map(|member| member.id).collect::<Vec<_>>(), ids);
    // Their texts are found again to be changed.
    let renamed = people.iter_mut().enumerate().skip(5).step_by(97);
    let renamed = renamed.map(|(number, name)| {
        *name = format!("Renamed {number}");
        row(
            Origin::default(),
            values! { email: set(&address(number)), name: set(name) },
        )
    });
    let renamed: Vec<_> = renamed.collect();
    let imported = directory
        .import_members(Write::operator(acme), renamed.into())
        .await;
    let is_changed = |imported: &Imported| matches!(imported, Imported::Updated(_));
    assert!(imported.unwrap().iter().all(is_changed));
    let named = async |filter| {
        let query = MemberQuery {
            filter,
            limit: u32::MAX,
            ..MemberQuery::default()
        };
        let members = fixture.storage().members(acme, query).await.unwrap();
        members
            .into_iter()
            .map(|member| member.profile.name.unwrap().as_str().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(named(MemberFilter::default()).await, people);
    for (number, name) in people.iter().enumerate().step_by(97) {
        let by_email = MemberFilter {
            email_parts: vec![address(number)],
            ..MemberFilter::default()
        };
        assert!(named(by_email).await.contains(name), "{name}");
    }
    for name in [&people[5], &people[6], "Person 5", "Renamed"] {
        let by_name = MemberFilter {
            name_parts: vec![name.to_owned()],
            ..MemberFilter::default()
        };
        let found = people.iter().filter(|other| other.contains(name));
        assert_eq!(named(by_name).await, found.cloned().collect::<Vec<_>>());
    }
}

/// Rows that are linked one by one are in transactions of hundreds.
pub(super) async fn rows_that_take_long_are_imported_in_parts(fixture: Fixture) {
    const ROWS: usize = 1_200;
    let acme = fixture.organization("acme").await;
    let team = fixture.team(acme, "sales").await.unwrap().number;
    let rows = (0..ROWS).map(|number| {
        let teams = if number % 100 == 50 {
            Vec::new()
        } else {
            vec![team]
        };
        row(
            Origin::default(),
            values! { email: set(&format!("p{number}@acme.example")), teams: teams },
        )
    });
    let rows: Vec<_> = rows.collect();
    let imported = directory(&fixture)
        .import_members(Write::operator(acme), rows.clone().into())
        .await
        .unwrap();
    let ids = imported.into_iter().map(|imported| match imported {
        Imported::Created(id) => id,
        other => panic!("{other:?}"),
    });
    let ids: Vec<_> = ids.collect();
    assert_eq!(ids.len(), ROWS);
    let mut times = BTreeSet::new();
    for member in members(&fixture, acme).await {
        times.insert(member.created_at.as_millis());
        let place = ids.iter().position(|id| *id == member.id).unwrap();
        assert_eq!(
            (member.profile.email, Some(member.teams)),
            (
                rows[place].values.email.clone().unwrap(),
                rows[place].values.teams.clone()
            )
        );
    }
    assert!(times.len() >= 3, "one for each transaction: {times:?}");
}

/// What describes people is changed of many at once, and found by that afterwards.
pub(super) async fn people_are_described_otherwise_by_an_import(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let directory = directory(&fixture);
    let seen = later(fixture.change().at, -DAY);
    let file = |name: &'static str, status: &'static str, id: &'static str| -> Vec<_> {
        let rows = (0..60).map(|number| ImportRow {
            last_seen_at: Some(later(seen, number)),
            ..row(
                Origin {
                    source: "zendesk".parse().unwrap(),
                    external_id: (!id.is_empty()).then(|| format!("{id}{number}").parse().unwrap()),
                },
                values! {
                    email: set(&format!("p{number}@acme.example")),
                    name: set(&format!("{name} {number}")),
                    customer_status: set(status),
                },
            )
        });
        rows.collect()
    };
    let import = async |rows: Vec<_>| {
        let imported = directory.import_members(Write::operator(acme), rows.into());
        imported.await.unwrap()
    };
    import(file("Before", "trial", "")).await;
    let before = members(&fixture, acme).await;
    let log = told(&fixture, acme).await.len();
    let imported = import(file("After", "paying", "z")).await;
    let updated: Vec<_> = before.iter().map(|member| Imported::Updated(member.id)).collect();
    assert_eq!(imported, updated);
    let after = members(&fixture, acme).await;
    for (number, (before, after)) in before.iter().zip(&after).enumerate() {
        let mut expected = before.clone();
        expected.profile.name = set(&format!("After {number}"));
        expected.profile.customer_status = set("paying");
        expected.origin = origin("zendesk", &format!("z{number}"));
        expected.version = 2;
        expected.updated_at = after.updated_at;
        assert_eq!(*after, expected);
    }
    let events = told(&fixture, acme).await.split_off(log);
    assert_eq!(events.len(), 60);
    for event in events {
        assert_eq!(event.1, EventKind::MemberUpdated);
        assert_eq!(event.2.as_deref(), Some("zendesk"));
        assert_eq!(event.3, ["name", "customer_status", "external_id"]);
    }
    for (part, count) in [("after 7", 1), ("before", 0)] {
        let filter = MemberFilter {
            name_parts: vec![part.to_owned()],
            ..MemberFilter::default()
        };
        assert_eq!(
            fixture.storage().count_members(acme, filter).await.unwrap(),
            count,
            "{part}"
        );
    }
    assert!(
        import(file("After", "paying", "z"))
            .await
            .iter()
            .all(|imported| matches!(imported, Imported::Unchanged(_)))
    );
}

pub(super) async fn a_row_that_is_rejected_leaves_the_others_alone(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let owner = fixture.holder(acme, "owner@acme.example", Role::Owner).await;
    let sally = fixture.person(acme, address("sally@acme.example")).await;
    let tom = LinkMember {
        origin: origin("zendesk", "tom"),
        ..fixture.link_with(address("tom@acme.example"))
    };
    fixture.link_as(acme, tom).await.unwrap();
    let log = fixture.log_of(acme).await.len();
    let new = |email: &str| row(Origin::default(), address(email));
    let rows = vec![
        new("new1@acme.example"),
        row(
            Origin::default(),
            values! { email: set("owner@acme.example"), role: Some(Role::Viewer) },
        ),
        // Sally has the address.
        row(origin("zendesk", "tom"), address("sally@acme.example")),
        row(
            Origin::default(),
            values! { email: set("lost@acme.example"), teams: vec![TeamNumber(9)] },
        ),
        row(
            Origin::default(),
            values! { email: set("sally@acme.example"), name: set("Sally") },
        ),
        new("new2@acme.example"),
    ];
    let rehearsed = directory(&fixture)
        .rehearse_import(Write::operator(acme), rows.clone().into())
        .await
        .unwrap();
    assert_eq!(fixture.log_of(acme).await.len(), log, "nothing has happened");
    assert_eq!(fixture.now(acme, &sally).await, sally);
    let imported = directory(&fixture)
        .import_members(Write::operator(acme), rows.into())
        .await
        .unwrap();
    assert!(
        matches!(
            imported[..],
            [
                Imported::Created(_),
                Imported::Rejected(Rejection::Precondition(_)),
                Imported::Rejected(Rejection::Conflict(_)),
                Imported::Rejected(Rejection::NotFound(_)),
                Imported::Updated(_),
                Imported::Created(_),
            ]
        ),
        "{imported:?}"
    );
    let kinds = |all: &[Imported]| -> Vec<_> { all.iter().map(std::mem::discriminant).collect() };
    assert_eq!(kinds(&rehearsed), kinds(&imported));
    assert_eq!(fixture.now(acme, &owner).await, owner);
    assert_eq!(fixture.log_of(acme).await.len(), log + 3);
    let lost = userbridge::domain::MemberRef::Email(set::<Email>("lost@acme.example").unwrap());
    assert_eq!(fixture.finds(acme, lost).await, None);
}

/// Their rows are in the order of their addresses, and their numbers are not.
pub(super) async fn imported_people_who_were_revoked_at_one_moment_come_by_their_numbers(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let rows = (b'a'..=b'z').rev().map(|letter| ImportRow {
        // As some programs write that somebody was never seen.
        last_seen_at: Some(Timestamp::from_millis(-62_135_596_800_000)),
        ..row(
            Origin::default(),
            address(&format!("{}@acme.example", char::from(letter))),
        )
    });
    let rows: Vec<_> = rows.collect();
    let directory = directory(&fixture);
    let imported = directory.import_members(Write::operator(acme), rows.into());
    imported.await.unwrap();
    let change = fixture.change();
    for member in members(&fixture, acme).await {
        assert_eq!(member.last_seen_at, None);
        let revoked = fixture
            .storage()
            .revoke_user(acme, member.user_id, change.clone());
        assert!(revoked.await.unwrap());
    }
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = PageRequest { after, limit: 10 };
        let from = Timestamp::from_millis(0).into();
        let page = fixture.storage().revoked_members(acme, from, page).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some((last.revoked_at.unwrap(), last.number));
        found.extend(page.iter().map(|member| member.number.0));
    }
    assert_eq!(found, (1..=26).rev().collect::<Vec<_>>());
}
