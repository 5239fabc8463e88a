//! Whatever is sent: never a 5xx, never a lost connection, always JSON.

use proptest::{
    collection::vec,
    prelude::{Just, Strategy, any},
    prop_oneof,
    sample::select,
    test_runner::{Config, FileFailurePersistence, TestCaseError, TestRunner},
};
use tokio::{runtime::Handle, sync::Mutex, task::spawn_blocking};

use super::{Acme, FORM, JSON};
use crate::support::{TestApp, gateway_tests, wire::Wire};

gateway_tests!(nothing_gives_a_server_error);

/// Requests of each form.
const CASES: u32 = 400;

/// What parsers trip over, and what means something.
const PIECES: [&str; 40] = [
    "email",
    "name",
    "role",
    "auth_method",
    "team_id",
    "filter",
    "page",
    "per_page",
    "limit",
    "[",
    "]",
    "[]",
    "[name]",
    "[role]",
    "[email]",
    "=",
    "&",
    "+",
    "%",
    "%5B",
    "%5D",
    "%00",
    "%ff",
    "%zz",
    ",",
    "_",
    "\"",
    "'",
    "*",
    "AND",
    "a@b",
    "user1@acme.example.com",
    "admin",
    "viewer",
    "oidc",
    "0",
    "-1",
    "99999999999999999999",
    "%C3%9F",
    "%F0%9F%98%80",
];

fn pairs() -> impl Strategy<Value = String> {
    let names = select(
        &[
            "email",
            "name",
            "role",
            "auth_method",
            "team_id",
            "page",
            "per_page",
            "limit",
            "filter[name]",
            "filter[email]",
            "filter[role]",
            "filter[name][]",
            "filter[x]",
            "filter",
            "name[]",
            "email[a][b]",
        ][..],
    );
    let values = prop_oneof![
        vec(select(&PIECES[..]), 0..5).prop_map(|pieces| pieces.concat().replace(['&', '"'], "")),
        select(
            &[
                "admin",
                "viewer",
                "password",
                "oidc",
                "1",
                "2",
                "user2@acme.example.com",
                "new@acme.example.com"
            ][..]
        )
        .prop_map(str::to_owned),
        "[!-~&&[^&#\"]]{0,20}",
        any::<i64>().prop_map(|number| number.to_string()),
    ];
    vec((names, values), 0..6).prop_map(|pairs| {
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        pairs.join("&")
    })
}

/// Visible ASCII that can stand in a query.
fn query() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => pairs(),
        1 => vec(select(&PIECES[..]), 0..20).prop_map(|pieces| pieces.concat()),
        1 => "[!-~]{0,60}",
    ]
    .prop_map(|query| query.replace(['#', '"', '<', '>', '\\', '^', '`', '{', '|', '}'], ""))
}

fn json() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
        select(&["admin", "oidc", "new@acme.example.com", " ", "x\u{0}y"][..]).prop_map(Into::into),
    ];
    let value = leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            vec((any::<String>(), inner), 0..4)
                .prop_map(|fields| serde_json::Value::Object(fields.into_iter().collect())),
        ]
    });
    let name = select(&["email", "name", "role", "auth_method", "team_id", "other"][..]);
    vec((name, value), 0..6).prop_map(|fields| {
        let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value));
        serde_json::Value::Object(fields.collect())
            .to_string()
            .into_bytes()
    })
}

/// The head without its end, and the body.
fn requests(key: String) -> impl Strategy<Value = Vec<u8>> {
    let bodies = prop_oneof![
        4 => pairs().prop_map(|form| (FORM, form.into_bytes())),
        4 => json().prop_map(|json| (JSON, json)),
        1 => vec(any::<u8>(), 0..100).prop_map(|bytes| (FORM, bytes)),
        1 => vec(any::<u8>(), 0..100).prop_map(|bytes| (JSON, bytes)),
        1 => Just(("text/plain", b"x".to_vec())),
    ];
    let ids = prop_oneof![(1..6_i64).prop_map(|id| id.to_string()), "[0-9a-z%.-]{1,20}",];
    let targets = prop_oneof![
        3 => (select(&["GET", "POST"][..]), Just(String::new())),
        3 => (select(&["GET", "PUT", "DELETE"][..]), ids.prop_map(|id| format!("/{id}"))),
        1 => (select(&["PATCH", "OPTIONS", "PURGE"][..]), Just(String::new())),
    ];
    (targets, query(), bodies).prop_map(move |((method, path), query, (content_type, body))| {
        let mut request = format!(
            "{method} /v3/users{path}?{query} HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {key}\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(&body);
        request
    })
}

async fn nothing_gives_a_server_error(app: TestApp) {
    let acme = Acme::of(app).await;
    acme.viewers(3).await;
    acme.member("end@acme.example.com", None, None).await;
    let addr = acme.app.http_addr;
    let wire = Mutex::new(Wire::open(addr).await);
    let runtime = Handle::current();
    let key = acme.key.clone();
    let checked = spawn_blocking(move || {
        let mut runner = TestRunner::new(Config {
            cases: CASES,
            failure_persistence: Some(Box::new(FileFailurePersistence::Off)),
            ..Config::default()
        });
        runner.run(&requests(key), |request| {
            runtime.block_on(async {
                let mut wire = wire.lock().await;
                wire.send(&request).await;
                let reply = wire.any_reply().await;
                let Some(reply) = reply else {
                    *wire = Wire::open(addr).await;
                    return Err(TestCaseError::fail("the connection was closed"));
                };
                let expected = [200, 201, 204, 400, 403, 404, 405, 422].contains(&reply.status);
                let json = reply.body.is_empty()
                    || reply.header("content-type") == Some("application/json")
                        && serde_json::from_slice::<serde::de::IgnoredAny>(&reply.body).is_ok();
                if expected && json {
                    Ok(())
                } else {
                    let body = String::from_utf8_lossy(&reply.body).into_owned();
                    Err(TestCaseError::fail(format!(
                        "{} {:?} {body}",
                        reply.status, reply.headers
                    )))
                }
            })
        })
    });
    checked.await.unwrap().unwrap_or_else(|error| panic!("{error}"));
}
