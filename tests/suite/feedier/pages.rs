//! Pages: where they begin and end, and what they say of it.

use std::process::Command;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;
use userbridge::domain::Role;

use super::{Acme, USERS, assert_answer, ids};
use crate::{
    programs::tools::{Needs, available, python, run, script},
    support::{Answer, Form, TestApp, gateway_tests},
};

gateway_tests!(
    a_page_is_told_as_documented,
    every_page_has_its_users_and_links,
    a_page_that_is_no_positive_integer_is_the_first,
    a_page_has_as_many_as_asked_for_within_bounds,
    links_are_the_requests_own,
    a_walk_misses_nobody_who_stays,
    a_page_of_a_changed_list_is_counted_anew_without_a_walk,
);

async fn a_page_is_told_as_documented(app: TestApp) {
    let acme = Acme::of(app).await;
    let empty = acme.get(USERS).await;
    let url = format!("http://{}{USERS}", acme.app.http_addr);
    assert_answer(
        &empty,
        200,
        &format!(
            r#"{{"data":[],"links":{{"first":"{url}?page=1","last":"{url}?page=1","prev":null,"next":null}},"meta":{{"current_page":1,"from":null,"last_page":1,"path":"{url}","per_page":15,"to":null,"total":0}}}}"#
        ),
    );
    acme.viewers(25).await;
    let page = acme.get(USERS).await;
    assert_eq!(page.headers["content-type"], "application/json");
    let (data, rest) = page.body.split_once("],").unwrap();
    assert_eq!(
        rest,
        format!(
            r#""links":{{"first":"{url}?page=1","last":"{url}?page=2","prev":null,"next":"{url}?page=2"}},"meta":{{"current_page":1,"from":1,"last_page":2,"path":"{url}","per_page":15,"to":15,"total":25}}}}"#
        )
    );
    let first: Value = page.json()["data"][0].clone();
    let time = first["created_at"].as_str().unwrap();
    assert!(time.ends_with("+00:00") && time.len() == 25, "{time}");
    assert!(
        data.starts_with(&format!(
            r#"{{"data":[{{"id":1,"name":"user1@acme.example.com","email":"user1@acme.example.com","role":"viewer","primary_team_id":1,"team_id":1,"created_at":"{time}","updated_at":"{time}"}},"#
        )),
        "{data}"
    );
}

fn meta(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()["meta"].clone()
}

async fn every_page_has_its_users_and_links(app: TestApp) {
    let acme = Acme::of(app).await;
    acme.viewers(7).await;
    let url = format!("http://{}{USERS}", acme.app.http_addr);
    let link = |page: i64| json!(format!("{url}?page={page}"));
    // From the end first: a page needs none before it.
    for page in (1..=4).rev() {
        let answer = acme.get(&format!("{USERS}?per_page=2&page={page}")).await;
        let from = (page - 1) * 2 + 1;
        let to = (from + 1).min(7);
        assert_eq!(ids(&answer), (from..=to).collect::<Vec<_>>());
        let whole = answer.json();
        assert_eq!(whole["meta"]["from"], from);
        assert_eq!(whole["meta"]["to"], to);
        assert_eq!(whole["meta"]["last_page"], 4);
        let links = &whole["links"];
        assert_eq!((&links["first"], &links["last"]), (&link(1), &link(4)));
        assert_eq!(links["prev"], if page > 1 { link(page - 1) } else { Value::Null });
        assert_eq!(links["next"], if page < 4 { link(page + 1) } else { Value::Null });
    }
    for page in ["5", "400", "9223372036854775807"] {
        let answer = acme.get(&format!("{USERS}?per_page=2&page={page}")).await;
        assert_eq!(ids(&answer), Vec::<i64>::new());
        let whole = answer.json();
        assert_eq!(whole["meta"]["current_page"].to_string(), page);
        assert_eq!(whole["meta"]["last_page"], 4);
        assert!(whole["meta"]["from"].is_null() && whole["meta"]["to"].is_null());
        assert!(whole["links"]["next"].is_null());
        assert!(!whole["links"]["prev"].is_null());
    }
}

async fn a_page_that_is_no_positive_integer_is_the_first(app: TestApp) {
    let acme = Acme::of(app).await;
    acme.viewers(3).await;
    for page in ["", "0", "-1", "abc", "1.5", "2x", "99999999999999999999", "%00"] {
        let answer = acme.get(&format!("{USERS}?per_page=2&page={page}")).await;
        assert_eq!(meta(&answer)["current_page"], 1, "{page}");
        assert_eq!(ids(&answer), [1, 2], "{page}");
    }
    for (query, expected) in [
        ("page[]=2", 1),
        ("page=1&page=2", 2),
        ("page=%202%20", 2),
        ("page", 1),
    ] {
        let answer = acme.get(&format!("{USERS}?per_page=2&{query}")).await;
        assert_eq!(meta(&answer)["current_page"], expected, "{query}");
    }
}

async fn a_page_has_as_many_as_asked_for_within_bounds(app: TestApp) {
    let acme = Acme::of(app).await;
    for (query, expected) in [
        ("", 15),
        ("per_page=1", 1),
        ("per_page=100", 100),
        ("limit=20", 20),
        ("per_page=30&limit=20", 30),
        ("per_page=&limit=20", 20),
        ("per_page=1&per_page=2", 2),
    ] {
        let answer = acme.get(&format!("{USERS}?{query}")).await;
        assert_eq!(meta(&answer)["per_page"], expected, "{query}");
    }
    for (query, field, messages) in [
        ("per_page=0", "per_page", &["must be at least 1."][..]),
        ("per_page=-1", "per_page", &["must be at least 1."]),
        ("per_page=101", "per_page", &["must not be greater than 100."]),
        ("per_page=abc", "per_page", &["must be an integer."]),
        ("per_page[]=5", "per_page", &["must be an integer."]),
        (
            "per_page=99999999999999999999",
            "per_page",
            &["must be an integer.", "must not be greater than 100."],
        ),
        ("limit=0", "limit", &["must be at least 1."]),
        (
            "per_page=5&limit=101",
            "limit",
            &["must not be greater than 100."],
        ),
    ] {
        let answer = acme.get(&format!("{USERS}?{query}")).await;
        let messages: Vec<_> = messages
            .iter()
            .map(|message| format!("The {} field {message}", field.replace('_', " ")))
            .collect();
        let more = if messages.len() > 1 {
            " (and 1 more error)"
        } else {
            ""
        };
        super::assert_invalid(
            &answer,
            &format!("{}{more}", messages[0]),
            json!({ field: messages }),
        );
    }
}

async fn links_are_the_requests_own(app: TestApp) {
    let acme = Acme::of(app).await;
    acme.viewers(3).await;
    let request = acme
        .app
        .request(Method::GET, "/v3/users/?per_page=2&filter[role]=viewer")
        .bearer_auth(&acme.key)
        .header("host", "API.Feedier.example:8443")
        .header("x-forwarded-host", "evil.example")
        .header("x-forwarded-proto", "https")
        .header("forwarded", "host=evil.example;proto=https");
    let page = Answer::of(request).await.json();
    assert_eq!(page["meta"]["path"], "http://api.feedier.example:8443/v3/users");
    assert_eq!(
        page["links"]["next"],
        "http://api.feedier.example:8443/v3/users?page=2"
    );
}

/// Page by page, while those who were seen are removed and others come: a plain offset would miss one for each who went.
async fn a_walk_misses_nobody_who_stays(app: TestApp) {
    let acme = Acme::of(app).await;
    acme.viewers(20).await;
    let stay: Vec<i64> = (1..=20).filter(|id| id % 3 != 0).collect();
    let mut seen = Vec::new();
    let mut page = 1;
    loop {
        let answer = acme.get(&format!("{USERS}?per_page=4&page={page}")).await;
        let here = ids(&answer);
        let whole = answer.json();
        if let Some(to) = whole["meta"]["to"].as_u64() {
            assert!(to <= whole["meta"]["total"].as_u64().unwrap(), "{}", answer.body);
        }
        for id in &here {
            if id % 3 == 0 {
                assert_eq!(acme.delete(*id).await.status, 204);
            }
        }
        seen.extend(here);
        if page < 4 {
            acme.member(&format!("new{page}@acme.example.com"), None, Some(Role::Editor))
                .await;
        }
        if whole["links"]["next"].is_null() {
            break;
        }
        page += 1;
        assert!(page < 20, "it ends");
    }
    assert!(seen.is_sorted(), "{seen:?}");
    for id in stay {
        assert_eq!(
            seen.iter().filter(|there| **there == id).count(),
            1,
            "{id} in {seen:?}"
        );
    }
}

async fn a_page_of_a_changed_list_is_counted_anew_without_a_walk(app: TestApp) {
    let acme = Acme::of(app).await;
    acme.viewers(10).await;
    assert_eq!(
        ids(&acme.get(&format!("{USERS}?per_page=4&page=2")).await),
        [5, 6, 7, 8]
    );
    assert_eq!(acme.delete(1).await.status, 204);
    // Nobody has read the first page, so the second begins where its number says.
    assert_eq!(
        ids(&acme.get(&format!("{USERS}?per_page=4&page=2")).await),
        [6, 7, 8, 9]
    );
    assert_eq!(
        ids(&acme.get(&format!("{USERS}?per_page=4&page=1")).await),
        [2, 3, 4, 5]
    );
    assert_eq!(
        ids(&acme.get(&format!("{USERS}?per_page=4&page=2")).await),
        [6, 7, 8, 9]
    );
}

/// The same by a client of another language, which follows `links.next` while others come and go.
#[tokio::test]
async fn an_httpx_client_walks_all_pages_while_users_come_and_go() {
    if !available(&[Needs::Python("httpx")]) {
        return;
    }
    for form in [Form::Embedded, Form::Apart] {
        let acme = Acme::of(TestApp::start(form).await).await;
        acme.viewers(100).await;
        let url = format!("http://{}", acme.app.http_addr);
        let key = acme.key.clone();
        let walk = move || {
            run(Command::new(python())
                .arg(script("feedier/walk.py"))
                .env("USERBRIDGE_URL", url)
                .env("USERBRIDGE_API_KEY", key))
            .json()
        };
        let walk = spawn_blocking(walk);
        let mut next = 101;
        let mut gone = Vec::new();
        while !walk.is_finished() {
            // Each third of those who were there at first goes, in order; and others come.
            if let Some(id) = (1..=100).filter(|id| id % 3 == 0).nth(gone.len()) {
                assert_eq!(acme.delete(id).await.status, 204);
                gone.push(id);
            }
            if next < 200 {
                let email = format!("user{next}@acme.example.com");
                acme.member(&email, None, Some(Role::Viewer)).await;
                next += 1;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        let walked = walk.await.unwrap();
        let seen: Vec<i64> = serde_json::from_value(walked["seen"].clone()).unwrap();
        assert!(walked["pages"].as_u64().unwrap() >= 5, "{walked}");
        assert!(!gone.is_empty(), "users went meanwhile");
        for id in (1..=100).filter(|id| id % 3 != 0) {
            assert_eq!(
                seen.iter().filter(|there| **there == id).count(),
                1,
                "{id}: {walked}"
            );
        }
    }
}
