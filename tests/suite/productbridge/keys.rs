//! Who may ask.

use userbridge::{
    domain::{Clock as _, Idempotency, PageRequest, Scope, Timestamp},
    service::{Admin, Expiry},
};

use super::{INVALID_KEY, NO_USER, NOBODY, SALLY, USER_NOT_FOUND, body};
use crate::support::{Answer, CLOCK, TestApp, first, gateway_tests};

gateway_tests!(
    keys_that_open_nothing_answer_alike,
    a_key_counts_only_in_the_body,
    a_key_is_taken_as_it_is,
    the_body_is_judged_before_the_key_and_the_key_before_the_user,
    a_key_is_dead_the_moment_it_is_revoked,
    a_rotated_key_and_its_successor_both_work_while_they_overlap,
    a_ping_says_whose_key_it_is,
);

async fn keys_that_open_nothing_answer_alike(app: TestApp) {
    let acme = app.tenant("acme").await;
    app.member(&acme.organization, SALLY).await;
    let revoked = app.tenant("revoked").await;
    revoke(&app, &revoked.organization).await;
    let past = Timestamp::from_millis(CLOCK.now().as_millis() - 1);
    app.raw_key(
        &revoked.organization,
        "pb_expired",
        &[Scope::PublicApi],
        Some(past),
    )
    .await;
    let deleted = app.tenant("deleted").await;
    app.directory()
        .delete_organization(Admin::OPERATOR, deleted.organization.id)
        .await
        .unwrap();
    let unscoped = app
        .key(&acme.organization, &[Scope::Admin, Scope::DirectoryRead])
        .await;
    let unknown = format!("pb_{}", "A".repeat(43));
    let quoted = |text: &str| serde_json::Value::from(text).to_string();

    let mut keys = vec![None, Some("null".to_owned())];
    keys.extend(
        [
            "",
            &unknown,
            "hello",
            "ubs_unknown",
            &revoked.key,
            "pb_expired",
            &deleted.key,
            &unscoped,
            &acme.key.to_lowercase().to_uppercase(),
            // Nothing that a header could carry.
            "pb_\n",
            "pb_\0",
            "ключ",
            &"x".repeat(40_000),
        ]
        .map(|key| Some(quoted(key))),
    );
    keys.push(Some(r#""\ud800""#.to_owned()));
    let mut first: Option<Answer> = None;
    for key in keys {
        let key = key.map_or(String::new(), |key| format!(r#""api_key":{key},"#));
        for email in [SALLY, NOBODY] {
            let retrieve = app.retrieve_json(format!(r#"{{{key}"email":"{email}"}}"#)).await;
            let delete = app
                .delete_json(format!(r#"{{{key}"user_id":"{NO_USER}"}}"#))
                .await;
            let ping = app.ping_json(format!(r#"{{{key}"x":1}}"#)).await;
            for answer in [retrieve, delete, ping] {
                assert_eq!((answer.status, answer.body.as_str()), (401, INVALID_KEY), "{key}");
                let first = first.get_or_insert_with(|| answer.clone());
                assert_eq!(answer.telling_headers(), first.telling_headers(), "{key}");
            }
        }
    }
    assert_eq!(
        app.ping_json(format!(r#"{{"api_key":"{}"}}"#, acme.key))
            .await
            .status,
        200
    );
}

async fn revoke(app: &TestApp, organization: &userbridge::domain::Organization) {
    let page = PageRequest {
        after: None,
        limit: 10,
    };
    let (directory, organization) = (app.directory(), Some(organization.id));
    for key in directory
        .api_keys(Admin::OPERATOR, organization, page)
        .await
        .unwrap()
        .items
    {
        directory
            .revoke_api_key(Admin::OPERATOR, organization, key.id)
            .await
            .unwrap();
    }
}

async fn a_key_counts_only_in_the_body(app: TestApp) {
    let acme = app.tenant("acme").await;
    app.member(&acme.organization, SALLY).await;
    let key = &acme.key;
    let request = app
        .request(
            reqwest::Method::POST,
            &format!("{}?api_key={key}", super::RETRIEVE),
        )
        .header("authorization", format!("Bearer {key}"))
        .header("x-api-key", key)
        .header("api_key", key)
        .header("content-type", "application/json")
        .body(format!(r#"{{"email":"{SALLY}"}}"#));
    let answer = Answer::of(request).await;
    assert_eq!((answer.status, answer.body.as_str()), (401, INVALID_KEY));
    // And a header does not stand in for a wrong one.
    let request = app
        .request(reqwest::Method::POST, super::RETRIEVE)
        .header("authorization", format!("Bearer {key}"))
        .header("content-type", "application/json")
        .body(body("pb_wrong", "email", SALLY));
    assert_eq!(Answer::of(request).await.status, 401);
}

async fn a_key_is_taken_as_it_is(app: TestApp) {
    let acme = app.tenant("acme").await;
    let key = &acme.key;
    for near in [
        format!(" {key}"),
        format!("{key} "),
        format!("\t{key}"),
        format!("{key}\t"),
        format!("  {key}  "),
        format!("Bearer {key}"),
        format!("{key}\u{a0}"),
        format!("{key}\n"),
        format!("{key}\0"),
        key.strip_prefix("pb_").unwrap().to_owned(),
    ] {
        let answer = app
            .ping_json(serde_json::json!({ "api_key": near }).to_string())
            .await;
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (401, INVALID_KEY),
            "{near:?}"
        );
    }
}

async fn the_body_is_judged_before_the_key_and_the_key_before_the_user(app: TestApp) {
    let acme = app.tenant("acme").await;
    let item = |answer: &Answer, index: usize| answer.json()["detail"][index]["type"].clone();
    let answer = app.retrieve_json(body("pb_wrong", "user_id", "no uuid")).await;
    assert_eq!((answer.status, item(&answer, 0)), (422, "uuid_parsing".into()));
    let answer = app.retrieve_json(body("pb_wrong", "user_id", NO_USER)).await;
    assert_eq!((answer.status, answer.body.as_str()), (401, INVALID_KEY));
    let answer = app.retrieve_json(body(&acme.key, "user_id", NO_USER)).await;
    assert_eq!((answer.status, answer.body.as_str()), (404, USER_NOT_FOUND));
    // With another fault in the body, a missing key is the first of the faults.
    for key in ["", r#""api_key":null,"#] {
        let answer = app.retrieve_json(format!(r#"{{{key}"user_id":"x"}}"#)).await;
        assert_eq!(answer.status, 422, "{}", answer.body);
        assert_eq!(item(&answer, 1), "uuid_parsing");
        assert_eq!(
            answer.json()["detail"][0]["loc"],
            serde_json::json!(["body", "api_key"])
        );
    }
    let answer = app.delete_json("{}").await;
    assert_eq!(
        answer.body,
        r#"{"detail":[{"type":"missing","loc":["body","api_key"],"msg":"Field required","input":{}},{"type":"missing","loc":["body","user_id"],"msg":"Field required","input":{}}]}"#
    );
}

async fn a_key_is_dead_the_moment_it_is_revoked(app: TestApp) {
    let acme = app.tenant("acme").await;
    app.member(&acme.organization, SALLY).await;
    assert_eq!(
        app.retrieve_json(body(&acme.key, "email", SALLY)).await.status,
        200
    );
    revoke(&app, &acme.organization).await;
    assert_eq!(
        app.retrieve_json(body(&acme.key, "email", SALLY)).await.status,
        401
    );
    let new = app.key(&acme.organization, &[Scope::PublicApi]).await;
    assert_eq!(app.retrieve_json(body(&new, "email", SALLY)).await.status, 200);
}

async fn a_rotated_key_and_its_successor_both_work_while_they_overlap(app: TestApp) {
    let acme = app.tenant("acme").await;
    let page = PageRequest {
        after: None,
        limit: 1,
    };
    let old = app
        .directory()
        .api_keys(Admin::OPERATOR, Some(acme.organization.id), page)
        .await
        .unwrap()
        .items
        .remove(0);
    let hour = std::time::Duration::from_secs(3600);
    let new = app
        .directory()
        .rotate_api_key(
            Admin::OPERATOR,
            Some(acme.organization.id),
            old.id,
            hour,
            Expiry::Kept,
            Idempotency::never(),
        )
        .await;
    let new = first(new.unwrap());
    for key in [acme.key.as_str(), new.secret.reveal()] {
        assert_eq!(
            app.ping_json(format!(r#"{{"api_key":"{key}"}}"#)).await.status,
            200
        );
    }
    let newest = app
        .directory()
        .rotate_api_key(
            Admin::OPERATOR,
            Some(acme.organization.id),
            new.key.id,
            std::time::Duration::ZERO,
            Expiry::Kept,
            Idempotency::never(),
        )
        .await;
    let newest = first(newest.unwrap());
    for (key, status) in [
        (acme.key.as_str(), 200),
        (new.secret.reveal(), 401),
        (newest.secret.reveal(), 200),
    ] {
        assert_eq!(
            app.ping_json(format!(r#"{{"api_key":"{key}"}}"#)).await.status,
            status
        );
    }
}

async fn a_ping_says_whose_key_it_is(app: TestApp) {
    let acme = app.tenant("acme").await;
    let before = CLOCK.now().to_string();
    let answer = app.ping_json(format!(r#"{{"api_key":"{}"}}"#, acme.key)).await;
    let after = CLOCK.now().to_string();
    assert_eq!(answer.status, 200);
    let time = answer.json()["timestamp"].as_str().unwrap().to_owned();
    assert!(*before <= *time && *time <= *after, "{before} {time} {after}");
    let id = acme.organization.id;
    assert_eq!(
        answer.body,
        format!(r#"{{"organization_id":"{id}","organization_slug":"acme","timestamp":"{time}"}}"#)
    );
}
