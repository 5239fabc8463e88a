//! Creating, reading, changing and removing users.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use userbridge::domain::{Role, Scope};

use super::{Acme, USERS, addresses, assert_answer, assert_code};
use crate::support::{Answer, TestApp, gateway_tests};

gateway_tests!(
    a_user_lives_from_creation_to_deletion,
    a_new_user_has_the_default_role_and_no_more_than_was_given,
    an_address_is_taken_by_a_user_and_not_by_an_end_user,
    of_many_who_create_one_address_one_does,
    only_what_is_given_changes,
    changes_at_the_same_moment_are_all_made,
    the_last_owner_stays,
    associations_are_those_that_the_key_may_see,
);

async fn a_user_lives_from_creation_to_deletion(app: TestApp) {
    let acme = Acme::of(app).await;
    let made = acme
        .create(json!({
            "username": "jane.smith@example.com", "role": "ADMIN", "firstName": "Jane", "lastName": "Smith",
            "muteNotifications": true, "phoneNumber": "+1"
        }))
        .await;
    assert_eq!(made.status, 201, "{}", made.body);
    let value = made.json();
    let (id, created) = (
        value["id"].as_str().unwrap(),
        value["createdAt"].as_str().unwrap(),
    );
    assert_eq!(
        made.body,
        format!(
            r#"{{"id":"{id}","role":"ADMIN","email":"jane.smith@example.com","username":"jane.smith@example.com","firstName":"Jane","lastName":"Smith","fullName":"Jane Smith","onboarded":false,"enabled":true,"teams":[],"createdAt":"{created}"}}"#
        )
    );
    assert!(created.len() == 24 && created.ends_with('Z'), "{created}");
    assert_eq!(acme.get(id).await.body, made.body);
    assert_eq!(acme.list().await.body, format!("[{}]", made.body));
    assert_answer(&acme.delete(id).await, 200, "{}");
    for gone in [
        acme.get(id).await,
        acme.delete(id).await,
        acme.associations(id).await,
    ] {
        assert_code(&gone, 404, "NBLOCKS_USER_NOT_FOUND");
    }
    assert_answer(&acme.list().await, 200, "[]");
}

async fn a_new_user_has_the_default_role_and_no_more_than_was_given(app: TestApp) {
    let acme = Acme::of(app).await;
    let made = acme
        .create(json!({ "username": "a@b", "role": null, "firstName": "", "lastName": null }))
        .await;
    let mut value = made.json();
    for random in ["id", "createdAt"] {
        value.as_object_mut().unwrap().remove(random);
    }
    assert_eq!(made.status, 201);
    assert_eq!(
        value,
        json!({
            "role": "VIEWER", "email": "a@b", "username": "a@b", "onboarded": false, "enabled": true, "teams": []
        })
    );
    let form = acme
        .request(Method::POST, USERS)
        .header("content-type", super::FORM);
    let made = Answer::of(form.body("username=c%40b&role=RESTRICTED_VIEWER&lastName=Only")).await;
    assert_eq!((made.status, &made.json()["fullName"]), (201, &json!("Only")));
}

async fn an_address_is_taken_by_a_user_and_not_by_an_end_user(app: TestApp) {
    let acme = Acme::of(app).await;
    let end_user = acme.member("end@acme.example.com", None).await;
    let made = acme
        .create(json!({ "username": "end@acme.example.com", "role": "EDITOR", "firstName": "End" }))
        .await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(made.json()["id"], end_user.user_id.to_string());
    let again = acme.create(json!({ "username": "end@acme.example.com" })).await;
    assert_code(&again, 409, "NBLOCKS_CONFLICT");
    assert_eq!(acme.get(&end_user.user_id.to_string()).await.body, made.body);
}

async fn of_many_who_create_one_address_one_does(app: TestApp) {
    let acme = Acme::of(app).await;
    let mut creating = JoinSet::new();
    for _ in 0..20 {
        let request = acme
            .request(Method::POST, USERS)
            .header("content-type", super::JSON);
        creating.spawn(Answer::of(request.body(r#"{"username":"one@acme.example.com"}"#)));
    }
    let answers = creating.join_all().await;
    let (made, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 201);
    assert_eq!((made.len(), refused.len()), (1, 19));
    for answer in refused {
        assert_code(answer, 409, "NBLOCKS_CONFLICT");
    }
    assert_eq!(addresses(&acme.list().await), ["one@acme.example.com"]);
}

async fn only_what_is_given_changes(app: TestApp) {
    let acme = Acme::of(app).await;
    let id = acme.user("user@acme.example.com", "VIEWER").await;
    let mut expected = acme.get(&id).await.json();
    let mut change = async |body: Value, changed: Value| {
        for (key, value) in changed.as_object().unwrap() {
            if value.is_null() {
                expected.as_object_mut().unwrap().remove(key);
            } else {
                expected[key] = value.clone();
            }
        }
        let answer = acme.update(&id, body.clone()).await;
        assert_eq!((answer.status, answer.json()), (200, expected.clone()), "{body}");
        assert_eq!(acme.get(&id).await.body, answer.body);
    };
    change(json!({ "role": "EDITOR" }), json!({ "role": "EDITOR" })).await;
    change(json!({ "enabled": false }), json!({ "enabled": false })).await;
    change(
        json!({ "firstName": "Ada", "lastName": "King" }),
        json!({ "firstName": "Ada", "lastName": "King", "fullName": "Ada King" }),
    )
    .await;
    change(
        json!({ "lastName": "" }),
        json!({ "lastName": null, "fullName": "Ada" }),
    )
    .await;
    change(json!({ "onboarded": true }), json!({ "onboarded": true })).await;
    change(json!({ "onboarded": false }), json!({})).await;
    for nothing in [
        json!({}),
        json!([]),
        json!({ "role": null, "enabled": null, "teams": null, "firstName": null }),
        json!({ "email": "other@acme.example.com", "consentsToPrivacyPolicy": true }),
    ] {
        change(nothing, json!({})).await;
    }
    change(
        json!({ "role": "ADMIN", "enabled": true, "teams": ["a", "b"] }),
        json!({ "role": "ADMIN", "enabled": true, "teams": ["a", "b"] }),
    )
    .await;
}

async fn changes_at_the_same_moment_are_all_made(app: TestApp) {
    let acme = Acme::of(app).await;
    let id = acme.user("user@acme.example.com", "VIEWER").await;
    let mut changing = JoinSet::new();
    for body in [
        json!({ "role": "EDITOR" }),
        json!({ "enabled": false }),
        json!({ "teams": ["x"] }),
        json!({ "firstName": "Ada" }),
        json!({ "onboarded": true }),
        json!({ "lastName": "King" }),
    ] {
        for _ in 0..4 {
            let request = acme.request(Method::PUT, &super::user(&id));
            let request = request.header("content-type", super::JSON);
            changing.spawn(Answer::of(request.body(body.to_string())));
        }
    }
    for answer in changing.join_all().await {
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    let user = acme.get(&id).await.json();
    assert_eq!(
        (&user["role"], &user["enabled"], &user["teams"]),
        (&json!("EDITOR"), &json!(false), &json!(["x"]))
    );
    assert_eq!(
        (&user["fullName"], &user["onboarded"]),
        (&json!("Ada King"), &json!(true))
    );
}

async fn the_last_owner_stays(app: TestApp) {
    let acme = Acme::of(app).await;
    let id = acme.user("owner@acme.example.com", "OWNER").await;
    let before = acme.get(&id).await.body;
    for body in [
        json!({ "role": "ADMIN" }),
        json!({ "enabled": false }),
        json!({ "role": "VIEWER", "firstName": "X" }),
    ] {
        let answer = acme.update(&id, body).await;
        assert_code(&answer, 400, "NBLOCKS_OWNER_ROLE_MUST_EXIST");
    }
    assert_code(&acme.delete(&id).await, 400, "NBLOCKS_OWNER_ROLE_MUST_EXIST");
    assert_eq!(acme.get(&id).await.body, before);
    acme.user("second@acme.example.com", "OWNER").await;
    assert_eq!(acme.update(&id, json!({ "role": "ADMIN" })).await.status, 200);
    assert_eq!(acme.delete(&id).await.status, 200);
}

async fn associations_are_those_that_the_key_may_see(app: TestApp) {
    let acme = Acme::of(app).await;
    let id = acme.user("user@example.com", "OWNER").await;
    let tenant = |organization: &userbridge::domain::Organization, role: &str| {
        format!(
            r#"{{"tenantId":"{}","tenantName":"{}","role":"{role}"}}"#,
            organization.id,
            organization.name.as_str()
        )
    };
    let here = tenant(&acme.organization, "OWNER");
    let deployment = acme.app.deployment_key(&[Scope::DirectoryWrite]).await;
    // In another tenant too; in a third one only as an end user.
    let other = acme.app.organization("beta").await;
    let request = acme
        .app
        .request(Method::POST, USERS)
        .header("x-api-key", &deployment);
    let request = request.header("x-tenant-id", other.id.to_string());
    let body = json!({ "username": "user@example.com", "role": "EDITOR" });
    let made = Answer::of(request.header("content-type", super::JSON).body(body.to_string())).await;
    assert_eq!((made.status, &made.json()["id"]), (201, &json!(id)));
    let third = acme.app.organization("gamma").await;
    acme.app.member(&third, "user@example.com").await;

    assert_answer(&acme.associations(&id).await, 200, &format!("[{here}]"));
    let path = format!("{}/associations", super::user(&id));
    let all = Answer::of(acme.request_as(&deployment, Method::GET, &path)).await;
    let expected = format!("[{here},{}]", tenant(&other, "EDITOR"));
    assert_answer(&all, 200, &expected);
    let end_user = acme
        .member("end@acme.example.com", None)
        .await
        .user_id
        .to_string();
    assert_code(&acme.associations(&end_user).await, 404, "NBLOCKS_USER_NOT_FOUND");
    let staff = acme.member("end@acme.example.com", Some(Role::Viewer)).await;
    let shown = acme.associations(&staff.user_id.to_string()).await;
    let here = tenant(&acme.organization, "VIEWER");
    assert_answer(&shown, 200, &format!("[{here}]"));
}
