//! What the gateway says of a body that is no JSON, against Python itself, which the vendor's framework quotes.

use std::{collections::HashMap, fs, process::Command};

use proptest::{
    strategy::{Strategy as _, ValueTree as _},
    test_runner::TestRunner,
};
use serde_json::{Value, json};

use super::{NO_USER, RETRIEVE, SALLY, body, random::bodies};
use crate::{
    programs::tools::{Needs, available, python, root, run, script},
    support::{Form, TestApp},
};

/// Random bodies, beside those of the fuzzer's corpus.
const BODIES: usize = 2000;

/// Python's own limit of nesting depends on its version and on who calls it, and the framework's is kept by
/// `tests/suite/productbridge/recorded.rs`.
const DEEP: usize = 900;

/// What Python says since 3.13 of a comma before an end; earlier ones, as the contract shows, find no value behind it.
const TRAILING_COMMA: &str = "Illegal trailing comma";

/// That a body is JSON, or the error with its position, as the script tells it.
fn told(status: u16, answer: &Value) -> Value {
    let first = &answer["detail"][0];
    if first["type"] == "json_invalid" {
        json!([first["ctx"]["error"], first["loc"][1]])
    } else if status == 400 {
        json!("unreadable")
    } else {
        Value::Null
    }
}

#[tokio::test]
async fn errors_of_json_have_the_words_and_places_of_python() {
    if !available(&[Needs::Python("json")]) {
        return;
    }
    let mut tried: Vec<_> = fs::read_dir(root().join("fuzz/corpus/json_bodies"))
        .unwrap()
        .map(|file| fs::read(file.unwrap().path()).unwrap())
        .collect();
    let valid = vec![body("pb_", "email", SALLY), body("pb_", "user_id", NO_USER)];
    let mut runner = TestRunner::default();
    let strategy = bodies(valid);
    tried.extend((0..BODIES).map(|_| strategy.new_tree(&mut runner).unwrap().current()));
    let is_deep = |body: &[u8]| body.iter().filter(|byte| b"[{".contains(byte)).count() > DEEP;
    // No body at all is another thing than one that is no JSON.
    tried.retain(|body| !body.is_empty() && !is_deep(body));

    let folder = tempfile::tempdir().unwrap();
    for (number, body) in tried.iter().enumerate() {
        fs::write(folder.path().join(number.to_string()), body).unwrap();
    }
    let pythons = run(Command::new(python())
        .arg(script("json/loads.py"))
        .arg(folder.path()))
    .json();
    let pythons: HashMap<String, Value> = serde_json::from_value(pythons).unwrap();
    assert_eq!(pythons.len(), tried.len());

    let app = TestApp::start(Form::Embedded).await;
    let mut errors = 0;
    for (number, body) in tried.into_iter().enumerate() {
        let text = String::from_utf8_lossy(&body).into_owned();
        let answer = app.post(RETRIEVE, body).await;
        // One that is too deep to be read here is JSON.
        let ours = told(
            answer.status,
            &serde_json::from_str(&answer.body).unwrap_or_default(),
        );
        let python = &pythons[&number.to_string()];
        if python[0]
            .as_str()
            .is_some_and(|message| message.starts_with(TRAILING_COMMA))
        {
            assert!(ours.is_array(), "{text:?}: {answer:?}");
        } else {
            assert_eq!(ours, *python, "{text:?}: {answer:?}");
        }
        errors += usize::from(!python.is_null());
    }
    assert!(errors > BODIES / 4, "{errors}");
}
