//! The vendor's documented samples, with the address and the key from the environment.

use std::process::Command;

use serde_json::{Value, json};

use super::{
    demo::Demo,
    tools::{Needs, Ran, available, python, run, script},
};

/// A language that the vendor documents.
#[derive(Clone, Copy)]
struct Language {
    folder: &'static str,
    extension: &'static str,
    needs: Needs,
    /// What a sample ends with when the user is not there: curl prints the answer and is content.
    not_found: Option<&'static str>,
}

const CURL: Language = Language {
    folder: "curl",
    extension: "sh",
    needs: Needs::Curl,
    not_found: None,
};
const FETCH: Language = Language {
    folder: "fetch",
    extension: "mjs",
    needs: Needs::Node,
    not_found: Some("Error: User not in this org"),
};
const HTTPX: Language = Language {
    folder: "httpx",
    extension: "py",
    needs: Needs::Python("httpx"),
    not_found: Some("LookupError: User not in this org"),
};

#[test]
fn the_documented_curl_samples_work() {
    the_samples_work(CURL);
}

#[test]
fn the_documented_fetch_samples_work() {
    the_samples_work(FETCH);
}

#[test]
fn the_documented_httpx_samples_work() {
    the_samples_work(HTTPX);
}

fn the_samples_work(language: Language) {
    if !available(&[language.needs]) {
        return;
    }
    let demo = Demo::start();
    let by_email = sample(language, &demo, "retrieve_by_email").json();
    let by_user_id = sample(language, &demo, "retrieve_by_user_id").json();
    assert_eq!(by_email, by_user_id);
    assert_eq!(by_email["user_id"], *demo.user_id);
    assert_eq!(by_email["email"], "sally@acme.example.com");
    let fields: Vec<_> = by_email.as_object().expect("an object").keys().collect();
    assert_eq!(fields.len(), 9, "{fields:?}");

    assert_eq!(
        sample(language, &demo, "delete").json(),
        json!({ "success": true })
    );
    for gone in ["retrieve_by_email", "retrieve_by_user_id", "delete"] {
        let ran = sample(language, &demo, gone);
        match language.not_found {
            None => assert_eq!(ran.json(), json!({ "detail": { "error": "user not found" } })),
            Some(error) => {
                assert_eq!(ran.code, Some(1), "{ran:?}");
                assert!(ran.stderr.contains(error), "{ran:?}");
            }
        }
    }
}

/// The documents' sample ids are no UUIDs, and the documents say what a `user_id` that is none gets.
#[test]
fn the_documented_sample_id_is_no_uuid() {
    if !available(&[CURL.needs]) {
        return;
    }
    let mut demo = Demo::start();
    demo.user_id = "bb3c3ef8-b8cd-cd15-01ba-useruser0001".to_owned();
    let answer = sample(CURL, &demo, "retrieve_by_user_id").json();
    let item: &Value = &answer["detail"][0];
    assert_eq!(item["type"], "uuid_parsing", "{answer}");
    assert_eq!(item["loc"], json!(["body", "user_id"]));
}

fn sample(language: Language, demo: &Demo, name: &str) -> Ran {
    let program = match language.needs {
        Needs::Curl => "sh".to_owned(),
        Needs::Node => "node".to_owned(),
        Needs::Python(_) | Needs::Buf | Needs::Npm(_) | Needs::Chromium => python(),
    };
    let file = script(&format!("{}/{name}.{}", language.folder, language.extension));
    run(Command::new(program)
        .arg(file)
        .env("USERBRIDGE_URL", demo.url())
        .env("USERBRIDGE_API_KEY", &demo.key)
        .env("USERBRIDGE_USER_ID", &demo.user_id)
        .env("USERBRIDGE_EMAIL", "sally@acme.example.com"))
}
