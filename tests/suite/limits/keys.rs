//! How often a key may call.

use reqwest::Method;
use serde_json::{Value, json};
use userbridge::{
    domain::Scope,
    service::{CallLimits, CallRate},
};

use super::{assert_limited, number};
use crate::support::{Answer, Form, TestApp};

const BURST: u32 = 5;

/// One a second, and five at once.
async fn slow(form: Form) -> TestApp {
    let per_key = CallRate {
        per_second: number(1),
        burst: number(BURST),
    };
    let calls = CallLimits {
        per_key: Some(per_key),
        ..CallLimits::default()
    };
    TestApp::start_as(form, |config| config.calls = calls).await
}

/// Asks until it is refused, which it is not before the burst is over.
async fn until_refused(ask: impl AsyncFn() -> Answer) -> Answer {
    for count in 0..10 * BURST {
        let answer = ask().await;
        if answer.status == 429 {
            assert!(count >= BURST, "after {count}: {answer:?}");
            assert_eq!(answer.headers["retry-after"], "1");
            return answer;
        }
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    panic!("it is never refused");
}

async fn refused_in_the_words_of_each_contract(form: Form) {
    let app = slow(form).await;
    let acme = app.tenant("acme").await;
    let globex = app.tenant("globex").await;
    let key = app.key(&acme.organization, &[Scope::DirectoryRead]).await;
    let all = app.deployment_key(&[Scope::DirectoryRead]).await;
    let ping = async |key: &str| app.ping_json(json!({ "api_key": key }).to_string()).await;

    let refused = until_refused(async || ping(&acme.key).await).await;
    assert_eq!(refused.body, r#"{"detail":{"error":"rate limit exceeded"}}"#);
    assert_eq!(ping(&globex.key).await.status, 200, "others go on");

    let feedier = async || Answer::of(app.request(Method::GET, "/v3/users").bearer_auth(&key)).await;
    let refused = until_refused(feedier).await;
    assert_eq!(refused.body, r#"{"message":"Too Many Attempts."}"#);
    assert_eq!(refused.headers["x-ratelimit-limit"], BURST.to_string());
    assert_eq!(refused.headers["x-ratelimit-remaining"], "0");

    let tenant = acme.organization.id.to_string();
    let thebridge = async || {
        let request = app.request(Method::GET, "/account/tenant/user");
        Answer::of(request.header("x-api-key", &all).header("x-tenant-id", &tenant)).await
    };
    let refused: Value = until_refused(thebridge).await.json();
    assert_eq!(
        refused,
        json!({
            "message": "Too Many Requests",
            "error": "NBLOCKS_ERROR",
            "statusCode": 429,
            "nblocksCode": "NBLOCKS_ERROR",
        })
    );
}

#[tokio::test]
async fn a_key_that_calls_too_often_is_refused_in_the_words_of_each_contract() {
    refused_in_the_words_of_each_contract(Form::Embedded).await;
}

#[tokio::test]
async fn a_gateway_apart_says_the_same() {
    refused_in_the_words_of_each_contract(Form::Apart).await;
}

#[tokio::test]
async fn grpc_says_how_often_a_key_may_call_and_when_again() {
    let app = slow(Form::Embedded).await;
    let acme = app.tenant("acme").await;
    let mut users = app.users();
    let mut answered = 0;
    let refused = loop {
        let request = crate::support::with_key(crate::support::proto::users_v1::PingRequest {}, &acme.key);
        match users.ping(request).await {
            Ok(response) => {
                let metadata = response.metadata();
                assert_eq!(metadata.get("x-ratelimit-limit").unwrap(), &BURST.to_string());
                assert!(metadata.contains_key("x-ratelimit-remaining"));
                answered += 1;
            }
            Err(status) => break status,
        }
    };
    assert!(answered >= BURST);
    assert_limited(&refused, "RATE_LIMITED");
    assert_eq!(refused.metadata().get("x-ratelimit-remaining").unwrap(), "0");
}

#[tokio::test]
async fn a_request_of_several_calls_counts_once_and_feedier_says_what_is_left() {
    let app = slow(Form::Embedded).await;
    let acme = app.organization("acme").await;
    let key = app.key(&acme, &[Scope::DirectoryWrite]).await;
    let left = async |method: Method, body: Value| {
        let request = app.request(method, "/v3/users/1").bearer_auth(&key);
        let answer = Answer::of(request.json(&body)).await;
        assert_eq!(
            answer.headers["x-ratelimit-limit"],
            BURST.to_string(),
            "{answer:?}"
        );
        let left = answer.headers["x-ratelimit-remaining"].to_str().unwrap();
        left.parse::<u32>().unwrap()
    };
    // One is new again each second, so there may be more than these.
    assert_eq!(left(Method::GET, Value::Null).await, BURST - 1);
    assert!(left(Method::PUT, json!({ "name": "Ada" })).await >= BURST - 2);
}

#[tokio::test]
async fn without_a_limit_nothing_is_said_of_it() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.organization("acme").await;
    let key = app.key(&acme, &[Scope::DirectoryRead]).await;
    let answer = Answer::of(app.request(Method::GET, "/v3/users").bearer_auth(&key)).await;
    assert_eq!(answer.status, 200);
    let names = answer.headers.keys();
    assert!(
        names
            .into_iter()
            .all(|name| !name.as_str().starts_with("x-ratelimit"))
    );
}
