//! Who may ask.

use reqwest::Method;
use userbridge::domain::{Clock as _, Role, Scope, Timestamp, TokenKind};

use super::{Acme, FORM, UNAUTHENTICATED, UNAUTHORIZED, USERS, assert_answer, assert_same, no_user};
use crate::support::{Answer, CLOCK, TestApp, gateway_tests};

gateway_tests!(
    keys_that_open_nothing_answer_alike,
    a_key_comes_before_everything_but_the_path,
    a_key_that_may_only_read_changes_nothing,
    a_key_of_no_organization_that_may_only_read_is_told_that_first,
    users_of_another_organization_are_not_there,
);

const CALLS: [(Method, &str); 5] = [
    (Method::GET, USERS),
    (Method::POST, USERS),
    (Method::GET, "/v3/users/1"),
    (Method::PUT, "/v3/users/1"),
    (Method::DELETE, "/v3/users/1"),
];

async fn keys_that_open_nothing_answer_alike(app: TestApp) {
    let acme = Acme::of(app).await;
    acme.member("user@acme.example.com", None, Some(Role::Viewer))
        .await;
    let owner = acme
        .member("owner@acme.example.com", None, Some(Role::Owner))
        .await;
    let public = acme.app.key(&acme.organization, &[Scope::PublicApi]).await;
    let admin = acme.app.key(&acme.organization, &[Scope::Admin]).await;
    let deployment = acme.app.deployment_key(&[Scope::DirectoryWrite]).await;
    let past = Timestamp::from_millis(CLOCK.now().as_millis() - 1);
    acme.app
        .raw_key(
            &acme.organization,
            "pb_expired",
            &[Scope::DirectoryWrite],
            Some(past),
        )
        .await;
    let mut headers = vec![None];
    headers.extend(
        [
            "",
            "Bearer",
            "Bearer ",
            "Bearer pb_unknown",
            "Bearer pb_expired",
            "Bearer ubp_unknown",
            "Bearer ubh_unknown",
            "Bearer uba_unknown",
            "Bearer ubs_unknown",
            &acme.key,
            &format!("Basic {}", acme.key),
            &format!("Bearer {public}"),
            &format!("Bearer {admin}"),
            &format!("Bearer {deployment}"),
            &format!("Bearer {} x", acme.key),
            &format!("Bearer {}", "x".repeat(5000)),
        ]
        .map(|header| Some(header.to_owned())),
    );
    // Of somebody who may change everything, on the pages.
    for kind in TokenKind::ALL {
        let token = acme.app.live_token(&acme.organization, owner.number, *kind);
        headers.push(Some(format!("Bearer {}", token.await)));
    }
    for header in headers {
        for (method, path) in CALLS {
            let mut request = acme.app.request(method.clone(), path);
            if let Some(header) = &header {
                request = request.header("authorization", header);
            }
            let form = "email=a@b&role=viewer&auth_method=oidc";
            let answer = Answer::of(request.header("content-type", FORM).body(form)).await;
            assert_eq!(
                (answer.status, answer.body.as_str()),
                (401, UNAUTHENTICATED),
                "{method} {path} {header:?}"
            );
        }
    }
    let request = acme.app.request(Method::GET, USERS);
    let answer = Answer::of(request.header("authorization", format!("bEARER  {}", acme.key))).await;
    assert_eq!(answer.status, 200, "the scheme is in any case");
}

async fn a_key_comes_before_everything_but_the_path(app: TestApp) {
    let acme = Acme::of(app).await;
    for (method, path) in [
        (Method::GET, "/v3/users?per_page=0"),
        (Method::GET, "/v3/users?filter[x]=1"),
        (Method::GET, "/v3/users?filter[role]=nope"),
        (Method::POST, USERS),
        (Method::GET, "/v3/users/nobody"),
        (Method::PUT, "/v3/users/9"),
    ] {
        for key in ["", "Bearer pb_unknown"] {
            let request = acme
                .app
                .request(method.clone(), path)
                .header("authorization", key);
            assert_answer(&Answer::of(request).await, 401, UNAUTHENTICATED);
        }
    }
    let answer = Answer::of(acme.app.request(Method::PATCH, USERS)).await;
    assert_eq!(answer.status, 405);
    let answer = Answer::of(acme.app.request(Method::GET, "/v3/nope")).await;
    assert_eq!(answer.status, 404);
}

async fn a_key_that_may_only_read_changes_nothing(app: TestApp) {
    let acme = Acme::of(app).await;
    let user = acme
        .member("user@acme.example.com", Some("User"), Some(Role::Viewer))
        .await;
    let before = acme.retrieve(user.number.0).await;
    let key = acme.app.key(&acme.organization, &[Scope::DirectoryRead]).await;
    let send = async |method: Method, path: &str, form: &str| {
        let request = acme.app.request(method, path).bearer_auth(&key);
        Answer::of(request.header("content-type", FORM).body(form.to_owned())).await
    };
    assert_eq!(send(Method::GET, USERS, "").await.status, 200);
    assert_same(&send(Method::GET, "/v3/users/1", "").await, &before);
    for form in [
        "",
        "email=x",
        "email=user@acme.example.com&role=viewer&auth_method=oidc",
        "email=new@acme.example.com&role=viewer&auth_method=oidc",
        "email=new@acme.example.com&role=viewer&auth_method=oidc&team_id=9",
    ] {
        assert_answer(&send(Method::POST, USERS, form).await, 403, UNAUTHORIZED);
    }
    for form in ["", "name=x", "name=", "email=x"] {
        assert_answer(&send(Method::PUT, "/v3/users/1", form).await, 403, UNAUTHORIZED);
        // Who is not there is not there, whatever the key may do.
        assert_answer(&send(Method::PUT, "/v3/users/9", form).await, 404, &no_user("9"));
    }
    assert_answer(&send(Method::DELETE, "/v3/users/1", "").await, 403, UNAUTHORIZED);
    assert_answer(&send(Method::DELETE, "/v3/users/9", "").await, 404, &no_user("9"));
    assert_same(&acme.retrieve(user.number.0).await, &before);
}

async fn a_key_of_no_organization_that_may_only_read_is_told_that_first(app: TestApp) {
    let acme = Acme::of(app).await;
    for (scope, status, body) in [
        (Scope::DirectoryRead, 403, UNAUTHORIZED),
        (Scope::DirectoryWrite, 401, UNAUTHENTICATED),
    ] {
        let key = acme.app.deployment_key(&[scope]).await;
        let request = acme.app.request(Method::POST, USERS).bearer_auth(&key);
        assert_answer(&Answer::of(request).await, status, body);
        let request = acme
            .app
            .request(Method::GET, "/v3/users?per_page=0")
            .bearer_auth(&key);
        assert_answer(&Answer::of(request).await, 401, UNAUTHENTICATED);
    }
}

async fn users_of_another_organization_are_not_there(app: TestApp) {
    let acme = Acme::of(app).await;
    let globex = acme.app.organization("globex").await;
    let key = acme.app.key(&globex, &[Scope::DirectoryWrite]).await;
    acme.member("user@acme.example.com", None, Some(Role::Viewer))
        .await;
    for id in ["1", "2"] {
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            let request = acme
                .app
                .request(method, &format!("{USERS}/{id}"))
                .bearer_auth(&key);
            assert_answer(&Answer::of(request).await, 404, &no_user(id));
        }
    }
    let list = Answer::of(acme.app.request(Method::GET, USERS).bearer_auth(&key)).await;
    assert_eq!(list.json()["meta"]["total"], 0);
    // An address is taken in its own organization only, and numbers begin anew.
    let request = acme.app.request(Method::POST, USERS).bearer_auth(&key);
    let form = "email=user@acme.example.com&role=viewer&auth_method=oidc";
    let made = Answer::of(request.header("content-type", FORM).body(form)).await;
    assert_eq!((made.status, &made.json()["id"]), (201, &1.into()));
}
