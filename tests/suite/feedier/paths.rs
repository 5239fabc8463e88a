//! Paths and methods.

use reqwest::{Method, header::HeaderValue};
use userbridge::domain::Role;

use super::{Acme, FORM, USERS, assert_answer, assert_same, no_user};
use crate::support::{Answer, TestApp, gateway_tests, wire::Wire};

gateway_tests!(
    a_path_that_is_none_is_no_route,
    a_method_that_a_path_does_not_take_is_told,
    head_is_get_without_a_body,
    an_id_that_nobody_has_is_echoed,
    a_slash_at_the_end_does_not_count,
    answers_are_json_whatever_is_accepted,
    no_answer_is_kept_by_a_cache,
    a_head_that_can_not_be_read_is_refused_in_json,
);

async fn a_path_that_is_none_is_no_route(app: TestApp) {
    for path in [
        "v3",
        "v3/nope",
        "v3/Users",
        "v3/users/1/more",
        "v3//users",
        "v3/teams",
        "v3/%22",
        "v3/users/%FF",
        "v3/users/1%C3",
        "v3/%C0%AFusers",
    ] {
        for method in [Method::GET, Method::POST, Method::PATCH] {
            let answer = Answer::of(app.request(method, &format!("/{path}"))).await;
            assert_answer(
                &answer,
                404,
                &format!(r#"{{"message":"The route {path} could not be found."}}"#),
            );
        }
    }
    let answer = Answer::of(app.request(Method::GET, "/v3/")).await;
    assert_answer(&answer, 404, r#"{"message":"The route v3 could not be found."}"#);
    // Elsewhere the other dialect answers.
    for path in ["/v33", "/v4/users", "/users", "/"] {
        let answer = Answer::of(app.request(Method::GET, path)).await;
        assert_answer(&answer, 404, r#"{"detail":"Not Found"}"#);
    }
}

async fn a_method_that_a_path_does_not_take_is_told(app: TestApp) {
    for (path, methods, others) in [
        (
            "v3/users",
            "GET, HEAD, POST",
            &["PATCH", "PUT", "DELETE", "PURGE"][..],
        ),
        (
            "v3/users/1",
            "GET, HEAD, PUT, DELETE",
            &["PATCH", "POST", "TRACE"],
        ),
    ] {
        for method in others {
            let request = app.request(
                Method::from_bytes(method.as_bytes()).unwrap(),
                &format!("/{path}"),
            );
            let answer = Answer::of(request).await;
            let message = format!(
                r#"{{"message":"The {method} method is not supported for route {path}. Supported methods: {methods}."}}"#
            );
            assert_answer(&answer, 405, &message);
            assert_eq!(answer.headers["allow"], methods);
        }
        let answer = Answer::of(app.request(Method::OPTIONS, &format!("/{path}"))).await;
        assert_answer(&answer, 200, "");
        assert_eq!(answer.headers["allow"], methods);
    }
}

async fn head_is_get_without_a_body(app: TestApp) {
    let acme = Acme::of(app).await;
    acme.viewers(1).await;
    let mut wire = Wire::open(acme.app.http_addr).await;
    for (path, status) in [(USERS, 200), ("/v3/users/1", 200), ("/v3/users/2", 404)] {
        let head = format!(
            "HEAD {path} HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {}\r\n\r\n",
            acme.key
        );
        wire.send(head.as_bytes()).await;
        let reply = wire.head().await.unwrap();
        assert_eq!(reply.status, status);
        wire.send(head.replacen("HEAD", "GET", 1).as_bytes()).await;
        let whole = wire.reply().await.unwrap();
        assert_eq!(whole.status, status);
        assert_eq!(reply.header("content-length"), whole.header("content-length"));
        assert_eq!(reply.header("content-type"), Some("application/json"));
    }
}

async fn an_id_that_nobody_has_is_echoed(app: TestApp) {
    let acme = Acme::of(app).await;
    acme.viewers(1).await;
    acme.member("end@acme.example.com", None, None).await;
    for (written, id) in [
        ("2", "2"),
        ("42", "42"),
        ("0", "0"),
        ("-1", "-1"),
        ("+1", "+1"),
        ("01", "01"),
        ("1.0", "1.0"),
        ("abc", "abc"),
        ("99999999999999999999", "99999999999999999999"),
        ("a%20b", "a b"),
        ("%22", "\\\""),
        ("%00", "\\u0000"),
        ("08", "08"),
        ("100%", "100%"),
        ("%E2%82%AC", "€"),
    ] {
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            let request = acme.app.request(method, &format!("{USERS}/{written}"));
            let answer = Answer::of(request.bearer_auth(&acme.key)).await;
            assert_answer(&answer, 404, &no_user(id));
        }
    }
}

async fn a_slash_at_the_end_does_not_count(app: TestApp) {
    let acme = Acme::of(app).await;
    acme.viewers(1).await;
    assert_same(&acme.get("/v3/users/").await, &acme.get(USERS).await);
    assert_same(&acme.get("/v3/users/1//").await, &acme.retrieve(1).await);
    assert_same(&acme.get("/v3/%75sers/%31").await, &acme.retrieve(1).await);
}

async fn answers_are_json_whatever_is_accepted(app: TestApp) {
    let acme = Acme::of(app).await;
    acme.member("user@acme.example.com", None, Some(Role::Viewer))
        .await;
    for accept in ["text/html", "application/xml;q=1, */*;q=0", ""] {
        for (path, status) in [
            (USERS, 200),
            ("/v3/users/1", 200),
            ("/v3/users/9", 404),
            ("/v3/x", 404),
        ] {
            let request = acme.app.request(Method::GET, path).bearer_auth(&acme.key);
            let answer = Answer::of(request.header("accept", accept)).await;
            assert_eq!(answer.status, status);
            assert_eq!(answer.headers["content-type"], "application/json");
            answer.json();
        }
    }
}

async fn no_answer_is_kept_by_a_cache(app: TestApp) {
    let acme = Acme::of(app).await;
    acme.viewers(1).await;
    for (method, path, body, status) in [
        (Method::GET, USERS, "", 200),
        (Method::GET, "/v3/users?filter[x]=1", "", 400),
        (Method::GET, "/v3/users?limit=0", "", 422),
        (Method::GET, "/v3/users/1", "", 200),
        (Method::HEAD, "/v3/users/1", "", 200),
        (Method::GET, "/v3/users/9", "", 404),
        (Method::GET, "/v3/x", "", 404),
        (Method::GET, "/v3", "", 404),
        (Method::OPTIONS, USERS, "", 200),
        (Method::PATCH, USERS, "", 405),
        (Method::POST, USERS, "", 422),
        (
            Method::POST,
            USERS,
            "email=a@acme.example.com&role=viewer&auth_method=oidc",
            201,
        ),
        (Method::PUT, "/v3/users/1", "name=A", 200),
        (Method::PUT, "/v3/users/1", &"a".repeat(70_000), 413),
        (Method::DELETE, "/v3/users/1", "", 204),
    ] {
        let answer = acme.send(method.clone(), path, FORM, body).await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert_eq!(
            answer.headers["cache-control"], "no-cache, private",
            "{method} {path}"
        );
    }
    let answer = Answer::of(acme.app.request(Method::GET, USERS)).await;
    assert_eq!(
        (answer.status, &answer.headers["cache-control"]),
        (401, &HeaderValue::from_static("no-cache, private"))
    );
}

async fn a_head_that_can_not_be_read_is_refused_in_json(app: TestApp) {
    let bad_request = br#"{"detail":"Bad Request","message":"Bad Request"}"#;
    let too_large =
        br#"{"detail":"Request Header Fields Too Large","message":"Request Header Fields Too Large"}"#;
    let long = format!("/v3/users?name={}", "a".repeat(40_000));
    for (target, status, body) in [
        (&b"/v3/users?name=\xff"[..], 400, &bad_request[..]),
        (b"/v3/users/\xff", 400, bad_request),
        (b"/v3/users?name=a b", 400, bad_request),
        (b"/v3/users?name=\x01", 400, bad_request),
        (long.as_bytes(), 431, too_large),
    ] {
        let mut wire = Wire::open(app.http_addr).await;
        wire.send(&[b"GET ", target, b" HTTP/1.1\r\nhost: test\r\n\r\n"].concat())
            .await;
        let reply = wire.reply().await.unwrap();
        let shown = target[..target.len().min(50)].escape_ascii();
        assert_eq!((reply.status, &reply.body[..]), (status, body), "{shown}");
        assert_eq!(reply.header("content-type"), Some("application/json"));
    }
}
