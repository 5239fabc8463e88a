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

/// Requests of each form. `USERBRIDGE_TEST_REQUESTS` is another number: 20,000 take some minutes.
fn cases() -> u32 {
    std::env::var("USERBRIDGE_TEST_REQUESTS").map_or(400, |number| number.parse().unwrap())
}

const NAMES: [&str; 12] = [
    "username",
    "role",
    "firstName",
    "lastName",
    "muteNotifications",
    "enabled",
    "teams",
    "teams[]",
    "teams[1]",
    "onboarded",
    "accessToken",
    "[a][b]",
];

const WORDS: [&str; 12] = [
    "OWNER",
    "VIEWER",
    "BAD",
    "user1@acme.example.com",
    "new@acme.example.com",
    "a@b",
    "true",
    "",
    "design",
    "%ff",
    "%F0%9F%98%80",
    "+",
];

fn form() -> impl Strategy<Value = Vec<u8>> {
    let value = prop_oneof![
        select(&WORDS[..]).prop_map(str::to_owned),
        "[ -~]{0,20}",
        any::<String>(),
    ];
    vec((select(&NAMES[..]), value), 0..6).prop_map(|pairs| {
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        pairs.join("&").into_bytes()
    })
}

fn json() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
        select(&WORDS[..]).prop_map(Into::into),
    ];
    let value = leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            vec((any::<String>(), inner), 0..4)
                .prop_map(|fields| serde_json::Value::Object(fields.into_iter().collect())),
        ]
    });
    vec((select(&NAMES[..]), value), 0..6).prop_map(|fields| {
        let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value));
        serde_json::Value::Object(fields.collect())
            .to_string()
            .into_bytes()
    })
}

fn requests(keys: Vec<String>, tenant: String, ids: Vec<String>) -> impl Strategy<Value = Vec<u8>> {
    let bodies = prop_oneof![
        4 => form().prop_map(|form| (FORM, form)),
        6 => json().prop_map(|json| (JSON, json)),
        2 => "[\\[\\]{}\":,a-z0-9\\\\ .eE+-]{0,40}".prop_map(|text| (JSON, text.into_bytes())),
        1 => vec(any::<u8>(), 0..100).prop_map(|bytes| (FORM, bytes)),
        1 => vec(any::<u8>(), 0..100).prop_map(|bytes| (JSON, bytes)),
        1 => Just(("application/json; charset=latin1", b"{}".to_vec())),
        1 => Just(("text/plain", b"x".to_vec())),
    ];
    let id = prop_oneof![3 => select(ids), 1 => "[0-9a-zA-Z%.-]{1,20}"];
    let methods = select(&["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"][..]);
    let tail = select(&["", "/", "/associations", "/password", "/nope"][..]);
    let targets = prop_oneof![
        2 => Just("/account/tenant/user".to_owned()),
        5 => (id, tail).prop_map(|(id, tail)| format!("/v1/account/tenant/user/{id}{tail}")),
        1 => Just("/auth/handover/code/app".to_owned()),
        1 => "/account/[a-z%/]{0,20}",
    ];
    let tenants = prop_oneof![9 => Just(tenant), 1 => "[0-9a-f-]{0,36}"];
    (methods, targets, select(keys), tenants, bodies).prop_map(
        |(method, path, key, tenant, (content_type, body))| {
            let mut request = format!(
                "{method} {path} HTTP/1.1\r\nhost: test\r\nx-api-key: {key}\r\nx-tenant-id: {tenant}\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\r\n",
                body.len()
            )
            .into_bytes();
            request.extend_from_slice(&body);
            request
        },
    )
}

async fn nothing_gives_a_server_error(app: TestApp) {
    let acme = Acme::of(app).await;
    let mut ids = Vec::new();
    for index in 0..3 {
        let username = format!("user{index}@acme.example.com");
        ids.push(acme.user(&username, "OWNER").await);
    }
    let end_user = acme.member("end@acme.example.com", None).await;
    ids.push(end_user.user_id.to_string());
    let keys = vec![
        acme.key.clone(),
        acme.key.clone(),
        acme.key.clone(),
        "pb_no".to_owned(),
    ];
    let tenant = acme.organization.id.to_string();
    let addr = acme.app.http_addr;
    let wire = Mutex::new(Wire::open(addr).await);
    let runtime = Handle::current();
    let checked = spawn_blocking(move || {
        let mut runner = TestRunner::new(Config {
            cases: cases(),
            failure_persistence: Some(Box::new(FileFailurePersistence::Off)),
            ..Config::default()
        });
        runner.run(&requests(keys, tenant, ids), |request| {
            runtime.block_on(async {
                let mut wire = wire.lock().await;
                wire.send(&request).await;
                let reply = wire.reply().await;
                let Some(reply) = reply else {
                    *wire = Wire::open(addr).await;
                    return Err(TestCaseError::fail("the connection was closed"));
                };
                let expected = [200, 201, 400, 401, 403, 404, 409, 413, 415].contains(&reply.status);
                let json = reply.header("content-type") == Some("application/json; charset=utf-8")
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
