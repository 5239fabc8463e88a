//! Bodies: JSON, forms, and what is neither.

use reqwest::Method;
use serde_json::json;

use super::{Acme, FORM, JSON, USERS, assert_answer, assert_invalid, assert_same, assert_says_nothing};
use crate::support::{Answer, TestApp, gateway_tests};

gateway_tests!(
    json_and_forms_say_the_same,
    a_body_that_is_not_read_says_nothing,
    json_nests_as_deep_as_in_php,
    bytes_that_are_no_utf8_are_refused,
    texts_are_trimmed_and_empty_ones_are_null,
    a_form_is_read_as_php_reads_it,
    a_body_over_64_kib_is_refused,
);

async fn json_and_forms_say_the_same(app: TestApp) {
    let acme = Acme::of(app).await;
    let form =
        "email=a%40acme.example.com&role=viewer&auth_method=password&name=J%C3%BCrgen+Gro%C3%9F&team_id=1";
    let made = acme.create(form).await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(made.json()["name"], "Jürgen Groß");
    for (content_type, email) in [
        (JSON, "b@acme.example.com"),
        ("application/json; charset=utf-8", "c@acme.example.com"),
        ("application/vnd.api+json", "d@acme.example.com"),
        ("Application/JSON", "e@acme.example.com"),
        ("text/json", "f@acme.example.com"),
    ] {
        let body = json!({
            "email": email, "role": "viewer", "auth_method": "password", "name": "Jürgen Groß", "team_id": 1,
            "unknown": [1, {"x": null}],
        });
        let answer = acme
            .send(Method::POST, USERS, content_type, body.to_string())
            .await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        assert_eq!(answer.json()["name"], made.json()["name"]);
    }
    let path = format!("{USERS}/1");
    let answer = acme.send(Method::PUT, &path, JSON, r#"{"name":"X"}"#).await;
    assert_eq!((answer.status, &answer.json()["name"]), (200, &json!("X")));
    let answer = acme.send(Method::PUT, &path, FORM, "name=Y").await;
    assert_eq!((answer.status, &answer.json()["name"]), (200, &json!("Y")));
    // What the body does not say, the query may.
    let path = format!("{path}?name=Z&role=editor");
    let answer = acme.send(Method::PUT, &path, JSON, r#"{"name":"X"}"#).await;
    assert_eq!(
        (&answer.json()["name"], &answer.json()["role"]),
        (&json!("X"), &json!("editor"))
    );
}

async fn a_body_that_is_not_read_says_nothing(app: TestApp) {
    let acme = Acme::of(app).await;
    let valid = r#"{"email":"a@acme.example.com","role":"viewer","auth_method":"oidc"}"#;
    let deep = "[".repeat(5000);
    for (content_type, body) in [
        (JSON, ""),
        (JSON, "{"),
        (JSON, "[]"),
        (JSON, "null"),
        (JSON, "\"email\""),
        (JSON, "{\"email\":\"a@b\",}"),
        (JSON, "{'email':'a@b'}"),
        (JSON, "{\"email\":\"\\ud800\"}"),
        (JSON, "email=a@b&role=viewer"),
        (JSON, &format!("\u{feff}{valid}")),
        (JSON, &deep),
        (FORM, valid),
        ("text/plain", valid),
        ("", valid),
    ] {
        let answer = acme.send(Method::POST, USERS, content_type, body).await;
        assert_says_nothing(&answer);
    }
    // The order of the fields is that of the documents.
    let answer = acme.send(Method::POST, USERS, JSON, "").await;
    assert_answer(
        &answer,
        422,
        r#"{"message":"The email field is required. (and 2 more errors)","errors":{"email":["The email field is required."],"role":["The role field is required."],"auth_method":["The auth method field is required."]}}"#,
    );
    acme.viewers(1).await;
    let before = acme.retrieve(1).await;
    assert_same(&acme.send(Method::PUT, "/v3/users/1", JSON, "{").await, &before);
}

async fn json_nests_as_deep_as_in_php(app: TestApp) {
    let acme = Acme::of(app).await;
    for (depth, created) in [(511, true), (512, false)] {
        let (open, close) = ("[".repeat(depth - 1), "]".repeat(depth - 1));
        let body = format!(
            r#"{{"x":{open}1{close},"email":"a@acme.example.com","role":"viewer","auth_method":"oidc"}}"#
        );
        let answer = acme.send(Method::POST, USERS, JSON, body).await;
        if created {
            assert_eq!(answer.status, 201, "{}", answer.body);
        } else {
            assert_says_nothing(&answer);
        }
    }
}

async fn bytes_that_are_no_utf8_are_refused(app: TestApp) {
    let acme = Acme::of(app).await;
    acme.viewers(1).await;
    let before = acme.retrieve(1).await;
    let format = "The name field format is invalid.";
    for form in [
        &b"name=J\xfcrgen"[..],
        b"name=J%FCrgen",
        b"name=%C3",
        b"name=%ED%A0%80",
    ] {
        let answer = acme.send(Method::PUT, "/v3/users/1", FORM, form).await;
        assert_invalid(&answer, format, json!({ "name": [format] }));
    }
    let answer = acme
        .send(Method::PUT, "/v3/users/1?name=%FF", "text/plain", "")
        .await;
    assert_invalid(&answer, format, json!({ "name": [format] }));
    assert_invalid(
        &acme
            .create("email=j%FC@acme.example.com&role=viewer%FF&auth_method=%FF&team_id=1%FF")
            .await,
        "The email field must be a valid email address. (and 3 more errors)",
        json!({
            "email": ["The email field must be a valid email address."],
            "role": ["The selected role is invalid."],
            "auth_method": ["The selected auth method is invalid."],
            "team_id": ["The team id field must be an integer."],
        }),
    );
    // Such JSON is malformed.
    let mut json = br#"{"email":"a@acme.example.com","role":"viewer","auth_method":"oidc","x":""#.to_vec();
    json.extend_from_slice(b"\xff\"}");
    assert_says_nothing(&acme.send(Method::POST, USERS, JSON, json).await);
    for (filter, value) in [("name", "%FF"), ("email", "a%FF,b"), ("role", "%FF")] {
        let answer = acme.get(&format!("{USERS}?filter[{filter}]={value}")).await;
        let message = format!("The filter.{filter} field format is invalid.");
        assert_invalid(
            &answer,
            &message,
            json!({ format!("filter.{filter}"): [message] }),
        );
    }
    // What nobody reads may be anything.
    let answer = acme
        .send(
            Method::PUT,
            "/v3/users/1?x=%FF&%FF=1",
            FORM,
            &b"y=\xff&\xfe=1"[..],
        )
        .await;
    assert_same(&answer, &before);
}

async fn texts_are_trimmed_and_empty_ones_are_null(app: TestApp) {
    let acme = Acme::of(app).await;
    let body = json!({
        "email": "\u{a0}\u{2060} a@acme.example.com\u{e0020}\u{ad}\n", "role": " viewer ", "auth_method": "\toidc", "name": " \u{200b}\u{3164}\u{1d173} ", "team_id": "",
    });
    let answer = acme.send(Method::POST, USERS, JSON, body.to_string()).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    let user = answer.json();
    assert_eq!(
        (&user["email"], &user["name"]),
        (&json!("a@acme.example.com"), &json!("a@acme.example.com"))
    );
    assert_eq!(user["team_id"], 1);
    let answer = acme.update(1, "name=+Jo+hn+").await;
    assert_eq!(answer.json()["name"], "Jo hn");
    let answer = acme.update(1, "name=++&role=").await;
    assert_invalid(
        &answer,
        "The name field is required. (and 1 more error)",
        json!({ "name": ["The name field is required."], "role": ["The role field is required."] }),
    );
}

async fn a_form_is_read_as_php_reads_it(app: TestApp) {
    let acme = Acme::of(app).await;
    acme.viewers(1).await;
    for (form, name) in [
        ("name=100%", "100%"),
        ("name=%zz%4", "%zz%4"),
        ("name=a%2", "a%2"),
        ("name=A&name=B", "B"),
        ("name=a=b", "a=b"),
        ("name=a%26b", "a&b"),
        ("+name=C", "C"),
        ("name[]=x&name=D", "D"),
        ("name=Jürgen", "Jürgen"),
        ("name=%4a%C3%BC", "Jü"),
    ] {
        let answer = acme.update(1, form).await;
        assert_eq!(
            (answer.status, &answer.json()["name"]),
            (200, &json!(name)),
            "{form}"
        );
    }
    let string = "The name field must be a string.";
    assert_invalid(
        &acme.update(1, "name=D&name[]=x").await,
        string,
        json!({ "name": [string] }),
    );
}

async fn a_body_over_64_kib_is_refused(app: TestApp) {
    let acme = Acme::of(app).await;
    acme.viewers(1).await;
    let too_large = r#"{"message":"The POST data is too large."}"#;
    for content_type in [FORM, JSON] {
        for size in [64 * 1024 + 1, 300_000] {
            let body = "a".repeat(size);
            let answer = acme.send(Method::POST, USERS, content_type, body.clone()).await;
            assert_answer(&answer, 413, too_large);
            let answer = acme.send(Method::PUT, "/v3/users/1", content_type, body).await;
            assert_answer(&answer, 413, too_large);
        }
    }
    // One who sends far too much may lose the connection before the answer.
    let request = acme.app.request(Method::POST, USERS).bearer_auth(&acme.key);
    if let Ok(response) = request.body("a".repeat(3_000_000)).send().await {
        assert_eq!(response.status(), 413);
    }
    let form = format!("name=ok&x={}", "a".repeat(64 * 1024 - 10));
    assert_eq!(form.len(), 64 * 1024);
    assert_eq!(acme.update(1, &form).await.json()["name"], "ok");
    let answer: Answer = acme.retrieve(1).await;
    assert_eq!(answer.json()["name"], "ok");
}
