//! What a browser does not show: headers, methods, forged and broken requests.

use std::time::Duration;

use axum::body::Body;
use reqwest::{Method, RequestBuilder, header::HeaderMap};
use tokio::net::TcpListener;
use tower::ServiceExt as _;
use userbridge::{
    domain::{MemberPatch, MemberRef},
    service::{Read, Write},
};
use userbridge_gateway::{Settings, Upstream, router};

use super::world::World;
use crate::support::{Answer, Form, TestApp};

const PEOPLE: &str = "/cloud-views/user-management-portal/users";

/// A session of this administrator: what a browser sends as `cookie`.
async fn sign_in(world: &World, address: &str) -> String {
    let code = world.code(address).await;
    let answer = get(&world.app, &format!("{PEOPLE}?code={code}"), "").await;
    assert_eq!(answer.status, 303, "{answer:?}");
    assert_eq!(answer.headers["location"], PEOPLE);
    let cookie = answer.headers["set-cookie"].to_str().unwrap();
    assert!(
        cookie.contains("; Path=/cloud-views; HttpOnly; SameSite=Lax"),
        "{cookie}"
    );
    cookie.split(';').next().unwrap().to_owned()
}

async fn get(app: &TestApp, path: &str, cookie: &str) -> Answer {
    Answer::of(app.request(Method::GET, path).header("cookie", cookie)).await
}

fn form(app: &TestApp, path: &str, cookie: &str, body: String) -> RequestBuilder {
    let request = app.request(Method::POST, path).header("cookie", cookie);
    request
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body)
}

/// The value of a hidden field of a page.
fn hidden(page: &str, name: &str) -> String {
    let field = format!("name=\"{name}\" value=\"");
    let (_, rest) = page.split_once(&field).expect("the field is there");
    rest.split('"').next().unwrap().to_owned()
}

/// That nothing can be framed, kept, run or told to other sites.
fn assert_guarded(headers: &HeaderMap) {
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none';"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    assert_eq!(headers["referrer-policy"], "no-referrer");
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert_eq!(headers["cache-control"], "no-store");
}

#[tokio::test]
async fn every_page_forbids_what_it_does_not_need() {
    let world = World::new(Form::Embedded).await;
    let cookie = sign_in(&world, "ada.lovelace@example.com").await;
    let id = world.answer("id", "grace.hopper@example.com").await;
    for (path, status) in [
        (PEOPLE.to_owned(), 200),
        (format!("{PEOPLE}/invite"), 200),
        (format!("{PEOPLE}/{id}"), 200),
        (format!("{PEOPLE}/{id}/remove"), 200),
        (format!("{PEOPLE}/no-id"), 404),
        (format!("{PEOPLE}/%ff"), 404),
        (format!("{PEOPLE}/00000000-0000-0000-0000-000000000000"), 404),
        (format!("{PEOPLE}/no-id/remove"), 404),
        ("/cloud-views/nothing".to_owned(), 404),
        (format!("{PEOPLE}/{id}/enable"), 405),
        ("/set-password?token=ubp_unknown".to_owned(), 410),
        ("/set-password".to_owned(), 410),
    ] {
        let answer = get(&world.app, &path, &cookie).await;
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        assert_guarded(&answer.headers);
        // RFC 9110 §15.5.6.
        let allowed = answer.headers.get("allow");
        assert_eq!(allowed.is_some(), status == 405, "{path}: {allowed:?}");
    }
}

#[tokio::test]
async fn no_mail_is_offered_to_who_is_disabled_and_gets_none() {
    let world = World::new(Form::Embedded).await;
    let cookie = sign_in(&world, "ada.lovelace@example.com").await;
    let id = world.answer("id", "grace.hopper@example.com").await;
    let page = format!("{PEOPLE}/{id}");
    for enabled in [true, false] {
        let patch = MemberPatch {
            enabled: Some(enabled),
            ..MemberPatch::default()
        };
        let grant = Write::operator(world.organization.id);
        let updated = world
            .app
            .directory()
            .update_member(grant, id.parse().unwrap(), patch, None);
        updated.await.unwrap();
        let page = get(&world.app, &page, &cookie).await.body;
        assert_eq!(page.contains("/password-mail"), enabled, "{page}");
    }
}

#[tokio::test]
async fn staff_who_were_removed_are_shown_however_many_end_users_were_deleted_since() {
    let world = World::new(Form::Embedded).await;
    let cookie = sign_in(&world, "ada.lovelace@example.com").await;
    let (directory, acme) = (world.app.directory(), &world.organization);
    let grant = || Write::operator(acme.id);
    let removed = async |address: &str| {
        let by = MemberRef::Email(address.parse().unwrap());
        let member = directory
            .member(Read::operator(acme.id), by, false)
            .await
            .unwrap();
        let revoked = directory.revoke_member(grant(), member.id, None);
        revoked.await.unwrap();
    };
    removed("viewer.07@example.com").await;
    for number in 0..60 {
        let address = format!("user{number}@example.com");
        world.app.member(acme, &address).await;
        removed(&address).await;
    }
    let page = get(&world.app, &format!("{PEOPLE}?show=removed"), &cookie)
        .await
        .body;
    assert!(page.contains("Viewer 07"), "{page}");
    assert!(!page.contains("user1@example.com"), "{page}");
    // And on the next page, if there are more.
    for number in 10..60 {
        removed(&format!("viewer.{number}@example.com")).await;
    }
    let first = get(&world.app, &format!("{PEOPLE}?show=removed"), &cookie)
        .await
        .body;
    assert!(
        first.contains("Viewer 10") && !first.contains("Viewer 07"),
        "{first}"
    );
    let (_, next) = first.split_once("show=removed&#38;since=").unwrap();
    let place = next.split('"').next().unwrap().replace("&#38;", "&");
    let next = format!("{PEOPLE}?show=removed&since={place}");
    // However much later: who looks at a page for a second goes on in the same list.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let next = get(&world.app, &next, &cookie).await.body;
    assert!(
        next.contains("Viewer 07") && !next.contains("Viewer 10"),
        "{next}"
    );
}

#[tokio::test]
async fn a_form_of_another_site_or_session_changes_nothing() {
    let world = World::new(Form::Apart).await;
    let cookie = sign_in(&world, "ada.lovelace@example.com").await;
    let other = sign_in(&world, "otto.owner@example.com").await;
    let id = world.answer("id", "grace.hopper@example.com").await;
    let path = format!("{PEOPLE}/{id}");
    let page = get(&world.app, &path, &cookie).await.body;
    let (csrf, etag) = (hidden(&page, "csrf"), hidden(&page, "etag"));
    let body = |csrf: &str| format!("csrf={csrf}&etag={etag}&role=viewer");
    let foreign = hidden(&get(&world.app, &path, &other).await.body, "csrf");
    for csrf in ["", "nonsense", &foreign] {
        let answer = Answer::of(form(&world.app, &path, &cookie, body(csrf))).await;
        assert_eq!(answer.status, 403, "{answer:?}");
        assert_guarded(&answer.headers);
    }
    for (header, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example.com"),
    ] {
        let request = form(&world.app, &path, &cookie, body(&csrf)).header(header, value);
        assert_eq!(Answer::of(request).await.status, 403, "{header}: {value}");
    }
    assert_eq!(world.answer("role", "grace.hopper@example.com").await, "admin");

    let answer = Answer::of(form(&world.app, &path, &cookie, body(&csrf))).await;
    assert_eq!(answer.status, 303, "{answer:?}");
    assert_eq!(world.answer("role", "grace.hopper@example.com").await, "viewer");
}

#[tokio::test]
async fn without_a_session_there_are_no_people_and_the_cookie_goes() {
    let world = World::new(Form::Embedded).await;
    let key = world
        .app
        .key(&world.organization, &[userbridge::domain::Scope::DirectoryWrite])
        .await;
    for cookie in [
        "",
        "userbridge_session=ubs_unknown",
        &format!("userbridge_session={key}"),
    ] {
        let answer = get(&world.app, PEOPLE, cookie).await;
        assert_eq!(answer.status, 401, "{cookie}: {answer:?}");
        assert!(!answer.body.contains("Ada"), "{answer:?}");
        let gone = answer.headers["set-cookie"].to_str().unwrap();
        assert!(
            gone.starts_with("userbridge_session=;") && gone.contains("Max-Age=0"),
            "{gone}"
        );
    }
}

#[tokio::test]
async fn a_code_works_once_and_not_for_a_head_request() {
    let world = World::new(Form::Apart).await;
    let code = world.code("ada.lovelace@example.com").await;
    let path = format!("{PEOPLE}?code={code}");
    let head = Answer::of(world.app.request(Method::HEAD, &path)).await;
    assert_eq!(head.status, 204, "{head:?}");
    let first = get(&world.app, &path, "").await;
    assert_eq!(first.status, 303, "{first:?}");
    for used in [
        path.as_str(),
        &format!("{PEOPLE}?code=never"),
        &format!("{PEOPLE}?code="),
    ] {
        let answer = get(&world.app, used, "").await;
        assert_eq!(answer.status, 401, "{answer:?}");
        assert!(answer.body.contains("This link has been used"), "{answer:?}");
        assert!(!answer.headers.contains_key("set-cookie"), "{answer:?}");
    }
}

#[tokio::test]
async fn a_form_without_what_our_pages_send_is_refused_and_no_server_error() {
    let world = World::new(Form::Embedded).await;
    let cookie = sign_in(&world, "ada.lovelace@example.com").await;
    let id = world.answer("id", "grace.hopper@example.com").await;
    let page = get(&world.app, &format!("{PEOPLE}/{id}"), &cookie).await.body;
    let (csrf, etag) = (hidden(&page, "csrf"), hidden(&page, "etag"));
    for (path, fields) in [
        ("", format!("etag={etag}")),
        ("", format!("etag={etag}&role=king")),
        ("", format!("etag={etag}&role=viewer&team=x")),
        ("", "role=viewer".to_owned()),
        ("", "role=viewer&etag=nonsense".to_owned()),
        ("/disable", "etag=".to_owned()),
        ("/remove", String::new()),
    ] {
        let body = format!("csrf={csrf}&{fields}");
        let answer = Answer::of(form(&world.app, &format!("{PEOPLE}/{id}{path}"), &cookie, body)).await;
        assert_eq!(answer.status, 400, "{path} {fields}: {answer:?}");
    }
    let body = format!("csrf={csrf}&role=viewer&text={}", "x".repeat(70_000));
    let answer = Answer::of(form(&world.app, &format!("{PEOPLE}/{id}"), &cookie, body)).await;
    assert_eq!(answer.status, 413, "{answer:?}");
}

#[tokio::test]
async fn a_password_page_is_got_as_often_as_wanted_and_names_nobody() {
    let world = World::new(Form::Apart).await;
    let token = world.password_link("grace.hopper@example.com").await;
    let path = format!("/set-password?token={token}");
    for _ in 0..3 {
        let answer = get(&world.app, &path, "").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_guarded(&answer.headers);
        assert!(
            !answer.body.contains("Grace") && !answer.body.contains("grace"),
            "{answer:?}"
        );
    }
    let set = |password: &str, repeated: &str| {
        let body = format!("token={token}&password={password}&repeated={repeated}");
        Answer::of(form(&world.app, "/set-password", "", body))
    };
    assert_eq!(set("short", "short").await.status, 422);
    assert_eq!(set("password1", "password1").await.status, 422);
    assert_eq!(set("quite+a+long+one", "another").await.status, 422);
    let done = set("quite+a+long+one", "quite+a+long+one").await;
    assert_eq!(done.status, 200, "{done:?}");
    // From then on it is like a link that never was.
    let used = set("quite+a+long+one", "quite+a+long+one").await;
    let unknown = get(&world.app, "/set-password?token=ubp_unknown", "").await;
    assert_eq!((used.status, &used.body), (410, &unknown.body));
    assert_eq!(get(&world.app, &path, "").await.body, unknown.body);
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_a_page_that_says_when_to_try_again_and_ends_no_session() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let gateway = router(Upstream::connect(nobody.parse().unwrap()), &Settings::default());
    let request = http::Request::get(PEOPLE).header("cookie", "userbridge_session=ubs_any");
    let response = gateway
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    assert_eq!(response.status(), 503);
    assert_guarded(response.headers());
    let wait = response.headers()["retry-after"].to_str().unwrap();
    assert!(wait.parse::<u32>().unwrap() > 0);
    assert!(!response.headers().contains_key("set-cookie"), "{response:?}");
    let page = axum::body::to_bytes(response.into_body(), 100_000).await.unwrap();
    let page = String::from_utf8(page.to_vec()).unwrap();
    assert!(page.contains("The directory can\u{2019}t be reached"), "{page}");
}
