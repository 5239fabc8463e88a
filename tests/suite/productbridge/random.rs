//! Whatever is sent: never a 5xx, never a lost connection, always JSON.

use proptest::{
    collection::vec,
    prelude::{Just, Strategy, any},
    prop_oneof,
    sample::{Index, select},
    test_runner::{Config, FileFailurePersistence, TestCaseError, TestRunner},
};
use tokio::{runtime::Handle, sync::Mutex, task::spawn_blocking};

use super::{DELETE, NO_USER, PING, RETRIEVE, SALLY, body};
use crate::support::{TestApp, gateway_tests, wire::Wire};

gateway_tests!(no_body_gives_a_server_error);

/// Bodies of each.
const CASES: u32 = 400;

/// What parsers trip over.
const PIECES: [&str; 30] = [
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "\\",
    "\\u",
    "\\ud800",
    "\\udc00\\ud800",
    "null",
    "NaN",
    "-Infinity",
    "1e999",
    "-0",
    "0.1e-5",
    "00",
    "\u{feff}",
    "\0",
    "\u{1}",
    "/**/",
    "api_key",
    "\"api_key\":",
    "\"user_id\":",
    "\"email\":",
    "{}",
    "true",
    "😀",
    " \t\r\n",
];

/// Any JSON, with numbers and strings that are not tame.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        select(
            &[
                "null",
                "true",
                "false",
                "NaN",
                "Infinity",
                "-Infinity",
                "1e999",
                "-0.0",
                "\"\\ud800\"",
                "\"\""
            ][..]
        )
        .prop_map(str::to_owned),
        any::<f64>().prop_map(|number| format!("{number:e}")),
        any::<i128>().prop_map(|number| number.to_string()),
        any::<String>().prop_map(|text| serde_json::Value::from(text).to_string()),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        let key = prop_oneof![
            select(&["\"api_key\"", "\"user_id\"", "\"email\"", "\"\\u0065mail\""][..])
                .prop_map(str::to_owned),
            any::<String>().prop_map(|text| serde_json::Value::from(text).to_string()),
        ];
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(|items| format!("[{}]", items.join(","))),
            vec((key, inner), 0..5).prop_map(|fields| {
                let fields: Vec<_> = fields
                    .iter()
                    .map(|(key, value)| format!("{key}: {value}"))
                    .collect();
                format!("{{{}}}", fields.join(", "))
            }),
        ]
    })
}

/// A valid body, damaged.
fn damaged(valid: Vec<String>) -> impl Strategy<Value = Vec<u8>> {
    let cut = (
        any::<Index>(),
        any::<Index>(),
        prop_oneof![
            select(&PIECES[..]).prop_map(|piece| piece.as_bytes().to_vec()),
            vec(any::<u8>(), 0..4),
            Just(Vec::new()),
        ],
    );
    (select(valid), vec(cut, 1..4)).prop_map(|(body, cuts)| {
        let mut body = body.into_bytes();
        for (from, to, piece) in cuts {
            let (from, to) = (from.index(body.len() + 1), to.index(body.len() + 1));
            // A short cut at most, so that something is left of it.
            let to = to.clamp(from, (from + 3).min(body.len()));
            body.splice(from..to, piece);
        }
        body
    })
}

/// Bodies, of which most are no JSON.
pub(super) fn bodies(valid: Vec<String>) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        1 => vec(any::<u8>(), 0..200),
        1 => vec(select(&PIECES[..]), 0..30).prop_map(|pieces| pieces.concat().into_bytes()),
        2 => json().prop_map(String::into_bytes),
        1 => json().prop_map(|text| text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        4 => damaged(valid),
    ]
}

/// A path, a content type and a body.
fn requests(valid: Vec<String>) -> impl Strategy<Value = (&'static str, String, Vec<u8>)> {
    (
        select(&[RETRIEVE, DELETE, PING][..]),
        prop_oneof![
            9 => Just("application/json".to_owned()),
            1 => "[ -~]{0,30}",
        ],
        bodies(valid),
    )
}

async fn no_body_gives_a_server_error(app: TestApp) {
    let acme = app.tenant("acme").await;
    app.member(&acme.organization, SALLY).await;
    let valid = vec![
        body(&acme.key, "email", SALLY),
        body(&acme.key, "user_id", NO_USER),
        format!(r#"{{"api_key": null, "user_id": "{NO_USER}", "email": [1.5, {{"x": "\ud83d\ude00"}}]}}"#),
    ];
    let wire = Mutex::new(Wire::open(app.http_addr).await);
    let runtime = Handle::current();
    let checked = spawn_blocking(move || {
        let mut runner = TestRunner::new(Config {
            cases: CASES,
            failure_persistence: Some(Box::new(FileFailurePersistence::Off)),
            ..Config::default()
        });
        runner.run(&requests(valid), |(path, content_type, body)| {
            runtime.block_on(async {
                let mut wire = wire.lock().await;
                let Some(reply) = wire.post(path, &content_type, &body).await else {
                    // For the smaller bodies that come next.
                    *wire = Wire::open(app.http_addr).await;
                    return Err(TestCaseError::fail("the connection was closed"));
                };
                let expected = [200, 400, 401, 404, 422].contains(&reply.status);
                let json = reply.header("content-type") == Some("application/json")
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
