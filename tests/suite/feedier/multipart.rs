//! Forms of parts: `multipart/form-data`, as `curl -F`, a browser's `FormData` and httpx send it.

use std::process::Command;

use reqwest::Method;
use serde_json::json;
use tokio::task::spawn_blocking;

use super::{Acme, TAKEN, USERS, assert_answer, assert_invalid, assert_same, assert_says_nothing};
use crate::{
    programs::tools::{Needs, available, python, run, script},
    support::{Answer, Form, TestApp, gateway_tests},
};

gateway_tests!(
    parts_say_the_same_as_a_form,
    a_file_is_no_field,
    parts_that_are_no_utf8_are_refused,
    parts_are_read_with_post_alone,
    parts_that_make_no_sense_say_nothing,
    a_body_of_parts_over_64_kib_is_refused,
);

const PARTS: &str = "multipart/form-data; boundary=x";

/// The parts of a user who can be created, but for the address.
const VALID: [(&str, &str); 2] = [("name=role", "viewer"), ("name=\"auth_method\"", "oidc")];

/// A body of parts, each with its disposition and its value.
fn parts(parts: &[(&str, &str)]) -> String {
    let parts: Vec<_> = parts
        .iter()
        .map(|(disposition, value)| {
            format!("--x\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{value}\r\n")
        })
        .collect();
    parts.concat() + "--x--\r\n"
}

async fn create(acme: &Acme, more: &[(&str, &str)]) -> Answer {
    let body = parts(&[&VALID[..], more].concat());
    acme.send(Method::POST, USERS, PARTS, body).await
}

async fn parts_say_the_same_as_a_form(app: TestApp) {
    let acme = Acme::of(app).await;
    let answer = create(
        &acme,
        &[
            ("name=\"email\"", " john@example.com "),
            ("name=\"name\"", "Jürgen\u{200b}"),
            ("name=\"team_id\"", "1"),
            ("name=\"unknown[]\"", "x"),
        ],
    )
    .await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    let user = answer.json();
    assert_eq!(
        (&user["name"], &user["email"]),
        (&json!("Jürgen"), &json!("john@example.com"))
    );
    // The last of two counts, and an empty one is null.
    let twice = [
        ("name=email", "a@b"),
        ("name=email", "john@example.com"),
        ("name=name", ""),
    ];
    assert_answer(&create(&acme, &twice).await, 422, TAKEN);
    let string = "The name field must be a string.";
    let nested = [("name=email", "jane@example.com"), ("name=\"name[x]\"", "y")];
    assert_invalid(&create(&acme, &nested).await, string, json!({ "name": [string] }));
    // What the body does not say, the query may.
    let path = format!("{USERS}?email=jane@example.com&role=editor");
    let answer = acme.send(Method::POST, &path, PARTS, parts(&VALID)).await;
    assert_eq!((answer.status, &answer.json()["role"]), (201, &json!("viewer")));
}

async fn a_file_is_no_field(app: TestApp) {
    let acme = Acme::of(app).await;
    let email = ("name=email", "john@example.com");
    let string = "The name field must be a string.";
    let file = ("name=name; filename=a.txt", "John");
    for more in [
        [email, file, ("name=other", "")],
        [file, ("name=name", "John"), email],
    ] {
        assert_invalid(&create(&acme, &more).await, string, json!({ "name": [string] }));
    }
    let answer = create(&acme, &[("name=email; filename=\"a\"", "john@example.com")]).await;
    let not_valid = "The email field must be a valid email address.";
    let string = "The email field must be a string.";
    assert_invalid(
        &answer,
        &format!("{string} (and 1 more error)"),
        json!({ "email": [string, not_valid] }),
    );
    // No file was chosen; and one of another name.
    let none = ("name=name; filename=\"\"", "");
    let answer = create(&acme, &[email, none, ("name=avatar; filename=a.png", "x")]).await;
    assert_eq!(
        (answer.status, &answer.json()["name"]),
        (201, &json!("john@example.com"))
    );
}

async fn parts_that_are_no_utf8_are_refused(app: TestApp) {
    let acme = Acme::of(app).await;
    let body = parts(
        &[
            &VALID[..],
            &[("name=email", "j@example.com"), ("name=name", "J?rgen")],
        ]
        .concat(),
    );
    let body: Vec<u8> = body
        .bytes()
        .map(|byte| if byte == b'?' { 0xfc } else { byte })
        .collect();
    let format = "The name field format is invalid.";
    assert_invalid(
        &acme.send(Method::POST, USERS, PARTS, body).await,
        format,
        json!({ "name": [format] }),
    );
}

async fn parts_are_read_with_post_alone(app: TestApp) {
    let acme = Acme::of(app).await;
    acme.viewers(1).await;
    let before = acme.retrieve(1).await;
    let body = parts(&[("name=name", "John")]);
    let answer = acme.send(Method::PUT, "/v3/users/1", PARTS, body).await;
    assert_same(&answer, &before);
}

async fn parts_that_make_no_sense_say_nothing(app: TestApp) {
    let acme = Acme::of(app).await;
    let whole = parts(&[&[("name=email", "john@example.com")], &VALID[..]].concat());
    for content_type in [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=y",
        "multipart/mixed; boundary=x",
    ] {
        let answer = acme.send(Method::POST, USERS, content_type, whole.as_str()).await;
        assert_says_nothing(&answer);
    }
    for body in [
        "",
        "--x",
        "--x--",
        "x",
        "--x\r\n\r\n\r\n--x--",
        "--x\r\nname=email\r\n\r\n1\r\n--x--",
    ] {
        assert_says_nothing(&acme.send(Method::POST, USERS, PARTS, body).await);
    }
    // Wherever it is cut off, it is not somebody else who is created.
    for end in (0..whole.len() - 4).step_by(7) {
        let answer = acme.send(Method::POST, USERS, PARTS, &whole[..end]).await;
        assert_eq!(answer.status, 422, "{}", &whole[..end]);
    }
}

async fn a_body_of_parts_over_64_kib_is_refused(app: TestApp) {
    let acme = Acme::of(app).await;
    let email = ("name=email", "john@example.com");
    let large = "a".repeat(64 * 1024);
    let answer = create(&acme, &[email, ("name=f; filename=f", &large)]).await;
    assert_answer(&answer, 413, r#"{"message":"The POST data is too large."}"#);
    let answer = create(&acme, &[email, ("name=f; filename=f", &large[..60_000])]).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
}

#[tokio::test]
async fn curl_sends_parts() {
    send_parts(Needs::Curl, "sh", "multipart.sh").await;
}

#[tokio::test]
async fn form_data_sends_parts() {
    send_parts(Needs::Node, "node", "multipart.mjs").await;
}

#[tokio::test]
async fn httpx_sends_parts() {
    send_parts(Needs::Python("httpx"), &python(), "multipart.py").await;
}

async fn send_parts(needs: Needs, program: &str, file: &str) {
    if !available(&[needs]) {
        return;
    }
    for form in [Form::Embedded, Form::Apart] {
        let acme = Acme::of(TestApp::start(form).await).await;
        let mut command = Command::new(program);
        command
            .arg(script(&format!("feedier/{file}")))
            .env("USERBRIDGE_URL", format!("http://{}", acme.app.http_addr))
            .env("USERBRIDGE_API_KEY", &acme.key)
            .env("USERBRIDGE_EMAIL", "john@example.com");
        let printed = spawn_blocking(move || run(&mut command).ok()).await.unwrap();
        let answers: Vec<serde_json::Value> = printed
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
            .collect();
        let [made, refused] = &answers[..] else {
            panic!("{printed}");
        };
        assert_eq!(
            (&made["name"], &made["email"], &made["role"]),
            (
                &json!("Jürgen Groß"),
                &json!("john@example.com"),
                &json!("viewer")
            ),
            "{printed}"
        );
        assert_eq!(*made, acme.retrieve(1).await.json());
        let string = "The name field must be a string.";
        assert_eq!(
            *refused,
            json!({ "message": string, "errors": { "name": [string] } })
        );
    }
}
