//! Methods, paths, sizes, content types, connections.

use reqwest::{Body, Method};

use super::{DELETE, NOBODY, PING, RETRIEVE, SALLY, body};
use crate::support::{Answer, TestApp, gateway_tests, wire::Wire};

gateway_tests!(
    every_endpoint_is_post_and_nothing_else,
    head_has_no_body,
    a_path_that_is_none_is_not_found,
    a_slash_at_the_end_is_redirected,
    a_redirect_names_no_host_that_is_none,
    a_body_over_64_kib_is_refused,
    a_body_in_pieces_is_read_whole,
    a_body_that_grows_when_it_is_decoded_is_answered,
    json_is_what_says_that_it_is,
    a_connection_outlives_every_refusal,
    requests_that_follow_each_other_are_answered_in_order,
    a_client_that_breaks_off_harms_nobody,
    no_cache_keeps_an_answer_for_anybody_else,
);

const TOO_LARGE: &str = r#"{"detail":{"error":"request body too large"}}"#;

async fn every_endpoint_is_post_and_nothing_else(app: TestApp) {
    for path in [RETRIEVE, DELETE, PING] {
        for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "PURGE"] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let answer = Answer::of(app.request(method.clone(), path)).await;
            assert_eq!(
                (answer.status, answer.body.as_str()),
                (405, r#"{"detail":"Method Not Allowed"}"#),
                "{method} {path}"
            );
            assert_eq!(answer.headers["allow"], "POST");
            assert_eq!(answer.headers["content-type"], "application/json");
        }
    }
}

async fn a_redirect_names_no_host_that_is_none(app: TestApp) {
    for (host, location) in [
        ("a.example:81", "http://a.example:81/api/external/v1/ping"),
        ("[::1]:81", "http://[::1]:81/api/external/v1/ping"),
        (r#"a.example"><script>"#, PING),
        ("a.example/evil", PING),
        ("user@a.example", PING),
        ("a b", PING),
        ("", PING),
    ] {
        let mut wire = Wire::open(app.http_addr).await;
        let head = format!("POST {PING}/ HTTP/1.1\r\nhost: {host}\r\ncontent-length: 0\r\n\r\n");
        wire.send(head.as_bytes()).await;
        let reply = wire.any_reply().await.unwrap();
        assert_eq!(
            (reply.status, reply.header("location")),
            (307, Some(location)),
            "{host}"
        );
    }
}

async fn no_cache_keeps_an_answer_for_anybody_else(app: TestApp) {
    let acme = app.tenant("acme").await;
    let id = app.member(&acme.organization, SALLY).await.user_id.to_string();
    let too_large = "x".repeat(64 * 1024 + 1);
    for (path, body, status) in [
        (RETRIEVE, body(&acme.key, "email", SALLY), 200),
        (PING, body(&acme.key, "email", SALLY), 200),
        (RETRIEVE, body("pb_unknown", "email", SALLY), 401),
        (RETRIEVE, body(&acme.key, "email", NOBODY), 404),
        (RETRIEVE, body(&acme.key, "user_id", SALLY), 422),
        (RETRIEVE, too_large, 413),
        (DELETE, body(&acme.key, "user_id", &id), 200),
    ] {
        let answer = app.post(path, body).await;
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(
            answer.headers["cache-control"], "no-cache, private",
            "{path} {status}"
        );
    }
}

async fn head_has_no_body(app: TestApp) {
    let mut wire = Wire::open(app.http_addr).await;
    for _ in 0..2 {
        wire.send(format!("HEAD {RETRIEVE} HTTP/1.1\r\nhost: test\r\n\r\n").as_bytes())
            .await;
        let reply = wire.head().await.unwrap();
        assert_eq!((reply.status, reply.header("allow")), (405, Some("POST")));
    }
    // A body would be in the way of this.
    assert_eq!(
        wire.post(PING, "application/json", b"{}").await.unwrap().status,
        401
    );
}

async fn a_path_that_is_none_is_not_found(app: TestApp) {
    for path in [
        "/",
        "/api",
        "/api/external/v1",
        "/api/external/v1/users",
        "/api/external/v1/users/",
        "/api/external/v1/users/nope",
        "/api/external/v1/users/retrieve/more",
        "/api/external/v1//users/retrieve",
        "/api/external/v1/Users/Retrieve",
        "/api/external/v2/users/retrieve",
        "/users/retrieve",
    ] {
        for method in [Method::POST, Method::GET] {
            let answer = Answer::of(app.request(method, path)).await;
            assert_eq!(
                (answer.status, answer.body.as_str()),
                (404, r#"{"detail":"Not Found"}"#),
                "{path}"
            );
        }
    }
}

async fn a_slash_at_the_end_is_redirected(app: TestApp) {
    for (method, path, target) in [
        (Method::POST, format!("{RETRIEVE}/"), RETRIEVE.to_owned()),
        (
            Method::POST,
            format!("{PING}/?x=1&y=%20"),
            format!("{PING}?x=1&y=%20"),
        ),
        (Method::GET, format!("{DELETE}/"), DELETE.to_owned()),
        (
            Method::POST,
            format!("{PING}/?{{}}|\\^`=%7e-_.~:/?@[]!$&()*+,;"),
            format!("{PING}?%7B%7D%7C%5C%5E%60=%7e-_.~:/?@[]!$&()*+,;"),
        ),
    ] {
        let answer = Answer::of(app.request(method, &path).body("{}")).await;
        assert_eq!((answer.status, answer.body.as_str()), (307, ""), "{path}");
        assert_eq!(
            answer.headers["location"],
            format!("http://{}{target}", app.http_addr)
        );
    }
}

async fn a_body_over_64_kib_is_refused(app: TestApp) {
    let acme = app.tenant("acme").await;
    app.member(&acme.organization, SALLY).await;
    let valid = body(&acme.key, "email", SALLY);
    let of_size = |size: usize| format!("{}{valid}", " ".repeat(size - valid.len()));
    for path in [RETRIEVE, DELETE, PING] {
        for size in [64 * 1024 + 1, 200_000, 3_000_000] {
            // Whether its size is known from the start or not.
            let chunks = tokio_stream::iter(
                of_size(size)
                    .into_bytes()
                    .chunks(10_000)
                    .map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec()))
                    .collect::<Vec<_>>(),
            );
            for body in [Body::from(of_size(size)), wrap(chunks)] {
                let request = app
                    .request(Method::POST, path)
                    .header("content-type", "application/json");
                // One who sends far too much may lose the connection before the answer.
                if let Ok(response) = request.body(body).send().await {
                    assert_eq!(response.status(), 413, "{path} {size}");
                    assert_eq!(response.headers()["content-type"], "application/json");
                    assert_eq!(response.text().await.unwrap(), TOO_LARGE);
                } else {
                    assert!(size > 1024 * 1024, "{path} {size}: no answer");
                }
            }
        }
    }
    assert_eq!(app.retrieve_json(of_size(64 * 1024)).await.status, 200);
}

fn wrap<S>(stream: S) -> Body
where
    S: tokio_stream::Stream<Item = Result<Vec<u8>, std::io::Error>> + Send + 'static,
{
    Body::wrap_stream(stream)
}

async fn a_body_in_pieces_is_read_whole(app: TestApp) {
    let acme = app.tenant("acme").await;
    app.member(&acme.organization, SALLY).await;
    let pieces: Vec<_> = body(&acme.key, "email", SALLY)
        .into_bytes()
        .into_iter()
        .map(|byte| Ok::<_, std::io::Error>(vec![byte]))
        .collect();
    assert_eq!(
        app.retrieve_json(wrap(tokio_stream::iter(pieces))).await.status,
        200
    );
}

async fn a_body_that_grows_when_it_is_decoded_is_answered(app: TestApp) {
    let acme = app.tenant("acme").await;
    // Two bytes each in UTF-16, three in UTF-8.
    let email = "漢".repeat(32_000);
    let sent: Vec<u8> = body(&acme.key, "email", &email)
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert!(sent.len() <= 64 * 1024);
    let answer = app.retrieve_json(sent).await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (404, super::USER_NOT_FOUND)
    );
}

async fn json_is_what_says_that_it_is(app: TestApp) {
    let acme = app.tenant("acme").await;
    app.member(&acme.organization, SALLY).await;
    let sent = body(&acme.key, "email", SALLY);
    for (content_type, status) in [
        (Some("application/json"), 200),
        (Some("application/json; charset=utf-8"), 200),
        (Some("application/json;charset=latin-1"), 200),
        (Some("APPLICATION/JSON"), 200),
        (Some("application/vnd.acme.v1+json"), 200),
        (Some("application/problem+json; x=y"), 200),
        (Some("text/json"), 422),
        (Some("text/plain"), 422),
        (Some("application/jsonp"), 422),
        (Some("application/x-www-form-urlencoded"), 422),
        (Some("multipart/form-data; boundary=x"), 422),
        (Some(""), 422),
        (None, 422),
    ] {
        let mut request = app.request(Method::POST, RETRIEVE);
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let answer = Answer::of(request.body(sent.clone())).await;
        assert_eq!(answer.status, status, "{content_type:?}");
        if status == 422 {
            let item = &answer.json()["detail"][0];
            assert_eq!(item["type"], "model_attributes_type");
            assert_eq!(item["input"], sent);
        }
    }
}

async fn a_connection_outlives_every_refusal(app: TestApp) {
    let acme = app.tenant("acme").await;
    app.member(&acme.organization, SALLY).await;
    let valid = body(&acme.key, "email", SALLY);
    let json = "application/json";
    let mut wire = Wire::open(app.http_addr).await;
    for (path, content_type, body, status) in [
        (RETRIEVE, json, "", 422),
        (RETRIEVE, json, "{", 422),
        (RETRIEVE, "text/plain", "{", 422),
        (RETRIEVE, json, &*"[".repeat(60_000), 400),
        (RETRIEVE, json, &*" ".repeat(65_537), 413),
        (RETRIEVE, json, r#"{"email":"x"}"#, 401),
        ("/nope", json, "{}", 404),
    ] {
        let reply = wire
            .post(path, content_type, body.as_bytes())
            .await
            .expect("a reply");
        let sent = format!("{path} {content_type} {} bytes", body.len());
        assert_eq!(reply.status, status, "{sent}");
        let next = wire.post(RETRIEVE, json, valid.as_bytes()).await;
        assert_eq!(next.map(|reply| reply.status), Some(200), "after {sent}");
    }
}

async fn requests_that_follow_each_other_are_answered_in_order(app: TestApp) {
    let acme = app.tenant("acme").await;
    let sally = app.member(&acme.organization, SALLY).await.user_id.to_string();
    let request = |path: &str, body: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let by_id = body(&acme.key, "user_id", &sally);
    let all = [
        request(RETRIEVE, &by_id),
        request(DELETE, &by_id),
        request(RETRIEVE, &by_id),
        request(PING, &by_id),
    ]
    .concat();
    let mut wire = Wire::open(app.http_addr).await;
    wire.send(all.as_bytes()).await;
    for status in [200, 200, 404, 200] {
        assert_eq!(wire.reply().await.unwrap().status, status);
    }
}

async fn a_client_that_breaks_off_harms_nobody(app: TestApp) {
    let acme = app.tenant("acme").await;
    app.member(&acme.organization, SALLY).await;
    let whole = format!(
        "POST {RETRIEVE} HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{{\"api"
    );
    for length in [0, 1, 20, 80, whole.len()] {
        let mut wire = Wire::open(app.http_addr).await;
        wire.send(&whole.as_bytes()[..length.min(whole.len())]).await;
        drop(wire);
    }
    let mut garbage = Wire::open(app.http_addr).await;
    garbage
        .send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        .await;
    garbage.send(b"\r\n\r\n").await;
    drop(garbage);
    assert_eq!(
        app.retrieve_json(body(&acme.key, "email", SALLY)).await.status,
        200
    );
}
