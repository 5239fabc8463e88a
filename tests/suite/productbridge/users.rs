//! What is asked for, and what comes back.

use std::fmt::Write as _;

use userbridge::domain::Profile;

use super::{NO_USER, SALLY, USER_NOT_FOUND, body};
use crate::support::{TestApp, gateway_tests};

gateway_tests!(
    a_user_has_nine_keys_in_their_order,
    an_address_compares_byte_for_byte,
    a_user_id_may_have_any_form_that_the_vendor_takes,
    a_deleted_user_is_gone_at_once,
    of_duplicate_keys_the_last_counts,
    unknown_fields_do_not_matter,
    null_counts_as_not_given,
    faults_come_in_the_order_of_the_fields,
);

async fn a_user_has_nine_keys_in_their_order(app: TestApp) {
    let acme = app.tenant("acme").await;
    let bare = app.link(&acme.organization, None, Profile::default()).await;
    let answer = app
        .retrieve_json(body(&acme.key, "user_id", &bare.user_id.to_string()))
        .await;
    let redacted = answer
        .body
        .replace(&bare.id.to_string(), "[member]")
        .replace(&bare.user_id.to_string(), "[user]")
        .replace(&bare.created_at.to_string(), "[time]");
    insta::allow_duplicates! {
        insta::assert_snapshot!(redacted, @r#"{"id":"[member]","user_id":"[user]","email":null,"name":null,"avatar_url":null,"portal_role":"end_user","company_name":null,"customer_status":null,"created_at":"[time]"}"#);
    }
    assert_eq!(answer.headers["content-type"], "application/json");

    let odd = app
        .link(
            &acme.organization,
            None,
            Profile {
                email: Some("jürgen@bücher.example".parse().unwrap()),
                name: Some("Jürgen \"J\" <b>Groß</b> \\ 😀 \u{2028}".parse().unwrap()),
                ..Profile::default()
            },
        )
        .await;
    let answer = app
        .retrieve_json(body(&acme.key, "email", "jürgen@bücher.example"))
        .await;
    assert_eq!(answer.json()["id"], odd.id.to_string());
    assert!(
        answer
            .body
            .contains("\"Jürgen \\\"J\\\" <b>Groß</b> \\\\ 😀 \u{2028}\""),
        "{}",
        answer.body
    );
}

async fn an_address_compares_byte_for_byte(app: TestApp) {
    let acme = app.tenant("acme").await;
    let sally = app.member(&acme.organization, SALLY).await;
    let composed = app
        .member(&acme.organization, "j\u{fc}rgen@acme.example.com")
        .await;
    for (email, found) in [
        (SALLY, Some(&sally)),
        ("j\u{fc}rgen@acme.example.com", Some(&composed)),
        ("ju\u{308}rgen@acme.example.com", None),
        ("Sally@acme.example.com", None),
        ("sally@ACME.example.com", None),
        (" sally@acme.example.com", None),
        ("sally@acme.example.com ", None),
        ("sally@acme.example.com\n", None),
        ("sally@acme.example.com\0", None),
        ("%", None),
        ("_ally@acme.example.com", None),
        ("' OR 1=1 --", None),
        ("", None),
        (&"x".repeat(50_000), None),
    ] {
        let answer = app.retrieve_json(body(&acme.key, "email", email)).await;
        match found {
            Some(member) => assert_eq!(answer.json()["id"], member.id.to_string(), "{email:?}"),
            None => assert_eq!(
                (answer.status, answer.body.as_str()),
                (404, USER_NOT_FOUND),
                "{email:?}"
            ),
        }
    }
    // However it is spelled in JSON.
    let escaped = SALLY.chars().fold(String::new(), |mut text, character| {
        write!(text, "\\u{:04x}", u32::from(character)).unwrap();
        text
    });
    let answer = app
        .retrieve_json(format!(
            r#"{{"\u0061pi_key":"{}","email":"{escaped}"}}"#,
            acme.key
        ))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

async fn a_user_id_may_have_any_form_that_the_vendor_takes(app: TestApp) {
    let acme = app.tenant("acme").await;
    let sally = app.member(&acme.organization, SALLY).await.user_id;
    let uuid = sally.as_uuid();
    let hyphenated = uuid.hyphenated().to_string();
    for form in [
        hyphenated.clone(),
        hyphenated.to_uppercase(),
        uuid.simple().to_string(),
        uuid.simple().to_string().to_uppercase(),
        uuid.braced().to_string(),
        uuid.urn().to_string(),
    ] {
        let answer = app.retrieve_json(body(&acme.key, "user_id", &form)).await;
        assert_eq!(answer.status, 200, "{form}: {}", answer.body);
        assert_eq!(answer.json()["user_id"], hyphenated);
    }
    for other in [
        format!("{hyphenated} "),
        format!(" {hyphenated}"),
        format!("{{{hyphenated}"),
        format!("{{{}}}", uuid.simple()),
        format!("urn:uuid:{}", uuid.simple()),
        format!("URN:UUID:{hyphenated}"),
        "bb3c3ef8-b8cd-cd15-01ba-useruser0001".to_owned(),
    ] {
        for answer in [
            app.retrieve_json(body(&acme.key, "user_id", &other)).await,
            app.delete_json(body(&acme.key, "user_id", &other)).await,
        ] {
            let item = &answer.json()["detail"][0];
            // Braces without hyphens are none of the forms that the contract names; what it is asked is what is echoed.
            assert_eq!(
                (answer.status, &item["type"]),
                (422, &"uuid_parsing".into()),
                "{other}"
            );
            assert_eq!(item["input"], other);
            let error = item["ctx"]["error"].as_str().unwrap();
            assert_eq!(item["msg"], format!("Input should be a valid UUID, {error}"));
        }
    }
}

async fn a_deleted_user_is_gone_at_once(app: TestApp) {
    let acme = app.tenant("acme").await;
    let sally = app.member(&acme.organization, SALLY).await;
    let user = sally.user_id.to_string();
    let deleted = app.delete_json(body(&acme.key, "user_id", &user)).await;
    assert_eq!(
        (deleted.status, deleted.body.as_str()),
        (200, r#"{"success":true}"#)
    );
    for (field, value) in [("user_id", user.as_str()), ("email", SALLY)] {
        let answer = app.retrieve_json(body(&acme.key, field, value)).await;
        assert_eq!((answer.status, answer.body.as_str()), (404, USER_NOT_FOUND));
    }
    let again = app.delete_json(body(&acme.key, "user_id", &user)).await;
    assert_eq!((again.status, again.body.as_str()), (404, USER_NOT_FOUND));

    let relinked = app.member(&acme.organization, SALLY).await;
    let answer = app.retrieve_json(body(&acme.key, "email", SALLY)).await.json();
    assert_eq!(answer["user_id"], user);
    assert_eq!(answer["id"], relinked.id.to_string());
    assert_ne!(relinked.id, sally.id);
}

async fn of_duplicate_keys_the_last_counts(app: TestApp) {
    let acme = app.tenant("acme").await;
    app.member(&acme.organization, SALLY).await;
    let key = &acme.key;
    for (fields, status) in [
        (
            format!(r#""api_key":"bad","api_key":"{key}","email":"{SALLY}""#),
            200,
        ),
        (
            format!(r#""api_key":"{key}","api_key":"bad","email":"{SALLY}""#),
            401,
        ),
        (format!(r#""api_key":7,"api_key":"{key}","email":"{SALLY}""#), 200),
        (
            format!(r#""api_key":"{key}","api_key":null,"email":"{SALLY}""#),
            401,
        ),
        (format!(r#""api_key":"{key}","email":5,"email":"{SALLY}""#), 200),
        (format!(r#""api_key":"{key}","email":"{SALLY}","email":5"#), 422),
        (
            format!(r#""api_key":"{key}","email":"{SALLY}","user_id":"x","user_id":null"#),
            200,
        ),
        (
            format!(r#""api_key":"{key}","email":"{SALLY}","\u0065mail":"x@y.z""#),
            404,
        ),
    ] {
        let answer = app.retrieve_json(format!("{{{fields}}}")).await;
        assert_eq!(answer.status, status, "{fields}: {}", answer.body);
    }
}

async fn unknown_fields_do_not_matter(app: TestApp) {
    let acme = app.tenant("acme").await;
    app.member(&acme.organization, SALLY).await;
    let key = &acme.key;
    for extra in [
        r#""x":1"#,
        r#""API_KEY":"bad","Email":5"#,
        r#""":null,"x":{"api_key":[]},"y":[[[[1e400]]]]"#,
        r#""x":NaN,"y":[Infinity,-Infinity],"z":"\ud800""#,
        r#""x":123456789012345678901234567890123456789012345678901234567890"#,
        r#""constructor":{},"__proto__":{"api_key":1}"#,
    ] {
        let answer = app
            .retrieve_json(format!(r#"{{{extra},"email":"{SALLY}","api_key":"{key}"}}"#))
            .await;
        assert_eq!(answer.status, 200, "{extra}: {}", answer.body);
    }
}

async fn null_counts_as_not_given(app: TestApp) {
    let acme = app.tenant("acme").await;
    app.member(&acme.organization, SALLY).await;
    let key = &acme.key;
    let answer = app
        .retrieve_json(format!(
            r#"{{"api_key":"{key}","user_id":null,"email":"{SALLY}"}}"#
        ))
        .await;
    assert_eq!(answer.status, 200);
    for fields in [
        r#""user_id":null"#.to_owned(),
        r#""email":null"#.to_owned(),
        format!(r#""user_id":"{NO_USER}","email":"{SALLY}""#),
        // An address that is there is given, even if it is empty.
        format!(r#""user_id":"{NO_USER}","email":"""#),
    ] {
        let body = format!(r#"{{"api_key":"{key}",{fields}}}"#);
        let answer = app.retrieve_json(body.clone()).await;
        assert_eq!(
            (answer.status, answer.body),
            (
                422,
                format!(
                    r#"{{"detail":[{{"type":"value_error","loc":["body"],"msg":"Value error, Exactly one of user_id or email is required","input":{body},"ctx":{{"error":{{}}}}}}]}}"#
                )
            )
        );
    }
    let answer = app
        .delete_json(format!(r#"{{"api_key":"{key}","user_id":null}}"#))
        .await;
    assert_eq!(answer.json()["detail"][0]["type"], "uuid_type");
}

async fn faults_come_in_the_order_of_the_fields(app: TestApp) {
    let answer = app
        .retrieve_json(r#"{"email":[1.0],"user_id":true,"api_key":{"a":null}}"#)
        .await;
    assert_eq!(answer.status, 422);
    insta::allow_duplicates! {
        insta::assert_snapshot!(answer.body, @r#"{"detail":[{"type":"string_type","loc":["body","api_key"],"msg":"Input should be a valid string","input":{"a":null}},{"type":"uuid_type","loc":["body","user_id"],"msg":"UUID input should be a string, bytes or UUID object","input":true},{"type":"string_type","loc":["body","email"],"msg":"Input should be a valid string","input":[1.0]}]}"#);
    }
}
