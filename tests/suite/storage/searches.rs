//! Search: parts of names and addresses, whatever their letter case, and nothing but parts.

use userbridge::domain::{Member, MemberFilter, OrganizationId};

use super::{
    fixture::Fixture,
    people::{address, names, set, values},
};

async fn by_name(fixture: &Fixture, organization: OrganizationId, part: &str) -> Vec<Member> {
    let filter = MemberFilter {
        name_parts: vec![part.to_owned()],
        ..MemberFilter::default()
    };
    fixture.filtered(organization, filter).await
}

async fn by_email(fixture: &Fixture, organization: OrganizationId, part: &str) -> Vec<Member> {
    let filter = MemberFilter {
        email_parts: vec![part.to_owned()],
        ..MemberFilter::default()
    };
    fixture.filtered(organization, filter).await
}

async fn named(fixture: &Fixture, organization: OrganizationId, names: &[&str]) {
    for name in names {
        fixture.person(organization, values! { name: set(name) }).await;
    }
}

pub(super) async fn every_part_of_a_name_finds_it(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let name = "Zoë van-der Ölß 日本 😀";
    named(&fixture, acme, &["Somebody else", name, "Zo"]).await;
    let characters: Vec<char> = name.chars().collect();
    for length in 1..=characters.len() {
        for part in characters.windows(length) {
            let part: String = part.iter().collect();
            let found = by_name(&fixture, acme, &part).await;
            assert!(names(&found).contains(&name), "{part:?}");
            if length > 3 {
                assert_eq!(found.len(), 1, "{part:?}");
            }
        }
    }
    for part in ["Zoë  van", "vander", "ë 日", "nobody"] {
        assert_eq!(by_name(&fixture, acme, part).await, [], "{part:?}");
    }
}

pub(super) async fn letter_case_does_not_matter_beyond_ascii_either(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    for (name, parts) in [
        ("Ärzte ÖKO", &["ärz", "ÄRZ", "ärzte öko", "ÄR", "ö"][..]),
        (
            "Οδυσσέας",
            &[
                "ΟΔΥΣΣΈΑΣ",
                "οδυσσέας",
                "ΔΥΣΣ",
                "ΣΣ",
                "Σ",
                "ς",
                "έασ",
                "έας",
                "ΈΑΣ",
            ],
        ),
        (
            "ΣΊΣΥΦΟΣ",
            &["σίσυφος", "Σίσ", "ΦΟΣ", "φοσ", "φος", "ΣΊΣ", "σίσυφοσ"],
        ),
        ("İstanbul", &["i\u{307}stan", "İST", "STANBUL", "stanbul"]),
        ("Weiß", &["WEIẞ", "weiß", "eiß", "weiss", "WEISS"]),
        ("ПЁТР Żółć", &["пёт", "ПЁТР", "żół", "ŻÓŁĆ", "Ó"]),
        ("ǅungla", &["ǆun", "Ǆun", "ǅUN"]),
    ] {
        let entry = fixture.person(acme, values! { name: set(name) }).await;
        for part in parts {
            let found = by_name(&fixture, acme, part).await;
            assert!(found.contains(&entry), "{part:?} is a part of {name:?}");
        }
    }
    // A letter is not another letter.
    for part in ["arzte", "zolc", "петр"] {
        assert_eq!(by_name(&fixture, acme, part).await, [], "{part}");
    }
    let jurgen = fixture.person(acme, address("JÜRGEN@Bücher.example")).await;
    for part in ["jür", "JÜ", "ü", "bÜCHER.EX", "jürgen@bücher.example"] {
        assert_eq!(
            by_email(&fixture, acme, part).await,
            std::slice::from_ref(&jurgen),
            "{part}"
        );
    }
}

pub(super) async fn what_a_query_language_would_read_is_read_as_it_stands(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let odd = [
        "100% sure",
        "under_score",
        "a \"quoted\" b",
        "star*light",
        "O'Brien",
        "Tom AND Ann",
        "Tom OR Ann",
        "NOT Ann",
        "NEAR(a b, 2)",
        "name : Ann",
        "email:ann^2",
        "{name} + (Ann)",
        "back\\slash",
        "-minus",
        "semi;colon--",
        "\"\"\"",
        "organization",
        "一一一",
    ];
    named(&fixture, acme, &odd).await;
    named(
        &fixture,
        acme,
        &["Ann", "Tom", "1000 sure", "underXscore", "starlight"],
    )
    .await;
    for name in odd {
        assert_eq!(names(&by_name(&fixture, acme, name).await), [name]);
    }
    for (part, expected) in [
        ("%", &["100% sure"][..]),
        ("0% ", &["100% sure"]),
        ("_", &["under_score"]),
        ("r_s", &["under_score"]),
        ("*", &["star*light"]),
        ("ar*", &["star*light"]),
        ("'", &["O'Brien"]),
        ("O'B", &["O'Brien"]),
        ("\"q", &["a \"quoted\" b"]),
        ("\"quo", &["a \"quoted\" b"]),
        ("\"\"", &["\"\"\""]),
        ("AND", &["Tom AND Ann"]),
        (" OR ", &["Tom OR Ann"]),
        ("not", &["NOT Ann"]),
        ("near(", &["NEAR(a b, 2)"]),
        ("ann^", &["email:ann^2"]),
        ("\\", &["back\\slash"]),
        ("k\\s", &["back\\slash"]),
        ("*light", &["star*light"]),
        ("%%%", &[]),
        ("___", &[]),
        ("* *", &[]),
        ("' OR ''='", &[]),
        ("一一一", &["一一一"]),
    ] {
        assert_eq!(names(&by_name(&fixture, acme, part).await), expected, "{part:?}");
    }
    // Neither what stands for the organization nor the other column is part of a name.
    fixture.person(acme, address("ann-nobody@acme.example.com")).await;
    assert_eq!(names(&by_name(&fixture, acme, "nobody").await), [""; 0]);
    assert_eq!(names(&by_email(&fixture, acme, "Tom").await), [""; 0]);
    for ordinal in ["一一丁", "一一丂", "一一七"] {
        assert_eq!(by_name(&fixture, acme, ordinal).await, []);
        assert_eq!(by_email(&fixture, acme, ordinal).await, []);
    }
}

pub(super) async fn the_longest_part_that_there_can_be_is_found(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let name: String = ('a'..='z').cycle().take(255).collect();
    let email = format!("{}@acme.example.com", "äx".repeat(151));
    let entry = fixture
        .person(acme, values! { name: set(&name), email: set(&email) })
        .await;
    assert_eq!(
        by_name(&fixture, acme, &name.to_uppercase()).await,
        std::slice::from_ref(&entry)
    );
    assert_eq!(by_email(&fixture, acme, &email.to_uppercase()).await, [entry]);
    assert_eq!(by_name(&fixture, acme, &format!("{}!", &name[1..])).await, []);
}

pub(super) async fn members_of_other_organizations_are_never_found(fixture: Fixture) {
    let mut organizations = Vec::new();
    for index in 0..6 {
        organizations.push(fixture.organization(&format!("acme-{index}")).await);
    }
    for (index, organization) in organizations.iter().enumerate() {
        let values = values! {
            name: set(&format!("Sally {index}")),
            email: set(&format!("sally{index}@acme.example.com")),
        };
        fixture.person(*organization, values).await;
    }
    for (index, organization) in organizations.iter().enumerate() {
        for part in ["sally", "Sa", "y"] {
            let found = by_name(&fixture, *organization, part).await;
            assert_eq!(names(&found), [format!("Sally {index}")]);
            assert_eq!(by_email(&fixture, *organization, part).await, found);
        }
        let other = format!("sally{}", (index + 1) % 6);
        assert_eq!(by_email(&fixture, *organization, &other).await, []);
    }
}

pub(super) async fn a_renamed_member_is_found_by_its_new_name_only(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let sally = fixture
        .person(
            acme,
            values! { name: set("Sally Doe"), email: set("sally@acme.example.com") },
        )
        .await;
    let tom = fixture
        .update(acme, &sally, values! { name: set("Tom Poe") })
        .await
        .unwrap();
    assert_eq!(by_name(&fixture, acme, "sally").await, []);
    assert_eq!(by_name(&fixture, acme, "tom").await, std::slice::from_ref(&tom));
    assert_eq!(
        by_email(&fixture, acme, "sally").await,
        std::slice::from_ref(&tom)
    );
    let tom = fixture
        .update(acme, &tom, address("tom@acme.example.com"))
        .await
        .unwrap();
    assert_eq!(by_email(&fixture, acme, "sally").await, []);
    assert_eq!(by_email(&fixture, acme, "tom@").await, std::slice::from_ref(&tom));
    // By linking again as well.
    let link = fixture.link_with(values! { email: set("tom@acme.example.com"), name: set("Thomas Poe") });
    let thomas = fixture.link_as(acme, link).await.unwrap().member;
    assert_eq!(by_name(&fixture, acme, "tom").await, []);
    assert_eq!(
        by_name(&fixture, acme, "thomas").await,
        std::slice::from_ref(&thomas)
    );
    let nobody = fixture
        .update(acme, &thomas, values! { name: None })
        .await
        .unwrap();
    assert_eq!(by_name(&fixture, acme, "thomas").await, []);
    // Neither form of erasing or reviving leaves an old name.
    fixture.revoke(acme, &nobody).await.unwrap();
    assert_eq!(by_email(&fixture, acme, "tom@").await, []);
    let restored = fixture.restore(acme, &nobody).await.unwrap();
    assert_eq!(
        by_email(&fixture, acme, "tom@").await,
        std::slice::from_ref(&restored)
    );
    fixture.erase(acme, &restored).await.unwrap();
    for part in ["tom@", "@", "acme"] {
        assert_eq!(by_email(&fixture, acme, part).await, []);
    }
}

pub(super) async fn any_of_several_parts_is_enough(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    named(&fixture, acme, &["Ann Lee", "Bob Ray", "Cid Lee"]).await;
    for (parts, expected) in [
        (&["ann", "bob"][..], &["Ann Lee", "Bob Ray"][..]),
        (&["ann", "b"], &["Ann Lee", "Bob Ray"]),
        (&["lee", "cid"], &["Ann Lee", "Cid Lee"]),
        (&["a", "zz"], &["Ann Lee", "Bob Ray"]),
        (&["zzz", "yyy"], &[]),
    ] {
        let filter = MemberFilter {
            name_parts: parts.iter().map(|part| (*part).to_owned()).collect(),
            ..MemberFilter::default()
        };
        assert_eq!(
            names(&fixture.filtered(acme, filter).await),
            expected,
            "{parts:?}"
        );
    }
}

pub(super) async fn no_part_reaches_from_a_name_into_an_address(fixture: Fixture) {
    let acme = fixture.organization("acme").await;
    let values = values! { name: set("Ann Bob"), email: set("bob.ann@acme.example") };
    fixture.person(acme, values).await;
    let by_text = async |part: &str| {
        let filter = MemberFilter {
            text: Some(part.to_owned()),
            ..MemberFilter::default()
        };
        fixture.filtered(acme, filter).await.len()
    };
    for (part, either, name, email) in [
        ("ann bob", 1, 1, 0),
        ("bob.ann", 1, 0, 1),
        ("bob bob", 0, 0, 0),
        ("bobbob", 0, 0, 0),
        ("bob", 1, 1, 1),
        ("b b", 0, 0, 0),
    ] {
        let found = (
            by_text(part).await,
            by_name(&fixture, acme, part).await.len(),
            by_email(&fixture, acme, part).await.len(),
        );
        assert_eq!(found, (either, name, email), "{part:?}");
    }
}
