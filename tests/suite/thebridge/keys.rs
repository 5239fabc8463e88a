//! Who may ask, and about which tenant.

use reqwest::Method;
use serde_json::json;
use userbridge::domain::{Clock as _, Role, Scope, Timestamp, TokenKind};

use super::{Acme, JSON, USERS, assert_code, credentials::number, nobody, user};
use crate::support::{Answer, CLOCK, TestApp, gateway_tests};

gateway_tests!(
    a_key_that_opens_nothing_is_told_so,
    a_tenant_that_the_key_may_not_see_is_not_there,
    a_key_of_no_tenant_opens_the_one_that_is_named,
    a_key_that_may_only_read_changes_nothing_and_learns_nothing,
    users_of_another_tenant_are_not_there,
);

/// Each call with a valid body.
fn calls(id: &str) -> [(Method, String, &'static str); 7] {
    [
        (Method::GET, USERS.to_owned(), ""),
        (
            Method::POST,
            USERS.to_owned(),
            r#"{"username":"new@acme.example.com"}"#,
        ),
        (Method::GET, user(id), ""),
        (Method::GET, format!("{}/associations", user(id)), ""),
        (Method::PUT, user(id), r#"{"enabled":true}"#),
        (Method::POST, format!("{}/password", user(id)), "{}"),
        (Method::DELETE, user(id), ""),
    ]
}

async fn a_key_that_opens_nothing_is_told_so(app: TestApp) {
    let acme = Acme::of(app).await;
    let id = acme.user("user@acme.example.com", "VIEWER").await;
    let public = acme.app.key(&acme.organization, &[Scope::PublicApi]).await;
    let admin = acme.app.key(&acme.organization, &[Scope::Admin]).await;
    let past = Timestamp::from_millis(CLOCK.now().as_millis() - 1);
    acme.app
        .raw_key(
            &acme.organization,
            "pb_expired",
            &[Scope::DirectoryWrite],
            Some(past),
        )
        .await;
    let long = "x".repeat(5000);
    let mut tokens = ["ubp_unknown", "ubh_unknown", "uba_unknown", "ubs_unknown"]
        .map(str::to_owned)
        .to_vec();
    // Of somebody who may change everything, on the pages.
    let owner = acme.user("owner@acme.example.com", "OWNER").await;
    let number = number(&acme, &owner).await;
    for kind in TokenKind::ALL {
        tokens.push(acme.app.live_token(&acme.organization, number, *kind).await);
    }
    let keys = ["", " ", "pb_unknown", "pb_expired", &public, &admin, &long, "a b"];
    for key in keys.into_iter().chain(tokens.iter().map(String::as_str)) {
        for (method, path, body) in calls(&id) {
            let request = acme.request_as(key, method, &path).header("content-type", JSON);
            let answer = Answer::of(request.body(body)).await;
            assert_code(&answer, 401, "NBLOCKS_APP_UNAUTHORIZED_EXCEPTION");
        }
    }
    let bare = Answer::of(acme.app.request(Method::GET, USERS)).await;
    assert_code(&bare, 401, "NBLOCKS_APP_UNAUTHORIZED_EXCEPTION");
    let twice = acme.request(Method::GET, USERS).header("x-api-key", &acme.key);
    assert_code(
        &Answer::of(twice).await,
        401,
        "NBLOCKS_APP_UNAUTHORIZED_EXCEPTION",
    );
    let bearer = acme.app.request(Method::GET, USERS).bearer_auth(&acme.key);
    assert_code(
        &Answer::of(bearer).await,
        401,
        "NBLOCKS_APP_UNAUTHORIZED_EXCEPTION",
    );
}

async fn a_tenant_that_the_key_may_not_see_is_not_there(app: TestApp) {
    let acme = Acme::of(app).await;
    let id = acme.user("user@acme.example.com", "VIEWER").await;
    let other = acme.app.organization("other").await.id.to_string();
    let deployment = acme.app.deployment_key(&[Scope::DirectoryWrite]).await;
    let unknown = nobody();
    let braced = format!("{{{}}}", acme.organization.id);
    let mut cases = vec![(&acme.key, Some(other.as_str()))];
    for key in [&acme.key, &deployment] {
        let tenants = [None, Some(""), Some("acme"), Some(&unknown[..]), Some(&braced)];
        cases.extend(tenants.map(|tenant| (key, tenant)));
    }
    for (key, tenant) in cases {
        for (method, path, body) in calls(&id) {
            let mut request = acme.app.request(method, &path).header("x-api-key", key);
            if let Some(tenant) = tenant {
                request = request.header("x-tenant-id", tenant);
            }
            let answer = Answer::of(request.header("content-type", JSON).body(body)).await;
            assert_code(&answer, 404, "NBLOCKS_NOT_FOUND_TENANT_EXCEPTION");
        }
    }
}

async fn a_key_of_no_tenant_opens_the_one_that_is_named(app: TestApp) {
    let acme = Acme::of(app).await;
    let id = acme.user("user@acme.example.com", "VIEWER").await;
    let deployment = acme.app.deployment_key(&[Scope::DirectoryWrite]).await;
    for prefix in ["", "/v1"] {
        let path = format!("{prefix}{}", user(&id));
        let answer = Answer::of(acme.request_as(&deployment, Method::GET, &path)).await;
        assert_eq!((answer.status, &answer.json()["id"]), (200, &json!(id)));
    }
    let tenant = acme.organization.id.to_string().to_uppercase();
    let request = acme.app.request(Method::GET, USERS);
    let request = request
        .header("x-api-key", &deployment)
        .header("x-tenant-id", tenant);
    assert_eq!(Answer::of(request).await.status, 200);
}

async fn a_key_that_may_only_read_changes_nothing_and_learns_nothing(app: TestApp) {
    let acme = Acme::of(app).await;
    let id = acme.user("user@acme.example.com", "OWNER").await;
    let before = acme.list().await;
    let reader = acme.app.key(&acme.organization, &[Scope::DirectoryRead]).await;
    for someone in [&id, &nobody(), "1"] {
        for (method, path, body) in calls(someone) {
            if method == Method::GET {
                continue;
            }
            for body in [
                body,
                r#"{"username":5,"enabled":"x"}"#,
                r#"{"role":"BAD","username":"x"}"#,
            ] {
                let request = acme.request_as(&reader, method.clone(), &path);
                let answer = Answer::of(request.header("content-type", JSON).body(body)).await;
                assert_code(&answer, 403, "NBLOCKS_FORBIDDEN_EXCEPTION");
            }
        }
    }
    let after = Answer::of(acme.request_as(&reader, Method::GET, USERS)).await;
    assert_eq!((after.status, after.body), (200, before.body));
}

async fn users_of_another_tenant_are_not_there(app: TestApp) {
    let acme = Acme::of(app).await;
    let other = acme.app.organization("other").await;
    let key = acme.app.key(&other, &[Scope::DirectoryWrite]).await;
    let id = acme.user("user@acme.example.com", "VIEWER").await;
    let end_user = acme
        .member("end@acme.example.com", None)
        .await
        .user_id
        .to_string();
    for (key, tenant, id) in [
        (&key, &other, &id),
        (&acme.key, &acme.organization, &end_user),
        (&acme.key, &acme.organization, &nobody()),
        (&acme.key, &acme.organization, &"1".to_owned()),
        (&acme.key, &acme.organization, &id.replace('-', "")),
    ] {
        for (method, path, body) in calls(id) {
            if path == USERS {
                continue;
            }
            let request = acme.app.request(method, &path).header("x-api-key", key);
            let request = request.header("x-tenant-id", tenant.id.to_string());
            let answer = Answer::of(request.header("content-type", JSON).body(body)).await;
            assert_code(&answer, 404, "NBLOCKS_USER_NOT_FOUND");
        }
    }
    assert_eq!(acme.get(&id.to_uppercase()).await.status, 200);
    let staff = acme.member("end@acme.example.com", Some(Role::Editor)).await;
    assert_eq!(acme.get(&staff.user_id.to_string()).await.status, 200);
}
