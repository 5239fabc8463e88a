//! What the JSON port says of itself: OpenAPI, and pages for people.

use std::process::Command;

use reqwest::{
    Method,
    header::{ACCEPT, CONTENT_SECURITY_POLICY, CONTENT_TYPE},
};
use serde_json::Value;
use userbridge::domain::Scope;

use crate::{
    programs::tools::{Needs, available, run},
    support::{Answer, Form, TestApp},
};

/// What a browser sends when somebody opens an address.
const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

/// What each dialect's document has in its paths.
const DIALECTS: [(&str, &str); 3] = [
    ("productbridge", "/api/external/v1/"),
    ("feedier", "/v3/"),
    ("thebridge", "/a"),
];

#[tokio::test]
async fn a_browser_that_opens_the_port_is_led_to_the_reference() {
    let app = TestApp::start(Form::Embedded).await;
    let home = Answer::of(app.request(Method::GET, "/").header(ACCEPT, BROWSER)).await;
    assert_eq!(home.status, 200);
    assert!(home.body.contains(r#"href="/docs""#), "{}", home.body);
    assert_eq!(home.headers["vary"], "accept");
    let reference = Answer::of(app.request(Method::GET, "/docs").header(ACCEPT, BROWSER)).await;
    assert_eq!(reference.status, 200);
    assert!(reference.body.contains("Retrieve an end user"));
}

#[tokio::test]
async fn whoever_asks_for_something_else_is_answered_as_nowhere() {
    let app = TestApp::start(Form::Embedded).await;
    for (method, path, accept) in [
        (Method::GET, "/", "application/json"),
        (Method::GET, "/", "*/*"),
        (Method::POST, "/", BROWSER),
        (Method::POST, "/docs", BROWSER),
        (Method::DELETE, "/openapi.json", "*/*"),
        (Method::GET, "/openapi/nobody.json", "*/*"),
        (Method::GET, "/docs/nothing", BROWSER),
    ] {
        let answer = Answer::of(app.request(method.clone(), path).header(ACCEPT, accept)).await;
        let told = (answer.status, answer.body.as_str());
        assert_eq!(told, (404, r#"{"detail":"Not Found"}"#), "{method} {path}");
    }
}

#[tokio::test]
async fn pages_need_no_script_and_nothing_from_elsewhere() {
    let app = TestApp::start(Form::Apart).await;
    for path in ["/", "/docs"] {
        let page = Answer::of(app.request(Method::GET, path).header(ACCEPT, BROWSER)).await;
        let policy = page.headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(
            policy.starts_with("default-src 'none'; style-src 'self';"),
            "{policy}"
        );
        assert!(!page.body.contains("<script"), "{path}");
        for address in ["src=", "href=\"http", "href=\"//", "@import"] {
            assert!(!page.body.contains(address), "{path} has {address}");
        }
    }
    let style = Answer::of(app.request(Method::GET, "/docs/style.css")).await;
    assert_eq!(style.headers[CONTENT_TYPE], "text/css; charset=utf-8");
    assert!(!style.body.contains("url("));
}

#[tokio::test]
async fn there_is_a_document_of_each_dialect_and_one_of_all() {
    let app = TestApp::start(Form::Embedded).await;
    let read = async |path: &str| Answer::of(app.request(Method::GET, path)).await.json();
    let all = read("/openapi.json").await;
    assert_eq!(all["openapi"], "3.1.0");
    let count = |document: &Value, name: &str| document.pointer(name).unwrap().as_object().unwrap().len();
    let mut counts = [0; 2];
    for (dialect, prefix) in DIALECTS {
        let document = read(&format!("/openapi/{dialect}.json")).await;
        assert_eq!(document["openapi"], "3.1.0");
        for (path, item) in document["paths"].as_object().unwrap() {
            assert!(path.starts_with(prefix), "{path}");
            assert_eq!(all["paths"][path], *item);
        }
        counts[0] += count(&document, "/paths");
        counts[1] += count(&document, "/components/schemas");
    }
    assert_eq!(
        counts,
        [count(&all, "/paths"), count(&all, "/components/schemas")]
    );
}

#[tokio::test]
async fn a_user_is_named_by_exactly_one_of_id_and_address() {
    let app = TestApp::start(Form::Embedded).await;
    let document = Answer::of(app.request(Method::GET, "/openapi.json")).await.json();
    let retrieve = &document["components"]["schemas"]["productbridge.Retrieve"];
    let required = |form: &Value| form["required"].clone();
    let forms: Vec<_> = retrieve["oneOf"]
        .as_array()
        .unwrap()
        .iter()
        .map(required)
        .collect();
    assert_eq!(
        forms,
        [serde_json::json!(["user_id"]), serde_json::json!(["email"])]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_the_reference_work_when_pasted() {
    if !available(&[Needs::Curl]) {
        return;
    }
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.tenant("acme").await;
    app.member(&acme.organization, "sally@acme.example.com").await;
    let staff = app.key(&acme.organization, &[Scope::DirectoryWrite]).await;
    let page = app
        .request(Method::GET, "/docs")
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let commands: Vec<_> = page
        .split("<pre tabindex=\"0\">")
        .filter(|part| part.starts_with("curl "))
        .map(|part| unescaped(part.split("</pre>").next().unwrap()))
        .collect();
    assert!(!commands.is_empty());
    let mut statuses = Vec::new();
    for command in commands {
        let told = run(Command::new("bash")
            .args(["-c", &format!("{command} -s -o /dev/null -w '%{{http_code}}'")])
            .env("USERBRIDGE_API_KEY", &acme.key)
            .env("USERBRIDGE_DIRECTORY_KEY", &staff)
            .env("USERBRIDGE_TENANT_ID", acme.organization.id.to_string()))
        .ok();
        // Nobody has the ids of the samples, and nobody the token.
        let good = ["200", "201", "204", "404"].contains(&told.as_str());
        assert!(
            good || told == "401" && command.contains("/handover/"),
            "{command}: {told}"
        );
        statuses.push(told);
    }
    assert!(
        statuses.iter().filter(|status| *status == "200").count() >= 4,
        "{statuses:?}"
    );
    assert_eq!(
        statuses.iter().filter(|status| *status == "201").count(),
        2,
        "{statuses:?}"
    );
}

fn unescaped(html: &str) -> String {
    [
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&amp;", "&"),
        ("&#38;", "&"),
    ]
    .into_iter()
    .fold(html.to_owned(), |text, (escape, letter)| {
        text.replace(escape, letter)
    })
}
