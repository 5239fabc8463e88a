//! Keys that open nothing, by address.

use serde_json::json;
use tonic::{Code, Request};
use userbridge::service::CallLimits;
use userbridge_gateway::listen::{ForwardedHeader, TrustedProxies};

use super::{assert_limited, number};
use crate::support::{Answer, Form, TestApp, proto::users_v1::PingRequest, with_key};

const MOST: u32 = 3;

/// A server that may be shown three false keys at once, and takes the word of whoever connects from `proxy`.
async fn guarded(form: Form, proxy: &str) -> TestApp {
    let calls = CallLimits {
        failed_keys: Some(number(MOST)),
        ..CallLimits::default()
    };
    let proxies = TrustedProxies::new([proxy.parse().unwrap()], ForwardedHeader::XForwarded);
    TestApp::start_as(form, |config| {
        config.calls = calls;
        config.proxies = proxies;
    })
    .await
}

/// Asks whose key it is, as who comes through a proxy.
async fn ping(app: &TestApp, key: &str, from: &str) -> Answer {
    let request = app.request(reqwest::Method::POST, "/api/external/v1/ping");
    let request = request.header("x-forwarded-for", from);
    Answer::of(request.json(&json!({ "api_key": key }))).await
}

fn pinged(key: &str, from: &str) -> Request<PingRequest> {
    let mut request = with_key(PingRequest {}, key);
    request
        .metadata_mut()
        .insert("x-forwarded-for", from.parse().unwrap());
    request
}

async fn refused_and_nobody_else(form: Form) {
    let app = guarded(form, "127.0.0.1").await;
    let acme = app.tenant("acme").await;
    let globex = app.tenant("globex").await;
    assert_eq!(ping(&app, &acme.key, "192.0.2.1").await.status, 200);
    for guess in 0..MOST {
        let answer = ping(&app, &format!("pb_{guess}"), "192.0.2.1").await;
        assert_eq!(answer.status, 401);
    }
    let refused = ping(&app, "pb_more", "192.0.2.1").await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.body, r#"{"detail":{"error":"rate limit exceeded"}}"#);
    let wait: u32 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60 / MOST).contains(&wait), "{wait}");

    assert_eq!(
        ping(&app, &acme.key, "192.0.2.1").await.status,
        200,
        "it was good"
    );
    assert_eq!(
        ping(&app, &globex.key, "192.0.2.1").await.status,
        429,
        "nobody knows it"
    );
    assert_eq!(ping(&app, &globex.key, "192.0.2.2").await.status, 200);
    assert_eq!(
        ping(&app, &globex.key, "192.0.2.1").await.status,
        200,
        "now it is known"
    );

    let mut users = app.users();
    let status = users.ping(pinged("pb_more", "192.0.2.1")).await.unwrap_err();
    assert_limited(&status, "TOO_MANY_FAILED_KEYS");
    users.ping(pinged(&acme.key, "192.0.2.1")).await.unwrap();
}

#[tokio::test]
async fn an_address_that_guesses_keys_is_refused_and_nobody_else() {
    refused_and_nobody_else(Form::Embedded).await;
}

#[tokio::test]
async fn a_gateway_apart_says_from_where_they_come() {
    refused_and_nobody_else(Form::Apart).await;
}

#[tokio::test]
async fn one_network_of_ipv6_is_one_address() {
    let app = guarded(Form::Embedded, "127.0.0.1").await;
    for guess in 0..MOST {
        let from = format!("2001:db8::{guess}");
        assert_eq!(ping(&app, "pb_no", &from).await.status, 401);
    }
    assert_eq!(ping(&app, "pb_no", "2001:db8::ffff").await.status, 429);
    assert_eq!(ping(&app, "pb_no", "2001:db8:0:1::1").await.status, 401);
}

#[tokio::test]
async fn a_client_can_not_name_the_address_of_another() {
    let app = guarded(Form::Embedded, "192.0.2.99").await;
    let mut users = app.users();
    for _ in 0..3 * MOST {
        let status = users.ping(pinged("pb_no", "192.0.2.1")).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated);
        assert_eq!(ping(&app, "pb_no", "192.0.2.1").await.status, 401);
    }
}
