//! How long the gateway waits for a client and for the directory, and what it tells the directory. The clock is the
//! test's: while everything waits, it jumps to the next moment at which something is due.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that can't go on has failed"
)]

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, Request, Response, StatusCode},
};
use http_body_util::BodyExt as _;
use tokio::{net::TcpListener, time::Instant};
use tower::{ServiceExt as _, service_fn};
use userbridge_gateway::{Settings, Upstream, router};

/// A day: the test has waited for nothing that comes.
const NEVER: Duration = Duration::from_hours(24);

const KEY: &str = "pb_c2VjcmV0";

/// A directory that knows no key. It notes the head of each call.
fn directory(heads: Arc<Mutex<Vec<HeaderMap>>>) -> Upstream {
    Upstream::in_process(service_fn(move |request: http::Request<tonic::body::Body>| {
        heads.lock().unwrap().push(request.headers().clone());
        let response = http::Response::builder()
            .header("content-type", "application/grpc")
            .header("grpc-status", "16")
            .body(tonic::body::Body::empty())
            .unwrap();
        async { Ok::<_, Infallible>(response) }
    }))
}

fn request(method: &str, path: &str, body: impl Into<Body>) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", format!("Bearer {KEY}"))
        .header("content-type", "application/json")
        .body(body.into())
        .unwrap()
}

async fn answer(upstream: Upstream, request: Request<Body>) -> Response<Body> {
    let answer = router(upstream, &Settings::default()).oneshot(request);
    let answer = tokio::time::timeout(NEVER, answer).await;
    answer.expect("it is answered at all").unwrap()
}

/// A body of which a first part comes, and nothing more.
struct Unfinished(Option<Bytes>);

impl axum::body::HttpBody for Unfinished {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        match self.0.take() {
            Some(part) => std::task::Poll::Ready(Some(Ok(http_body::Frame::data(part)))),
            None => std::task::Poll::Pending,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_end_is_given_up_after_30_seconds() {
    for (method, path, status) in [
        ("POST", "/api/external/v1/ping", StatusCode::GATEWAY_TIMEOUT),
        (
            "POST",
            "/api/external/v1/users/retrieve",
            StatusCode::GATEWAY_TIMEOUT,
        ),
        (
            "POST",
            "/api/external/v1/users/delete",
            StatusCode::GATEWAY_TIMEOUT,
        ),
        ("POST", "/v3/users", StatusCode::REQUEST_TIMEOUT),
        ("PUT", "/v3/users/1", StatusCode::REQUEST_TIMEOUT),
    ] {
        let body = Body::new(Unfinished(Some(Bytes::from_static(b"{\"api_key\":"))));
        let begin = Instant::now();
        let answer = answer(directory(Arc::default()), request(method, path, body)).await;
        assert_eq!(answer.status(), status, "{method} {path}");
        let waited = begin.elapsed();
        assert!(
            (Duration::from_secs(30)..Duration::from_secs(31)).contains(&waited),
            "{method} {path}: {waited:?}"
        );
    }
}

/// Behind a socket; in one process the directory itself keeps the time that it is told.
#[tokio::test(start_paused = true)]
async fn a_directory_that_does_not_answer_is_given_up_after_10_seconds() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}", silent.local_addr().unwrap());
    let upstream = Upstream::connect(uri.parse().unwrap());
    let body = format!(r#"{{"api_key":"{KEY}"}}"#);
    let begin = Instant::now();
    let answer = answer(upstream, request("POST", "/api/external/v1/ping", body)).await;
    assert_eq!(answer.status(), StatusCode::GATEWAY_TIMEOUT);
    let waited = begin.elapsed();
    assert!(
        (Duration::from_secs(10)..Duration::from_secs(12)).contains(&waited),
        "{waited:?}"
    );
}

#[tokio::test]
async fn every_call_says_how_long_the_directory_has_and_that_its_key_is_a_secret() {
    let user_id = "0195f3a0-0000-7000-8000-000000000001";
    let productbridge = format!(r#"{{"api_key":"{KEY}","user_id":"{user_id}"}}"#);
    let feedier = r#"{"email":"sally@acme.example.com","role":"viewer","auth_method":"password"}"#;
    for (method, path, body) in [
        ("POST", "/api/external/v1/ping", productbridge.as_str()),
        ("POST", "/api/external/v1/users/retrieve", &productbridge),
        ("POST", "/api/external/v1/users/delete", &productbridge),
        ("GET", "/v3/users", ""),
        ("GET", "/v3/users/1", ""),
        ("POST", "/v3/users", feedier),
        ("PUT", "/v3/users/1", feedier),
        ("DELETE", "/v3/users/1", ""),
    ] {
        let heads = Arc::default();
        let answer = answer(
            directory(Arc::clone(&heads)),
            request(method, path, body.to_owned()),
        )
        .await;
        let status = answer.status();
        let said = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{method} {path}: {said:?}");
        let heads = heads.lock().unwrap();
        assert!(!heads.is_empty(), "{method} {path}");
        for head in heads.iter() {
            let key = &head["authorization"];
            assert_eq!(key, format!("Bearer {KEY}").as_str(), "{method} {path}");
            // What prints a request, as a log may, prints no sensitive value.
            assert!(key.is_sensitive(), "{method} {path}");
            assert!(!format!("{head:?}").contains(KEY), "{method} {path}: {head:?}");
            assert_eq!(head["grpc-timeout"], "10S", "{method} {path}");
        }
    }
}
