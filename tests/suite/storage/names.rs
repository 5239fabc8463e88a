//! First and last names, and the name that they make.

use userbridge::domain::{DisplayName, FamilyName, GivenName, Member, MemberPatch};

use super::{
    fixture::Fixture,
    people::{set, values},
};

/// First name, last name, name.
fn names(member: &Member) -> [Option<&str>; 3] {
    let person = &member.person;
    [
        person.given_name.as_ref().map(GivenName::as_str),
        person.family_name.as_ref().map(FamilyName::as_str),
        member.profile.name.as_ref().map(DisplayName::as_str),
    ]
}

pub(super) async fn first_and_last_name_make_the_name_unless_it_is_given(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let linked = values! { given_name: set("Sally"), family_name: set("Doe") };
    let mut sally = fixture.person(acme, linked).await;
    assert_eq!(names(&sally), [Some("Sally"), Some("Doe"), Some("Sally Doe")]);
    let changes: [(MemberPatch, _); 9] = [
        (
            values! { family_name: set("Roe") },
            [Some("Sally"), Some("Roe"), Some("Sally Roe")],
        ),
        (values! { given_name: None }, [None, Some("Roe"), Some("Roe")]),
        // A name that was made of parts goes with the last of them.
        (values! { family_name: None }, [None, None, None]),
        (
            values! { name: set("Dr. Doe"), given_name: set("Sally") },
            [Some("Sally"), None, Some("Dr. Doe")],
        ),
        // The name as it is changes nothing.
        (
            values! { name: set("Dr. Doe") },
            [Some("Sally"), None, Some("Dr. Doe")],
        ),
        // One that was not stays.
        (values! { given_name: None }, [None, None, Some("Dr. Doe")]),
        (
            values! { family_name: set("Roe") },
            [None, Some("Roe"), Some("Roe")],
        ),
        (values! { name: set("Tom") }, [None, None, Some("Tom")]),
        (values! { name: None }, [None, None, None]),
    ];
    for (patch, expected) in changes {
        sally = fixture.update(acme, &sally, patch.clone()).await.unwrap();
        assert_eq!(names(&sally), expected, "{patch:?}");
        assert_eq!(fixture.now(acme, &sally).await, sally);
    }
}

pub(super) async fn the_longest_first_and_last_name_make_a_name(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let part = "ä".repeat(127);
    let linked = values! { given_name: set(part.as_str()), family_name: set(part.as_str()) };
    let member = fixture.person(acme, linked).await;
    let whole = format!("{part} {part}");
    assert_eq!(names(&member), [Some(&part[..]), Some(&part), Some(&whole)]);
}

pub(super) async fn an_event_names_the_parts_of_a_name_and_an_erasure_removes_them(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let linked = values! { given_name: set("Sally"), onboarded: true };
    let sally = fixture.person(acme, linked).await;
    let all = ["name", "portal_role", "given_name", "onboarded", "source"];
    assert_eq!(fixture.last_event(acme).await.fields, all);
    assert!(fixture.now(acme, &sally).await.access.onboarded);
    fixture.erase(acme, &sally).await.unwrap();
    let erased = fixture.now(acme, &sally).await;
    assert_eq!(names(&erased), [None; 3]);
    assert!(!erased.access.onboarded);
}
