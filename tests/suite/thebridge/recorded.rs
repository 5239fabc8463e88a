//! The answers of the vendor's framework, as they were recorded, replayed against the gateway.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use userbridge::domain::Scope;

use super::{Acme, USERS, assert_code, user};
use crate::support::{Answer, TestApp, gateway_tests};

gateway_tests!(
    the_recorded_answers_are_ours,
    recorded_errors_come_where_they_are_due
);

/// Where the recorded application is not this directory: the case, and how it is answered here.
const EXCEPTIONS: [(&str, Expect); 12] = [
    // The recorded application takes every text for an address and gives back what it was sent.
    (
        "create_ok",
        Expect::Code(400, "NBLOCKS_MISSING_REQUIRED_VARIABLES_EXCEPTION"),
    ),
    (
        "invalid_utf8",
        Expect::Code(400, "NBLOCKS_MISSING_REQUIRED_VARIABLES_EXCEPTION"),
    ),
    (
        "form",
        Expect::Code(400, "NBLOCKS_MISSING_REQUIRED_VARIABLES_EXCEPTION"),
    ),
    // Of these, `recorded_errors_come_where_they_are_due` compares the texts: the contract adds `nblocksCode`.
    ("not_found", Expect::Code(404, "NBLOCKS_USER_NOT_FOUND")),
    (
        "create_conflict",
        Expect::Code(400, "NBLOCKS_MISSING_REQUIRED_VARIABLES_EXCEPTION"),
    ),
    ("put_role_bad", Expect::Code(404, "NBLOCKS_USER_NOT_FOUND")),
    // There is no user 1; what one gets is in `credentials` and `changes`. The contract documents `{}` for a deletion.
    ("password", Expect::Code(404, "NBLOCKS_USER_NOT_FOUND")),
    ("delete_void", Expect::Code(404, "NBLOCKS_USER_NOT_FOUND")),
    // The paths were made up for the recording.
    ("401", Expect::Elsewhere),
    ("401plain", Expect::Elsewhere),
    ("403", Expect::Elsewhere),
    ("500", Expect::Elsewhere),
];

#[derive(Clone, Copy)]
enum Expect {
    /// An error with this status and code.
    Code(u16, &'static str),
    /// ProductBridge answers.
    Elsewhere,
}

#[derive(Deserialize)]
struct Recording {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    method: String,
    path: String,
    request_headers: BTreeMap<String, String>,
    request_body: Option<String>,
    status: u16,
    response_headers: BTreeMap<String, String>,
    response_text: String,
}

fn recording() -> Vec<Case> {
    let recording: Recording = serde_json::from_str(include_str!("nestjs-cases.json")).unwrap();
    assert!(recording.cases.len() > 30);
    recording.cases
}

fn case(name: &str) -> Case {
    recording().into_iter().find(|case| case.name == name).unwrap()
}

impl Case {
    async fn replay(&self, acme: &Acme) -> Answer {
        let method = Method::from_bytes(self.method.as_bytes()).unwrap();
        let mut request = acme.request(method, &self.path);
        for (name, value) in &self.request_headers {
            request = request.header(name, value);
        }
        if let Some(body) = &self.request_body {
            // The record has only the beginning of the one that is too large.
            let missing = if self.name == "too_large" { 200_000 } else { 0 };
            request = request.body(format!("{body}{}", "a".repeat(missing)));
        }
        Answer::of(request).await
    }
}

async fn the_recorded_answers_are_ours(app: TestApp) {
    let acme = Acme::of(app).await;
    let mut unused: BTreeSet<_> = EXCEPTIONS.iter().map(|(name, _)| *name).collect();
    let mut wrong = Vec::new();
    for case in recording() {
        let answer = case.replay(&acme).await;
        let exception = EXCEPTIONS.iter().find(|(name, _)| *name == case.name);
        if let Some((name, expected)) = exception {
            unused.remove(name);
            match expected {
                Expect::Code(status, code) => assert_code(&answer, *status, code),
                Expect::Elsewhere => assert_eq!(answer.body, r#"{"detail":"Not Found"}"#),
            }
            continue;
        }
        let mut headers = case.response_headers.iter();
        let headers = headers.all(|(name, value)| answer.headers.get(name).is_some_and(|ours| ours == value));
        if answer.status != case.status || answer.body != case.response_text || !headers {
            wrong.push(format!(
                "{}:\n    {} {} {:?}\n  was\n    {} {} {:?}",
                case.name,
                case.status,
                case.response_text,
                case.response_headers,
                answer.status,
                answer.body,
                answer.headers
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(unused.is_empty(), "no case has these names: {unused:?}");
}

/// That an answer says what was recorded, and `nblocksCode` besides.
#[track_caller]
fn assert_recorded(answer: &Answer, name: &str) {
    let case = case(name);
    let mut expected: Value = serde_json::from_str(&case.response_text).unwrap();
    expected["nblocksCode"] = expected["error"].clone();
    assert_eq!((answer.status, answer.json()), (case.status, expected), "{name}");
    assert_code(answer, case.status, answer.json()["error"].as_str().unwrap());
}

async fn recorded_errors_come_where_they_are_due(app: TestApp) {
    let acme = Acme::of(app).await;
    let id = acme.user("dup@acme.example.com", "VIEWER").await;
    assert_recorded(&acme.get("1").await, "not_found");
    let again = acme.create(json!({ "username": "dup@acme.example.com" })).await;
    assert_recorded(&again, "create_conflict");
    assert_recorded(&acme.update(&id, json!({ "role": "BAD" })).await, "put_role_bad");
    let unknown = Answer::of(acme.request_as("pb_unknown", Method::GET, USERS)).await;
    assert_recorded(&unknown, "401");
    let reader = acme.app.key(&acme.organization, &[Scope::DirectoryRead]).await;
    let refused = Answer::of(acme.request_as(&reader, Method::DELETE, &user(&id))).await;
    assert_recorded(&refused, "403");
}
