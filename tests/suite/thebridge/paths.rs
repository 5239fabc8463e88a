//! Paths, methods and headers.

use reqwest::Method;

use super::{Acme, USERS, assert_answer, user};
use crate::support::{Answer, TestApp, gateway_tests, wire::Wire};

gateway_tests!(
    what_is_no_route_can_not_be_got,
    an_id_that_can_not_be_decoded_is_refused,
    head_is_get_without_a_body,
    what_the_client_has_is_not_sent_again,
    no_answer_is_kept_by_a_cache,
);

fn cannot(method: &str, path: &str) -> String {
    format!(r#"{{"message":"Cannot {method} {path}","error":"Not Found","statusCode":404}}"#)
}

async fn what_is_no_route_can_not_be_got(app: TestApp) {
    let acme = Acme::of(app).await;
    for path in [
        "/account",
        "/account/",
        "/account/nope?x=1&y=%zz",
        "/v1/account/tenant",
        "/account/tenant/%75ser",
        "/account/tenant/user//",
        "/account/tenant/user/1/sms",
        "/account/tenant/user/1/password/2",
        "/auth/handover",
        "/auth/handover/code",
        "/auth/handover/code/a/b",
    ] {
        for method in ["GET", "POST", "PURGE", "OPTIONS"] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let answer = Answer::of(acme.app.request(method.clone(), path)).await;
            assert_answer(&answer, 404, &cannot(method.as_str(), path));
        }
    }
    for (method, path) in [
        (Method::PATCH, "/v1/account/tenant/user"),
        (Method::DELETE, "/account/tenant/user/"),
        (Method::POST, "/account/tenant/user/1"),
        (Method::PUT, "/account/tenant/user/1/associations"),
        (Method::GET, "/account/tenant/user/1/password"),
        (Method::GET, "/auth/handover/code/app"),
    ] {
        let answer = Answer::of(acme.request(method.clone(), path)).await;
        assert_answer(&answer, 404, &cannot(method.as_str(), path));
    }
    // Elsewhere another dialect answers.
    for path in ["/accounts", "/v1/accounts", "/v2/account", "/auth"] {
        let answer = Answer::of(acme.app.request(Method::GET, path)).await;
        assert_answer(&answer, 404, r#"{"detail":"Not Found"}"#);
    }
}

async fn an_id_that_can_not_be_decoded_is_refused(app: TestApp) {
    for (method, path) in [
        (Method::GET, ""),
        (Method::PATCH, ""),
        (Method::POST, "/password"),
    ] {
        let answer = Answer::of(app.request(method, &format!("{USERS}/%ff{path}"))).await;
        assert_answer(
            &answer,
            400,
            r#"{"message":"Failed to decode param '%ff'","error":"Bad Request","statusCode":400}"#,
        );
    }
}

async fn head_is_get_without_a_body(app: TestApp) {
    let acme = Acme::of(app).await;
    let id = acme.user("user@acme.example.com", "VIEWER").await;
    for path in [USERS.to_owned(), user(&id), user("1"), "/account/nope".to_owned()] {
        let get = Answer::of(acme.request(Method::GET, &path)).await;
        let mut wire = Wire::open(acme.app.http_addr).await;
        let (key, tenant) = (&acme.key, acme.organization.id);
        let head = format!(
            "HEAD {path} HTTP/1.1\r\nhost: test\r\nx-api-key: {key}\r\nx-tenant-id: {tenant}\r\n\r\n"
        );
        wire.send(head.as_bytes()).await;
        let head = wire.head().await.unwrap();
        assert_eq!(head.status, get.status, "{path}");
        if path != "/account/nope" {
            let length = get.body.len().to_string();
            assert_eq!(head.header("content-length"), Some(length.as_str()));
            assert_eq!(head.header("etag"), get.headers["etag"].to_str().ok());
        }
        // Nothing more has come: the connection goes on with the next answer.
        wire.send(b"GET /account HTTP/1.1\r\nhost: test\r\n\r\n").await;
        assert_eq!(wire.reply().await.unwrap().status, 404);
    }
}

async fn what_the_client_has_is_not_sent_again(app: TestApp) {
    let acme = Acme::of(app).await;
    let id = acme.user("user@acme.example.com", "VIEWER").await;
    for path in [USERS.to_owned(), user(&id), format!("{}/associations", user(&id))] {
        let full = Answer::of(acme.request(Method::GET, &path)).await;
        let etag = full.headers["etag"].to_str().unwrap().to_owned();
        let strong = etag.trim_start_matches("W/");
        for held in [&etag, strong, "*", &format!("\"x\", {etag}")] {
            let request = acme.request(Method::GET, &path).header("if-none-match", held);
            let answer = Answer::of(request).await;
            assert_answer(&answer, 304, "");
            let request = acme.request(Method::HEAD, &path).header("if-none-match", held);
            let answer = Answer::of(request).await;
            assert_answer(&answer, 304, "");
            assert!(!answer.headers.contains_key("content-length"));
            assert_eq!(answer.headers["etag"], etag);
            assert!(!answer.headers.contains_key("content-type"));
        }
        let other = acme.request(Method::GET, &path).header("if-none-match", "\"x\"");
        assert_answer(&Answer::of(other).await, 200, &full.body);
        let reload = acme.request(Method::GET, &path).header("if-none-match", &etag);
        let reload = Answer::of(reload.header("cache-control", "no-cache")).await;
        assert_answer(&reload, 200, &full.body);
    }
    let missing = acme.request(Method::GET, &user("1")).header("if-none-match", "*");
    assert_eq!(Answer::of(missing).await.status, 404);
    let change = acme.request(Method::PUT, &user(&id)).header("if-none-match", "*");
    assert_eq!(Answer::of(change).await.status, 200);
}

async fn no_answer_is_kept_by_a_cache(app: TestApp) {
    let acme = Acme::of(app).await;
    let id = acme.user("user@acme.example.com", "VIEWER").await;
    for path in [USERS.to_owned(), user(&id), user("1"), "/account/nope".to_owned()] {
        let answer = Answer::of(acme.request(Method::GET, &path)).await;
        assert_eq!(answer.headers["cache-control"], "no-cache, private");
        assert_eq!(answer.headers["content-type"], "application/json; charset=utf-8");
    }
}
