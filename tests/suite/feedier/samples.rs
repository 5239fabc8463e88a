//! The five documented curl lines, run as they are documented but for the server, and their answers held against the
//! documented shapes: each key, in order, with its type.

use std::process::Command;

use tokio::task::spawn_blocking;
use userbridge::{
    domain::{Idempotency, Role, TeamName, TeamSlug},
    service::Write,
};

use super::Acme;
use crate::{
    programs::tools::{Needs, available, run, script},
    support::{Form, TestApp},
};

/// JSON with every value replaced by what it is: the shape, keys in order.
fn shape(json: &str) -> String {
    let mut shape = String::new();
    let mut rest = json.trim();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => rest[1..].find('"').expect("no escapes here") + 2,
            '0'..='9' => rest
                .find(|letter: char| !letter.is_ascii_digit())
                .unwrap_or(rest.len()),
            'n' => 4,
            _ => 1,
        };
        let (token, behind) = rest.split_at(length);
        shape.push_str(match first {
            '"' if behind.trim_start().starts_with(':') => token,
            '"' if is_time(token) => "time",
            '"' => "text",
            '0'..='9' => "number",
            _ => token,
        });
        rest = behind.trim_start();
    }
    shape
}

/// Such as `"2021-06-15T09:30:10+00:00"`.
fn is_time(token: &str) -> bool {
    token.len() == 27 && token.ends_with("+00:00\"") && token.as_bytes()[11] == b'T'
}

const USER: &str = r#"{
    "id": 42,
    "name": "John Doe",
    "email": "john@example.com",
    "role": "viewer",
    "primary_team_id": 2,
    "team_id": 2,
    "created_at": "2025-03-12T10:00:00+00:00",
    "updated_at": "2025-03-12T10:00:00+00:00"
}"#;

const PAGE: &str = r#"{
    "data": [
        {
            "id": 3,
            "name": "Aurelio Montoya",
            "email": "aurelio@example.com",
            "role": "admin",
            "primary_team_id": 4,
            "team_id": 4,
            "created_at": "2021-06-15T09:30:10+00:00",
            "updated_at": "2021-06-16T11:42:55+00:00"
        }
    ],
    "links": {
        "first": "https://api.bx.feedier.com/v3/users?page=1",
        "last": "https://api.bx.feedier.com/v3/users?page=2",
        "prev": null,
        "next": "https://api.bx.feedier.com/v3/users?page=2"
    },
    "meta": {
        "current_page": 1,
        "from": 1,
        "last_page": 2,
        "path": "https://api.bx.feedier.com/v3/users",
        "per_page": 15,
        "to": 15,
        "total": 25
    }
}"#;

#[tokio::test]
async fn the_documented_curl_lines_give_the_documented_answers() {
    if !available(&[Needs::Curl]) {
        return;
    }
    for form in [Form::Embedded, Form::Apart] {
        let acme = Acme::of(TestApp::start(form).await).await;
        let grant = Write::operator(acme.organization.id);
        let (key, name) = (TeamSlug::new("sales").unwrap(), TeamName::new("Sales").unwrap());
        acme.app
            .directory()
            .create_team(grant, key, name, Idempotency::never())
            .await
            .unwrap();
        // 25 admins for the list, and as many others as it takes for the next id to be the documented one.
        for index in 1..42 {
            let role = if index <= 25 { Role::Admin } else { Role::Viewer };
            acme.member(
                &format!("user{index}@example.com"),
                Some("Aurelio Montoya"),
                Some(role),
            )
            .await;
        }
        let sample = async |name: &str| {
            let mut command = Command::new("sh");
            command
                .arg(script(&format!("feedier/{name}.sh")))
                .env("USERBRIDGE_URL", format!("http://{}", acme.app.http_addr))
                .env("USERBRIDGE_API_KEY", &acme.key);
            spawn_blocking(move || run(&mut command).ok()).await.unwrap()
        };
        let list = sample("list").await;
        let one = shape(&PAGE[PAGE.find('{').unwrap()..]);
        let user = shape(USER);
        let many = format!("[{}]", vec![user.as_str(); 15].join(","));
        assert_eq!(shape(&list), one.replace(&format!("[{user}]"), &many));
        let page: serde_json::Value = serde_json::from_str(&list).unwrap();
        assert_eq!(page["meta"]["total"], 25);
        assert_eq!(page["links"]["last"], page["links"]["next"]);

        let create = sample("create").await;
        assert_eq!(shape(&create), user);
        let made: serde_json::Value = serde_json::from_str(&create).unwrap();
        let mut documented: serde_json::Value = serde_json::from_str(USER).unwrap();
        for time in ["created_at", "updated_at"] {
            documented[time] = made["created_at"].clone();
        }
        assert_eq!(made, documented);
        assert_eq!(sample("retrieve").await, create);

        let update = sample("update").await;
        assert_eq!(shape(&update), user);
        let changed: serde_json::Value = serde_json::from_str(&update).unwrap();
        documented["name"] = "John Updated".into();
        documented["role"] = "editor".into();
        documented["updated_at"] = changed["updated_at"].clone();
        assert_eq!(changed, documented);

        assert_eq!(sample("delete").await, "204");
        assert_eq!(sample("retrieve").await, super::no_user("42"));
        assert_eq!(sample("delete").await, format!("{}404", super::no_user("42")));
    }
}
