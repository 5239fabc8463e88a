//! What proxies say of a client.

use std::net::SocketAddr;

use axum::{Extension, Router, routing::get};
use serde_json::Value;
use tokio::net::TcpListener;
use userbridge::{
    domain::{Email, Idempotency, LinkRequest, MemberPatch, Role},
    service::Write,
};
use userbridge_gateway::{
    Settings, Upstream,
    listen::{self, ClientAddr, ConnectionLimit, ForwardedHeader, Limits, Listener, TrustedProxies},
    router,
};

use super::{Place, key};
use crate::support::{
    Form, TestApp, first,
    process::userbridge,
    wire::{Reply, Wire},
};

/// The headers that a proxy adds to what a client has sent.
const FORWARDED: &str = "x-forwarded-for: 203.0.113.1, 198.51.100.7\r\nx-forwarded-proto: https\r\n\
                         x-forwarded-host: api.example.com\r\n";

async fn ask(addr: SocketAddr, head: &str) -> Reply {
    let mut wire = Wire::open(addr).await;
    wire.send(format!("{head}\r\n\r\n").as_bytes()).await;
    wire.any_reply().await.unwrap()
}

/// The first page of Feedier's list, asked for with more headers.
async fn links(place: &Place, key: &str, headers: &str) -> Value {
    let organizations = userbridge(&place.url, &["org", "list", "--json"]).json();
    let organization = organizations[0]["id"].as_str().unwrap().to_owned();
    let head = format!(
        "GET /v3/users HTTP/1.1\r\nhost: inside:8080\r\nauthorization: Bearer {key}\r\n\
         x-tenant-id: {organization}\r\n{headers}accept: application/json"
    );
    let reply = ask(place.serve.http_addr, &head).await;
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(reply.status, 200, "{body}");
    body["links"]["first"].clone()
}

async fn redirect(place: &Place, headers: &str) -> String {
    let head =
        format!("POST /api/external/v1/ping/ HTTP/1.1\r\nhost: inside:8080\r\n{headers}content-length: 0");
    let reply = ask(place.serve.http_addr, &head).await;
    assert_eq!(reply.status, 307);
    reply.header("location").unwrap().to_owned()
}

async fn hsts(place: &Place, headers: &str) -> Option<String> {
    let head = format!("GET /set-password HTTP/1.1\r\nhost: inside:8080\r\n{headers}accept: text/html");
    let reply = ask(place.serve.http_addr, &head).await;
    reply.header("strict-transport-security").map(str::to_owned)
}

#[tokio::test]
async fn links_redirects_and_pages_are_as_the_client_reached_a_trusted_proxy() {
    let place = Place::start(|serve| {
        serve.env("USERBRIDGE_TRUSTED_PROXIES", "10.0.0.0/8,127.0.0.1");
    });
    let key = key(&place.url, "directory.read");
    let public = "https://api.example.com/v3/users?page=1";
    assert_eq!(links(&place, &key, FORWARDED).await, public);
    assert_eq!(
        links(&place, &key, "").await,
        "http://inside:8080/v3/users?page=1"
    );
    let public = "https://api.example.com/api/external/v1/ping";
    assert_eq!(redirect(&place, FORWARDED).await, public);
    // The other header is the client's.
    let other = "forwarded: for=198.51.100.7;proto=https;host=evil.example.com\r\n";
    let inside = "http://inside:8080/api/external/v1/ping";
    assert_eq!(redirect(&place, other).await, inside);
    assert_eq!(hsts(&place, FORWARDED).await.as_deref(), Some("max-age=31536000"));
    assert_eq!(hsts(&place, "").await, None);
}

#[tokio::test]
async fn a_browser_that_has_come_by_https_keeps_its_session_for_https() {
    const PEOPLE: &str = "/cloud-views/user-management-portal/users";
    let app = TestApp::start(Form::Embedded).await;
    let organization = app.organization("acme").await;
    let grant = Write::operator(organization.id);
    let link = LinkRequest {
        values: MemberPatch {
            email: Some(Some(Email::new("owner@acme.example.com").unwrap())),
            role: Some(Some(Role::Owner)),
            ..MemberPatch::default()
        },
        ..LinkRequest::default()
    };
    let linked = app
        .directory()
        .link_member(grant.clone(), link, Idempotency::never());
    let owner = first(linked.await.unwrap()).member;
    let upstream = format!("http://{}", app.server.grpc_addr).parse().unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = socket.local_addr().unwrap();
    let proxies = TrustedProxies::new(["127.0.0.1".parse().unwrap()], ForwardedHeader::default());
    tokio::spawn(listen::serve(
        Listener::from(socket).behind(proxies),
        router(Upstream::connect(upstream), &Settings::default()),
        Limits::new(ConnectionLimit::new(16)),
        std::future::pending(),
    ));
    for (headers, begins, ends) in [
        ("", "userbridge_session=", "SameSite=Lax"),
        (FORWARDED, "__Secure-userbridge_session=", "; Secure"),
    ] {
        let code = app.directory().issue_handover_code(grant.clone(), owner.id);
        let code = code.await.unwrap().secret.reveal().to_owned();
        let reply = ask(
            addr,
            &format!("GET {PEOPLE}?code={code} HTTP/1.1\r\n{headers}host: inside"),
        )
        .await;
        let cookie = reply.header("set-cookie").unwrap().to_owned();
        assert!(cookie.starts_with(begins) && cookie.ends_with(ends), "{cookie}");
        let (session, _) = cookie.split_once(';').unwrap();
        let head = format!("GET {PEOPLE} HTTP/1.1\r\n{headers}host: inside\r\ncookie: {session}");
        assert_eq!(ask(addr, &head).await.status, 200);
    }
}

#[tokio::test]
async fn whom_nobody_trusts_is_not_believed() {
    for trusted in ["", "--trusted-proxies=198.51.100.0/24"] {
        let place = Place::start(|serve| {
            serve.args([trusted].iter().filter(|flag| !flag.is_empty()));
        });
        let key = key(&place.url, "directory.read");
        let inside = "http://inside:8080/v3/users?page=1";
        assert_eq!(links(&place, &key, FORWARDED).await, inside);
        let inside = "http://inside:8080/api/external/v1/ping";
        assert_eq!(redirect(&place, FORWARDED).await, inside);
        assert_eq!(hsts(&place, FORWARDED).await, None);
    }
}

#[tokio::test]
async fn every_request_has_the_address_of_its_client() {
    for (header, headers, client) in [
        (ForwardedHeader::XForwarded, "", "127.0.0.1"),
        (ForwardedHeader::XForwarded, FORWARDED, "198.51.100.7"),
        (
            ForwardedHeader::XForwarded,
            "x-forwarded-for: 127.0.0.1, 198.51.100.7, 127.0.0.1\r\n",
            "198.51.100.7",
        ),
        (ForwardedHeader::Forwarded, FORWARDED, "127.0.0.1"),
        (
            ForwardedHeader::Forwarded,
            "forwarded: for=\"[2001:db8::7]:80\"\r\n",
            "2001:db8::7",
        ),
    ] {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = socket.local_addr().unwrap();
        let who = async |Extension(ClientAddr(address)): Extension<ClientAddr>| address.to_string();
        let routes = Router::new().route("/", get(who));
        let proxies = TrustedProxies::new(["127.0.0.1".parse().unwrap()], header);
        let listener = Listener::from(socket).behind(proxies);
        let limits = Limits::new(ConnectionLimit::new(16));
        let serving = tokio::spawn(listen::serve(listener, routes, limits, std::future::pending()));
        let reply = ask(addr, &format!("GET / HTTP/1.1\r\n{headers}host: test")).await;
        assert_eq!(String::from_utf8(reply.body).unwrap(), client, "{headers}");
        serving.abort();
    }
}
