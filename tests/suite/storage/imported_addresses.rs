//! Imports of addresses that other organizations know as well.

use std::collections::{BTreeMap, BTreeSet};

use tokio::task::JoinSet;
use userbridge::{
    domain::{EventKind, ImportRow, MemberFilter, MemberQuery, Origin, Timestamp, UserId},
    service::{Imported, ServiceError, Write},
};

use super::{
    fixture::Fixture,
    imports::{directory, members, row, told},
    people::{DAY, address},
};

pub(super) async fn addresses_that_two_organizations_import_at_once_are_the_same_people(fixture: Fixture) {
    let [acme, globex] = [
        fixture.organization("acme").await,
        fixture.organization("globex").await,
    ];
    let mut imports = JoinSet::new();
    for organization in [acme, globex] {
        for part in 0..4 {
            let directory = directory(&fixture);
            // In another order there.
            let mut numbers: Vec<_> = (part * 50..(part + 1) * 50).collect();
            if organization == globex {
                numbers.reverse();
            }
            let rows = numbers
                .into_iter()
                .map(|number| row(Origin::default(), address(&format!("p{number}@both.example"))));
            let rows: Vec<_> = rows.collect();
            imports.spawn(async move {
                // On PostgreSQL they wait for each other's addresses, on a busy machine for longer than a change may.
                for _ in 0..20 {
                    let imported =
                        directory.import_members(Write::operator(organization), rows.clone().into());
                    match imported.await {
                        Ok(imported) => return imported.len(),
                        Err(ServiceError::Unavailable(_)) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
                panic!("they are in each other's way for ever")
            });
        }
    }
    assert_eq!(imports.join_all().await, [50; 8]);
    let mut users = BTreeMap::<String, BTreeSet<UserId>>::new();
    for organization in [acme, globex] {
        let query = MemberQuery {
            limit: u32::MAX,
            ..MemberQuery::default()
        };
        for member in fixture.storage().members(organization, query).await.unwrap() {
            let email = member.profile.email.unwrap().into();
            users.entry(email).or_default().insert(member.user_id);
        }
    }
    assert_eq!(users.len(), 200);
    assert!(users.values().all(|of_one| of_one.len() == 1), "{users:?}");
}

/// Neither numbers nor events.
pub(super) async fn an_import_tells_of_no_address_whether_others_know_it(fixture: Fixture) {
    let [acme, globex, initech] = [
        fixture.organization("acme").await,
        fixture.organization("globex").await,
        fixture.organization("initech").await,
    ];
    let mut users = BTreeMap::new();
    for number in (0..12).step_by(2) {
        let email = format!("p{number}@both.example");
        let person = fixture.person(globex, address(&email)).await;
        if number % 4 == 0 {
            fixture.revoke(globex, &person).await.unwrap();
        }
        users.insert(email, person.user_id);
    }
    // Two addresses lead to one user, who is the first of them here.
    let both = fixture.person(globex, address("q1@both.example")).await;
    fixture
        .link_user(initech, both.user_id, "q2@both.example")
        .await
        .unwrap();
    users.insert("q1@both.example".to_owned(), both.user_id);
    // Somebody who was here before, until an integrator's delete, which leaves entries of indexes as they were.
    let former = fixture.person(acme, address("p11@both.example")).await;
    let revoked = fixture
        .storage()
        .revoke_user(acme, former.user_id, fixture.change());
    assert!(revoked.await.unwrap());
    users.insert("p11@both.example".to_owned(), former.user_id);
    let before = told(&fixture, acme).await.len();

    let emails = (0..12).rev().map(|number| format!("p{number}@both.example"));
    let both_emails = ["q1@both.example", "q2@both.example"].map(str::to_owned);
    let emails: Vec<_> = emails.chain(both_emails).collect();
    let rows = emails.iter().map(|email| ImportRow {
        last_seen_at: Some(Timestamp::from_millis(DAY)),
        ..row(Origin::default(), address(email))
    });
    let rows: Vec<_> = rows.collect();
    let directory = directory(&fixture);
    let imported = directory.import_members(Write::operator(acme), rows.clone().into());
    let imported = imported.await.unwrap();
    assert!(imported.iter().all(|row| matches!(row, Imported::Created(_))));
    let members = members(&fixture, acme).await;
    let found = members
        .iter()
        .map(|member| member.profile.email.clone().unwrap().into());
    assert_eq!(found.collect::<Vec<String>>(), emails);
    for member in &members {
        let email = member.profile.email.as_ref().unwrap().as_str();
        let user = users.get(email);
        assert!(user.is_none_or(|user| *user == member.user_id), "{email}");
        assert_ne!(member.id, former.id);
        assert_eq!(member.last_seen_at, Some(Timestamp::from_millis(DAY)));
    }
    let events = told(&fixture, acme).await.split_off(before);
    assert_eq!(events.len(), emails.len());
    for event in &events {
        assert_eq!((event.1, &event.3), (EventKind::MemberLinked, &events[0].3));
    }
    // All of it once more changes nothing, and the texts of searches are in order.
    let again = directory.import_members(Write::operator(acme), rows.into()).await;
    assert!(
        again
            .unwrap()
            .iter()
            .all(|row| matches!(row, Imported::Unchanged(_)))
    );
    let both = MemberFilter {
        text: Some("BOTH.example".to_owned()),
        ..MemberFilter::default()
    };
    assert_eq!(fixture.filtered(acme, both).await.len(), emails.len());
}

/// Those of strangers are as random as that of somebody whom others know.
pub(super) async fn the_ids_of_users_are_in_no_order_of_an_import(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let rows = (0..64).map(|number| row(Origin::default(), address(&format!("p{number:02}@acme.example"))));
    let rows: Vec<_> = rows.collect();
    let directory = directory(&fixture);
    let imported = directory.import_members(Write::operator(acme), rows.into());
    imported.await.unwrap();
    let found = members(&fixture, acme).await;
    assert_eq!(found.len(), 64);
    assert!(found.is_sorted_by_key(|member| member.id));
    let pairs = found.windows(2);
    let ascending = pairs.filter(|pair| pair[0].user_id < pair[1].user_id).count();
    assert!((12..52).contains(&ascending), "{ascending} of 63");
}
