//! Create, update, delete.

use std::collections::HashSet;

use serde_json::{Value, json};
use userbridge::{
    domain::{
        AuthMethod, Idempotency, LinkRequest, MailKind, MemberPatch, MemberRef, PageRequest, Role, TeamName,
        TeamSlug,
    },
    service::{Read, Write},
};

use super::{Acme, TAKEN, UNAUTHORIZED, USERS, assert_answer, assert_invalid, assert_same, ids, no_user};
use crate::support::{TestApp, gateway_tests};

gateway_tests!(
    a_user_is_created_as_told,
    who_signs_in_with_a_password_is_mailed_a_welcome,
    what_is_wrong_with_a_new_user_is_told_at_once,
    an_address_is_taken_by_a_user_only_once,
    no_two_addresses_look_the_same,
    a_user_without_name_and_address_has_an_empty_name,
    an_end_user_is_given_a_role,
    of_two_who_create_a_user_at_once_one_does,
    only_what_is_given_changes,
    what_is_wrong_with_a_change_is_told,
    changes_at_the_same_moment_are_all_made,
    many_may_change_one_user_at_the_same_time,
    an_owner_reads_as_an_admin_and_stays_an_owner,
    the_last_owner_stays,
    a_deleted_user_is_gone_and_the_id_is_not_used_again,
    ids_of_teams_are_those_of_the_organization,
);

fn form(email: &str) -> String {
    format!("email={email}&role=viewer&auth_method=password")
}

async fn team(acme: &Acme, key: &str) {
    let grant = Write::operator(acme.organization.id);
    let (key, name) = (TeamSlug::new(key).unwrap(), TeamName::new(key).unwrap());
    acme.app
        .directory()
        .create_team(grant, key, name, Idempotency::never())
        .await
        .unwrap();
}

async fn who_signs_in_with_a_password_is_mailed_a_welcome(app: TestApp) {
    let acme = Acme::of(app).await;
    for form in [
        "email=john@example.com&role=editor&auth_method=password",
        "email=jane@example.com&role=editor&auth_method=oidc",
    ] {
        assert_eq!(acme.create(form).await.status, 201);
    }
    let page = PageRequest {
        after: None,
        limit: 10,
    };
    let grant = Read::operator(acme.organization.id);
    let mails = acme.app.directory().mails(grant, None, page).await.unwrap().items;
    let mails: Vec<_> = mails.iter().map(|mail| (mail.member.0, mail.kind)).collect();
    assert_eq!(mails, [(1, MailKind::Onboarding)]);
}

async fn a_user_is_created_as_told(app: TestApp) {
    let acme = Acme::of(app).await;
    team(&acme, "sales").await;
    let made = acme
        .create("email=john@example.com&name=John+Doe&role=editor&auth_method=password&team_id=2")
        .await;
    assert_eq!(made.status, 201);
    let time = made.json()["created_at"].as_str().unwrap().to_owned();
    assert_answer(
        &made,
        201,
        &format!(
            r#"{{"id":1,"name":"John Doe","email":"john@example.com","role":"editor","primary_team_id":2,"team_id":2,"created_at":"{time}","updated_at":"{time}"}}"#
        ),
    );
    assert_answer(&acme.retrieve(1).await, 200, &made.body);
    // The name defaults to the address, the team to the root team.
    let made = acme
        .create("email=jane@example.com&role=restricted_viewer&auth_method=oidc")
        .await;
    let user = made.json();
    assert_eq!(made.status, 201);
    assert_eq!(
        (
            &user["name"],
            &user["role"],
            &user["team_id"],
            &user["primary_team_id"]
        ),
        (
            &json!("jane@example.com"),
            &json!("restricted_viewer"),
            &json!(1),
            &json!(1)
        )
    );
    let number = |id| MemberRef::Number(userbridge::domain::MemberNumber(id));
    let grant = Read::operator(acme.organization.id);
    for (id, method) in [(1, "password"), (2, "oidc")] {
        let entry = acme
            .app
            .directory()
            .member(grant, number(id), false)
            .await
            .unwrap();
        assert_eq!(entry.access.auth_method.map(AuthMethod::as_str), Some(method));
        assert_eq!(entry.origin.source.as_str(), "feedier");
        assert_eq!(entry.profile.portal_role, None, "staff is no end user");
    }
    let made = acme
        .create("email=boss@example.com&role=admin&auth_method=oidc&team_id=%2B1")
        .await;
    assert_eq!((made.status, &made.json()["role"]), (201, &json!("admin")));
}

async fn what_is_wrong_with_a_new_user_is_told_at_once(app: TestApp) {
    let acme = Acme::of(app).await;
    assert_eq!(acme.create(&form("taken@example.com")).await.status, 201);
    let base = "role=viewer&auth_method=oidc";
    let long = format!("{}@example.com", "a".repeat(244));
    for (form, message, errors) in [
        (
            format!("{base}&email=nonsense"),
            "The email field must be a valid email address.",
            json!({ "email": ["The email field must be a valid email address."] }),
        ),
        (
            format!("{base}&email={long}"),
            "The email field must not be greater than 255 characters.",
            json!({ "email": ["The email field must not be greater than 255 characters."] }),
        ),
        (
            format!("{base}&email[]=a@b"),
            "The email field must be a string. (and 1 more error)",
            json!({ "email": ["The email field must be a string.", "The email field must be a valid email address."] }),
        ),
        (
            "email=a@b&role=owner&auth_method=Password".to_owned(),
            "The selected role is invalid. (and 1 more error)",
            json!({ "role": ["The selected role is invalid."], "auth_method": ["The selected auth method is invalid."] }),
        ),
        (
            format!("{base}&email=a@b&name={}", "ü".repeat(256)),
            "The name field must not be greater than 255 characters.",
            json!({ "name": ["The name field must not be greater than 255 characters."] }),
        ),
        (
            format!("{base}&email=a@b&name=a%00b"),
            "The name field format is invalid.",
            json!({ "name": ["The name field format is invalid."] }),
        ),
        (
            format!("{base}&email=a@b&team_id=two"),
            "The team id field must be an integer.",
            json!({ "team_id": ["The team id field must be an integer."] }),
        ),
        (
            format!("{base}&email=a@b&team_id=2"),
            "The selected team id is invalid.",
            json!({ "team_id": ["The selected team id is invalid."] }),
        ),
        (
            format!("{base}&email=a@b&team_id=-9223372036854775808"),
            "The selected team id is invalid.",
            json!({ "team_id": ["The selected team id is invalid."] }),
        ),
        (
            "email=taken@example.com&role=x&auth_method=oidc&team_id=0".to_owned(),
            "The email has already been taken. (and 2 more errors)",
            json!({
                "email": ["The email has already been taken."],
                "role": ["The selected role is invalid."],
                "team_id": ["The selected team id is invalid."],
            }),
        ),
    ] {
        assert_invalid(&acme.create(&form).await, message, errors);
    }
    assert_eq!(ids(&acme.get(USERS).await), [1], "nobody was created");
    // What is just not too long.
    let email = format!("{}@example.com", "a".repeat(243));
    let name = "ü".repeat(255);
    let made = acme.create(&format!("{base}&email={email}&name={name}")).await;
    assert_eq!((made.status, &made.json()["name"]), (201, &json!(name)));
}

async fn an_address_is_taken_by_a_user_only_once(app: TestApp) {
    let acme = Acme::of(app).await;
    assert_eq!(acme.create(&form("a@example.com")).await.status, 201);
    assert_answer(&acme.create(&form("a@example.com")).await, 422, TAKEN);
    assert_eq!(
        acme.create(&form("A@example.com")).await.status,
        201,
        "the directory tells case apart"
    );
    assert_eq!(acme.delete(1).await.status, 204);
    let again = acme.create(&form("a@example.com")).await;
    assert_eq!((again.status, &again.json()["id"]), (201, &json!(3)));
}

async fn no_two_addresses_look_the_same(app: TestApp) {
    let acme = Acme::of(app).await;
    assert_eq!(acme.create(&form("john@example.com")).await.status, 201);
    // At the ends it goes, so that the address is the one that is there.
    for hidden in [
        "%E2%80%8B",
        "%EF%BB%BF",
        "%C2%AD",
        "%E2%81%A0",
        "%E3%85%A4",
        "%00",
        "%C2%85",
    ] {
        let email = format!("{hidden}john@example.com{hidden}");
        assert_answer(&acme.create(&form(&email)).await, 422, TAKEN);
    }
    let not_valid = "The email field must be a valid email address.";
    for email in [
        "jo%E2%80%8Bhn@example.com",
        "john@exam%C2%ADple.com",
        "jo%E2%80%8Dhn@example.com",
        "%E2%80%AEjohn@example.com",
        "john%EF%B8%8F@example.com",
        "jo%E3%85%A4hn@example.com",
        "%22jo%E2%80%8Bhn%22@example.com",
        "john%C2%B4@example.com",
        "john@example_.com",
        &format!("john@{}.com", "a".repeat(64)),
    ] {
        let answer = acme.create(&form(email)).await;
        assert_invalid(&answer, not_valid, json!({ "email": [not_valid] }));
        let answer = acme.update(1, &format!("email={email}")).await;
        assert_invalid(&answer, not_valid, json!({ "email": [not_valid] }));
    }
    assert_eq!(ids(&acme.get(USERS).await), [1]);
}

async fn a_user_without_name_and_address_has_an_empty_name(app: TestApp) {
    let acme = Acme::of(app).await;
    let link = LinkRequest {
        origin: userbridge::domain::Origin {
            source: "crm".parse().unwrap(),
            external_id: Some("7".parse().unwrap()),
        },
        values: MemberPatch {
            role: Some(Some(Role::Viewer)),
            ..MemberPatch::default()
        },
        ..LinkRequest::default()
    };
    let grant = Write::operator(acme.organization.id);
    acme.app
        .directory()
        .link_member(grant, link, Idempotency::never())
        .await
        .unwrap();
    let user = acme.retrieve(1).await.json();
    assert_eq!((&user["name"], &user["email"]), (&json!(""), &Value::Null));
    assert_eq!(acme.get(USERS).await.json()["data"][0], user);
}

async fn an_end_user_is_given_a_role(app: TestApp) {
    let acme = Acme::of(app).await;
    let sally = acme.member("sally@example.com", Some("Sally Doe"), None).await;
    acme.member("nameless@example.com", None, None).await;
    assert_eq!(acme.retrieve(1).await.status, 404);
    let made = acme
        .create("email=sally@example.com&role=editor&auth_method=oidc")
        .await;
    let user = made.json();
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(
        (&user["id"], &user["name"], &user["role"]),
        (&json!(1), &json!("Sally Doe"), &json!("editor"))
    );
    let grant = Read::operator(acme.organization.id);
    let key = MemberRef::Number(sally.number);
    let entry = acme.app.directory().member(grant, key, false).await.unwrap();
    assert_eq!(entry.id, sally.id, "it is the same link");
    assert_answer(
        &acme
            .create("email=sally@example.com&role=editor&auth_method=oidc")
            .await,
        422,
        TAKEN,
    );
    let made = acme.create(&form("nameless@example.com")).await;
    assert_eq!(
        (&made.json()["id"], &made.json()["name"]),
        (&json!(2), &json!("nameless@example.com"))
    );
    acme.member("named@example.com", Some("Old"), None).await;
    let made = acme
        .create(&format!("{}&name=New", form("named@example.com")))
        .await;
    assert_eq!((made.status, &made.json()["name"]), (201, &json!("New")));
}

async fn of_two_who_create_a_user_at_once_one_does(app: TestApp) {
    let acme = Acme::of(app).await;
    acme.member("end@example.com", None, None).await;
    for email in ["a@example.com", "end@example.com", "b@example.com"] {
        let form = form(email);
        let all = tokio::join!(
            acme.create(&form),
            acme.create(&form),
            acme.create(&form),
            acme.create(&form)
        );
        let all = [all.0, all.1, all.2, all.3];
        let made = all.iter().filter(|answer| answer.status == 201).count();
        assert_eq!(made, 1, "{all:?}");
        for answer in all.iter().filter(|answer| answer.status != 201) {
            assert_answer(answer, 422, TAKEN);
        }
    }
}

async fn only_what_is_given_changes(app: TestApp) {
    let acme = Acme::of(app).await;
    team(&acme, "sales").await;
    let made = acme
        .create(&format!("{}&name=John&team_id=2", form("john@example.com")))
        .await;
    let mut expected = made.json();
    for (form, field, value) in [
        ("name=John+Updated", "name", "John Updated"),
        ("role=editor", "role", "editor"),
        ("email=new@example.com", "email", "new@example.com"),
        // These are not for changing.
        (
            "team_id=1&primary_team_id=1&id=7&created_at=x",
            "name",
            "John Updated",
        ),
    ] {
        let answer = acme.update(1, form).await;
        expected[field] = json!(value);
        expected["updated_at"] = answer.json()["updated_at"].clone();
        assert_eq!((answer.status, answer.json()), (200, expected.clone()), "{form}");
        assert_eq!(acme.retrieve(1).await.json(), expected);
    }
    let before = acme.retrieve(1).await;
    assert_same(&acme.update(1, "").await, &before);
    assert_eq!(acme.update(1, "auth_method=oidc").await.status, 200);
    assert_eq!(
        acme.update(1, "email=new@example.com").await.status,
        200,
        "one's own address is not taken"
    );
}

async fn what_is_wrong_with_a_change_is_told(app: TestApp) {
    let acme = Acme::of(app).await;
    acme.create(&form("a@example.com")).await;
    acme.create(&form("b@example.com")).await;
    acme.member("end@example.com", None, None).await;
    for (form, message, errors) in [
        (
            "email=b@example.com",
            "The email has already been taken.",
            json!({ "email": ["The email has already been taken."] }),
        ),
        // An end user's address is no one else's either.
        (
            "email=end@example.com",
            "The email has already been taken.",
            json!({ "email": ["The email has already been taken."] }),
        ),
        (
            "email=b@example.com&role=x",
            "The email has already been taken. (and 1 more error)",
            json!({ "email": ["The email has already been taken."], "role": ["The selected role is invalid."] }),
        ),
        (
            "email=&name=&role=&auth_method=",
            "The email field is required. (and 3 more errors)",
            json!({
                "email": ["The email field is required."],
                "name": ["The name field is required."],
                "role": ["The role field is required."],
                "auth_method": ["The auth method field is required."],
            }),
        ),
        (
            "name[x]=y",
            "The name field must be a string.",
            json!({ "name": ["The name field must be a string."] }),
        ),
    ] {
        assert_invalid(&acme.update(1, form).await, message, errors);
    }
    assert_answer(&acme.update(9, "role=x").await, 404, &no_user("9"));
    assert_answer(&acme.update(3, "role=viewer").await, 404, &no_user("3"));
    assert_eq!(acme.retrieve(1).await.json()["role"], "viewer");
}

async fn changes_at_the_same_moment_are_all_made(app: TestApp) {
    let acme = Acme::of(app).await;
    acme.create(&form("a@example.com")).await;
    for round in 0..5 {
        let name = format!("name=N{round}");
        let email = format!("email=e{round}@example.com");
        let all = tokio::join!(
            acme.update(1, &name),
            acme.update(1, &email),
            acme.update(1, "role=editor"),
            acme.update(1, "auth_method=oidc")
        );
        for answer in [all.0, all.1, all.2, all.3] {
            assert_eq!(answer.status, 200, "{}", answer.body);
        }
        let user = acme.retrieve(1).await.json();
        assert_eq!(user["name"], format!("N{round}"));
        assert_eq!(user["email"], format!("e{round}@example.com"));
    }
    let gone = tokio::join!(acme.delete(1), acme.delete(1), acme.update(1, "name=x"));
    let deleted = [&gone.0, &gone.1].map(|answer| answer.status);
    assert_eq!(
        deleted.into_iter().collect::<HashSet<_>>(),
        HashSet::from([204, 404])
    );
    assert!([200, 404].contains(&gone.2.status));
}

async fn many_may_change_one_user_at_the_same_time(app: TestApp) {
    let acme = Acme::of(app).await;
    acme.create(&form("a@example.com")).await;
    let clients = (0..24).map(async |client| {
        for round in 0..4 {
            // A change of the role depends on what it was.
            let role = ["editor", "viewer"][(client + round) % 2];
            let answer = acme.update(1, &format!("name=N{client}&role={role}")).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
        }
    });
    futures_util::future::join_all(clients).await;
}

async fn an_owner_reads_as_an_admin_and_stays_an_owner(app: TestApp) {
    let acme = Acme::of(app).await;
    acme.member("owner@example.com", None, Some(Role::Owner)).await;
    acme.member("other@example.com", None, Some(Role::Owner)).await;
    assert_eq!(acme.retrieve(1).await.json()["role"], "admin");
    let answer = acme.update(1, "name=Owner&role=admin").await;
    assert_eq!((answer.status, &answer.json()["role"]), (200, &json!("admin")));
    let role = async || {
        let key = MemberRef::Number(userbridge::domain::MemberNumber(1));
        let grant = Read::operator(acme.organization.id);
        let entry = acme.app.directory().member(grant, key, false).await.unwrap();
        entry.access.role
    };
    assert_eq!(role().await, Some(Role::Owner));
    assert_eq!(acme.update(1, "role=editor").await.json()["role"], "editor");
    assert_eq!(acme.update(1, "role=admin").await.status, 200);
    assert_eq!(role().await, Some(Role::Admin));
}

async fn the_last_owner_stays(app: TestApp) {
    let acme = Acme::of(app).await;
    acme.member("owner@example.com", None, Some(Role::Owner)).await;
    assert_answer(&acme.update(1, "role=viewer").await, 403, UNAUTHORIZED);
    assert_answer(&acme.delete(1).await, 403, UNAUTHORIZED);
    assert_eq!(acme.update(1, "name=Still+here").await.status, 200);
    acme.member("second@example.com", None, Some(Role::Owner)).await;
    assert_eq!(acme.delete(1).await.status, 204);
}

async fn a_deleted_user_is_gone_and_the_id_is_not_used_again(app: TestApp) {
    let acme = Acme::of(app).await;
    acme.viewers(3).await;
    let gone = acme.delete(2).await;
    assert_answer(&gone, 204, "");
    assert!(!gone.headers.contains_key("content-type"));
    assert_answer(&acme.retrieve(2).await, 404, &no_user("2"));
    assert_answer(&acme.update(2, "name=x").await, 404, &no_user("2"));
    assert_answer(&acme.delete(2).await, 404, &no_user("2"));
    assert_eq!(ids(&acme.get(USERS).await), [1, 3]);
    let made: Value = acme.create(&form("new@example.com")).await.json();
    assert_eq!(made["id"], 4);
    assert_eq!(ids(&acme.get(USERS).await), [1, 3, 4]);
}

async fn ids_of_teams_are_those_of_the_organization(app: TestApp) {
    let acme = Acme::of(app).await;
    let globex = acme.app.organization("globex").await;
    let grant = Write::operator(globex.id);
    for key in ["a", "b", "c"] {
        let (key, name) = (TeamSlug::new(key).unwrap(), TeamName::new(key).unwrap());
        acme.app
            .directory()
            .create_team(grant.clone(), key, name, Idempotency::never())
            .await
            .unwrap();
    }
    let selected = "The selected team id is invalid.";
    assert_invalid(
        &acme.create(&format!("{}&team_id=2", form("a@example.com"))).await,
        selected,
        json!({ "team_id": [selected] }),
    );
    team(&acme, "sales").await;
    let made = acme.create(&format!("{}&team_id=2", form("a@example.com"))).await;
    assert_eq!((made.status, &made.json()["team_id"]), (201, &json!(2)));
}
