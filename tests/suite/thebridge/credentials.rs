//! Mails with links to set a password, and codes for the hosted pages.

use reqwest::Method;
use serde_json::json;
use userbridge::{
    domain::{
        Idempotency, LinkRequest, MemberNumber, MemberPatch, MemberRef, PageRequest, Role, TokenKind, UserId,
    },
    service::{Read, Write},
};

use super::{Acme, JSON, assert_answer, assert_code, assert_invalid, user};
use crate::support::{Answer, TestApp, first, gateway_tests};

gateway_tests!(
    a_new_user_is_welcomed_unless_muted,
    a_password_link_is_mailed_to_the_user,
    an_access_token_of_an_administrator_gives_a_code,
    an_access_token_that_is_none_opens_nothing,
    what_says_no_token_is_told_so,
);

/// The kinds of all mails to a user, oldest first.
async fn mails(acme: &Acme, id: &str) -> Vec<String> {
    let number = number(acme, id).await;
    let page = PageRequest {
        after: None,
        limit: 100,
    };
    let grant = Read::operator(acme.organization.id);
    let mails = acme.app.directory().mails(grant, None, page).await.unwrap();
    let mails = mails.items.iter().filter(|mail| mail.member == number);
    mails.map(|mail| mail.kind.to_string()).collect()
}

pub(super) async fn number(acme: &Acme, id: &str) -> MemberNumber {
    let user: UserId = id.parse().unwrap();
    let grant = Read::operator(acme.organization.id);
    let found = acme
        .app
        .directory()
        .member(grant, MemberRef::UserId(user), false)
        .await;
    found.unwrap().number
}

async fn a_new_user_is_welcomed_unless_muted(app: TestApp) {
    let acme = Acme::of(app).await;
    for (index, (mute, welcome)) in [
        (json!(null), &["onboarding"][..]),
        (json!(false), &["onboarding"]),
        (json!(true), &[]),
    ]
    .into_iter()
    .enumerate()
    {
        let username = format!("user{index}@acme.example.com");
        let made = acme
            .create(json!({ "username": username, "muteNotifications": mute }))
            .await;
        assert_eq!(made.status, 201, "{}", made.body);
        assert_eq!(mails(&acme, made.json()["id"].as_str().unwrap()).await, welcome);
    }
}

async fn a_password_link_is_mailed_to_the_user(app: TestApp) {
    let acme = Acme::of(app).await;
    let made = acme
        .create(json!({ "username": "user@acme.example.com", "muteNotifications": true }))
        .await;
    let id = made.json()["id"].as_str().unwrap().to_owned();
    assert_answer(&acme.reset_password(&id).await, 200, "{}");
    assert_eq!(mails(&acme, &id).await, ["password_reset"]);
    let path = format!("/v1{}/password", user(&id));
    let again = acme.send(Method::POST, &path, json!({})).await;
    assert_answer(&again, 200, "{}");

    let link = LinkRequest {
        values: MemberPatch {
            name: Some(Some("Nobody Knows".parse().unwrap())),
            role: Some(Some(Role::Viewer)),
            external_id: Some(Some("7".parse().unwrap())),
            ..MemberPatch::default()
        },
        ..LinkRequest::default()
    };
    let grant = Write::operator(acme.organization.id);
    let linked = acme
        .app
        .directory()
        .link_member(grant, link, Idempotency::never());
    let nameless = first(linked.await.unwrap()).member.user_id.to_string();
    let answer = acme.reset_password(&nameless).await;
    assert_code(&answer, 400, "NBLOCKS_MISSING_USERNAME");
}

/// An access token, as a service gets it that has the user's password.
async fn access_token(acme: &Acme, id: &str) -> String {
    let number = number(acme, id).await;
    let kind = TokenKind::AccessToken;
    acme.app.live_token(&acme.organization, number, kind).await
}

async fn an_access_token_of_an_administrator_gives_a_code(app: TestApp) {
    let acme = Acme::of(app).await;
    acme.user("owner@acme.example.com", "OWNER").await;
    for role in ["OWNER", "ADMIN"] {
        let id = acme.user(&format!("{role}@acme.example.com"), role).await;
        let token = access_token(&acme, &id).await;
        let answer = handover(&acme, &json!({ "accessToken": token }).to_string()).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let code = answer.json()["code"].as_str().unwrap().to_owned();
        assert_eq!(answer.body, format!(r#"{{"code":"{code}"}}"#));
        assert!(code.starts_with("ubh_"));
        assert_eq!(acme.update(&id, json!({ "enabled": false })).await.status, 200);
        let answer = handover(&acme, &json!({ "accessToken": token }).to_string()).await;
        assert!([401, 403].contains(&answer.status), "{}", answer.body);
    }
    let id = acme.user("editor@acme.example.com", "EDITOR").await;
    let token = access_token(&acme, &id).await;
    let answer = handover(&acme, &json!({ "accessToken": token }).to_string()).await;
    assert_code(&answer, 403, "NBLOCKS_FORBIDDEN_EXCEPTION");
}

async fn handover(acme: &Acme, body: &str) -> Answer {
    let request = acme.app.request(Method::POST, "/auth/handover/code/app");
    Answer::of(request.header("content-type", JSON).body(body.to_owned())).await
}

async fn an_access_token_that_is_none_opens_nothing(app: TestApp) {
    let acme = Acme::of(app).await;
    let long = "x".repeat(5000);
    for token in ["uba_unknown", "a b", "ü", &long, &acme.key] {
        let answer = handover(&acme, &json!({ "accessToken": token }).to_string()).await;
        assert_code(&answer, 401, "NBLOCKS_INVALID_AUTH_TOKEN");
    }
}

async fn what_says_no_token_is_told_so(app: TestApp) {
    let acme = Acme::of(app).await;
    for body in ["", "{}", r#"{"accessToken":null}"#, "[]"] {
        assert_invalid(
            &handover(&acme, body).await,
            &["accessToken should not be empty", "accessToken must be a string"],
        );
    }
    let answer = handover(&acme, r#"{"accessToken":5}"#).await;
    assert_invalid(&answer, &["accessToken must be a string"]);
}
