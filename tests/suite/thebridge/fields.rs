//! Fields that are not valid.

use serde_json::json;

use super::{Acme, assert_code, assert_invalid};
use crate::support::{TestApp, gateway_tests};

gateway_tests!(
    every_field_of_the_wrong_kind_is_told,
    a_username_is_an_address,
    roles_are_those_of_the_catalogue,
    texts_that_the_directory_does_not_keep_are_refused,
);

const MALFORMED: &str = "NBLOCKS_MISSING_REQUIRED_VARIABLES_EXCEPTION";

async fn every_field_of_the_wrong_kind_is_told(app: TestApp) {
    let acme = Acme::of(app).await;
    let answer = acme
        .create(
            json!({ "username": 5, "role": 5, "firstName": [], "lastName": {}, "muteNotifications": "x" }),
        )
        .await;
    assert_invalid(
        &answer,
        &[
            "username must be a string",
            "role must be a string",
            "firstName must be a string",
            "lastName must be a string",
            "muteNotifications must be a boolean value",
        ],
    );
    let id = acme.user("user@acme.example.com", "VIEWER").await;
    let answer = acme
        .update(
            &id,
            json!({ "enabled": 1, "onboarded": "x", "firstName": 3, "lastName": 4, "role": 5, "teams": 6 }),
        )
        .await;
    assert_invalid(
        &answer,
        &[
            "role must be a string",
            "enabled must be a boolean value",
            "each value in teams must be a string",
            "teams must be an array",
            "firstName must be a string",
            "lastName must be a string",
            "onboarded must be a boolean value",
        ],
    );
    for teams in [json!([1]), json!([null]), json!(["a", ["b"]]), json!([{}])] {
        let answer = acme.update(&id, json!({ "teams": teams })).await;
        assert_invalid(&answer, &["each value in teams must be a string"]);
    }
    let answer = acme.update("1", json!({ "enabled": "x" })).await;
    assert_invalid(&answer, &["enabled must be a boolean value"]);
}

async fn a_username_is_an_address(app: TestApp) {
    let acme = Acme::of(app).await;
    for blank in [" ", "\t\n", "\u{a0}"] {
        let answer = acme.create(json!({ "username": blank })).await;
        assert_code(&answer, 400, "NBLOCKS_MISSING_USERNAME");
    }
    let long = format!("{}@b", "a".repeat(319));
    for text in [
        "jane",
        "@b",
        "a@",
        "a @b",
        " a@b",
        "a\u{0}@b",
        &long,
        &"x".repeat(90_000),
    ] {
        let answer = acme.create(json!({ "username": text })).await;
        assert_code(&answer, 400, MALFORMED);
    }
    let longest = format!("{}@b", "a".repeat(318));
    assert_eq!(acme.create(json!({ "username": longest })).await.status, 201);
}

async fn roles_are_those_of_the_catalogue(app: TestApp) {
    let acme = Acme::of(app).await;
    for role in ["", "owner", "ROLE_OWNER", "BAD", " OWNER"] {
        let answer = acme.create(json!({ "username": "a@b", "role": role })).await;
        assert_code(&answer, 400, "NBLOCKS_INVALID_ROLE");
    }
    let id = acme.user("user@acme.example.com", "OWNER").await;
    for role in ["ADMIN", "EDITOR", "VIEWER", "RESTRICTED_VIEWER", "OWNER"] {
        acme.user(&format!("{role}@acme.example.com"), "OWNER").await;
        let answer = acme.update(&id, json!({ "role": role })).await;
        assert_eq!((answer.status, &answer.json()["role"]), (200, &json!(role)));
    }
}

async fn texts_that_the_directory_does_not_keep_are_refused(app: TestApp) {
    let acme = Acme::of(app).await;
    let id = acme.user("user@acme.example.com", "VIEWER").await;
    let (long, longest) = ("ü".repeat(128), "ü".repeat(127));
    for text in [&long[..], "a\u{0}b", "a\nb"] {
        for name in ["firstName", "lastName"] {
            let answer = acme.create(json!({ "username": "a@b", name: text })).await;
            assert_code(&answer, 400, MALFORMED);
            assert_code(&acme.update(&id, json!({ name: text })).await, 400, MALFORMED);
        }
        assert_code(
            &acme.update(&id, json!({ "teams": [text] })).await,
            400,
            MALFORMED,
        );
    }
    let body = json!({ "firstName": longest, "lastName": longest });
    let answer = acme.update(&id, body).await;
    assert_eq!(
        (answer.status, &answer.json()["lastName"]),
        (200, &json!(longest))
    );
    let many: Vec<_> = (0..101).map(|index| index.to_string()).collect();
    for teams in [json!([""]), json!(many)] {
        assert_code(&acme.update(&id, json!({ "teams": teams })).await, 400, MALFORMED);
    }
    // Half a pair is what Node writes for it; markup is text.
    let answer = acme
        .update(
            &id,
            json!({ "firstName": "<script>alert(1)</script> \u{202e}😀" }),
        )
        .await;
    assert_eq!(answer.status, 200);
}
