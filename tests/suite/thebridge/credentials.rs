//! Links to set a password, and codes for the hosted pages.

use reqwest::Method;
use serde_json::json;

use super::{Acme, JSON, assert_code, assert_invalid};
use crate::support::{Answer, TestApp, gateway_tests};

gateway_tests!(
    an_access_token_that_is_none_opens_nothing,
    what_says_no_token_is_told_so,
);

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
