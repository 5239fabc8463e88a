//! The answers of the vendor's framework, as they were recorded, replayed against the gateway.

use crate::support::rules::LinkMember;
use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::Method;
use serde::Deserialize;
use serde_json::value::RawValue;
use userbridge::domain::{Actor, Change, Idempotency, Origin, Profile, Scope, Timestamp};

use crate::support::{Answer, TestApp, gateway_tests, patch};

gateway_tests!(the_recorded_answers_are_ours);

/// Where the contract decides against the record: the case, what is answered in its place, and why.
const EXCEPTIONS: [(&str, u16, &str, &str); 7] = [
    (
        "ping_empty_object",
        401,
        super::INVALID_KEY,
        "a missing key alone is an invalid key",
    ),
    (
        "api_key_missing_email_given",
        401,
        super::INVALID_KEY,
        "a missing key alone is an invalid key",
    ),
    (
        "api_key_header_only",
        401,
        super::INVALID_KEY,
        "a key that is not in the body is missing",
    ),
    (
        "empty_object",
        422,
        r#"{"detail":[{"type":"missing","loc":["body","api_key"],"msg":"Field required","input":{}},{"type":"value_error","loc":["body"],"msg":"Value error, Exactly one of user_id or email is required","input":{},"ctx":{"error":{}}}]}"#,
        "a missing key does not silence the rule of exactly one, as in the vendor's sample",
    ),
    (
        "deep_array_100000",
        413,
        r#"{"detail":{"error":"request body too large"}}"#,
        "a body over 64 KiB is not read",
    ),
    // What stands for a value that JSON can't say is this project's choice: only the beginning is compared.
    (
        "json_nan_top",
        422,
        r#"{"detail":[{"type":"model_attributes_type","loc":["body"],"msg":"Input should be a valid dictionary or object to extract fields from","input":"#,
        "the framework crashes on a NaN in what it rejects",
    ),
    (
        "lone_surrogate_user_id",
        422,
        r#"{"detail":[{"type":"string_unicode","loc":["body","user_id"],"msg":"Input should be a valid string, unable to parse raw data as a unicode string","input":"#,
        "the framework crashes on a lone surrogate in what it rejects",
    ),
];

#[derive(Deserialize)]
struct Recording {
    #[serde(borrow)]
    cases: Vec<Case<'static>>,
}

#[derive(Deserialize)]
struct Case<'a> {
    name: String,
    method: String,
    path: String,
    request_headers: BTreeMap<String, String>,
    request_body: Option<String>,
    request_body_base64: Option<String>,
    status: u16,
    response_headers: BTreeMap<String, String>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

fn recording() -> Vec<Case<'static>> {
    let mut recording: Recording = serde_json::from_str(include_str!("pydantic-cases.json")).unwrap();
    assert!(recording.cases.len() > 100);
    // There is one user in the recording, so what deletes it comes last.
    recording
        .cases
        .sort_by_key(|case| case.status == 200 && case.path.ends_with("/delete"));
    recording.cases
}

/// The organization of the recording: one key with the scope, one without, one user.
async fn seed(app: &TestApp) {
    let storage = app.storage().await;
    let organization = app.organization("acme").await;
    app.raw_key(&organization, "pb_test", &[Scope::PublicApi], None)
        .await;
    app.raw_key(&organization, "pb_noscope", &[Scope::Admin], None)
        .await;
    let sally = LinkMember {
        only_without_role: false,
        send_onboarding_mail: false,
        staff: false,
        id: "ff3c3ef8-b8cd-4d15-81ba-000000000001".parse().unwrap(),
        new_user_id: "bb3c3ef8-b8cd-4d15-81ba-000000000001".parse().unwrap(),
        user_id: None,
        origin: Origin::default(),
        values: patch(Profile {
            email: Some(super::SALLY.parse().unwrap()),
            name: Some("Sally Doe".parse().unwrap()),
            avatar_url: Some("https://acme.example.com/avatars/sally.png".parse().unwrap()),
            portal_role: Some("end_user".parse().unwrap()),
            company_name: Some("Acme Inc".parse().unwrap()),
            customer_status: Some("paying".parse().unwrap()),
            locale: None,
        }),
    };
    let change = Change {
        actor: Actor::Operator,
        at: Timestamp::from_millis(1_775_030_400_000),
        client: None,
        source: None,
    };
    let linked = storage.link_member(organization.id, sally, Idempotency::never(), change);
    linked.await.unwrap();
    storage.close().await;
}

impl Case<'_> {
    fn sent(&self) -> Vec<u8> {
        if let Some(encoded) = &self.request_body_base64 {
            return STANDARD.decode(encoded).unwrap();
        }
        let body = self.request_body.clone().unwrap_or_default().into_bytes();
        let length = self
            .request_headers
            .get("Content-Length")
            .map_or(0, |n| n.parse().unwrap());
        if length > body.len() {
            // The record has only the beginning of this one: brackets that open, and as many that close.
            assert_eq!(self.name, "deep_array_100000");
            return ["[".repeat(length / 2), "]".repeat(length / 2)]
                .concat()
                .into_bytes();
        }
        body
    }

    async fn replay(&self, app: &TestApp) -> Answer {
        let method = Method::from_bytes(self.method.as_bytes()).unwrap();
        let mut request = app.request(method, &self.path);
        for (name, value) in &self.request_headers {
            if name != "Content-Length" {
                request = request.header(name, value);
            }
        }
        let body = self.sent();
        if !body.is_empty() || self.request_headers.contains_key("Content-Length") {
            request = request.body(body);
        }
        Answer::of(request).await
    }

    /// What the framework sent: the record with nothing between its tokens.
    fn recorded_body(&self) -> String {
        let recorded = self.body.map_or("", RawValue::get);
        let mut text = String::with_capacity(recorded.len());
        let (mut in_string, mut escaped) = (false, false);
        for character in recorded.chars() {
            if in_string || !character.is_whitespace() {
                text.push(character);
            }
            if escaped {
                escaped = false;
            } else if in_string && character == '\\' {
                escaped = true;
            } else if character == '"' {
                in_string = !in_string;
            }
        }
        text
    }
}

async fn the_recorded_answers_are_ours(app: TestApp) {
    seed(&app).await;
    let mut unused: BTreeSet<_> = EXCEPTIONS.iter().map(|(name, ..)| *name).collect();
    let mut wrong = Vec::new();
    for case in recording() {
        let answer = case.replay(&app).await;
        let exception = EXCEPTIONS.iter().find(|(name, ..)| *name == case.name);
        let (right, status, expected) = if let Some((name, status, body, _)) = exception {
            unused.remove(name);
            let right = answer.body.starts_with(body)
                && answer.headers["content-type"] == "application/json"
                && serde_json::from_str::<serde_json::Value>(&answer.body).is_ok();
            (right, *status, (*body).to_owned())
        } else {
            let body = case.recorded_body();
            let headers = case
                .response_headers
                .iter()
                .all(|(name, value)| answer.headers.get(name).is_some_and(|ours| ours == value));
            (answer.body == body && headers, case.status, body)
        };
        if !right || answer.status != status {
            wrong.push(format!(
                "{}:\n    {status} {expected} {:?}\n  was\n    {} {} {:?}",
                case.name, case.response_headers, answer.status, answer.body, answer.headers
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(unused.is_empty(), "no case has these names: {unused:?}");
}
