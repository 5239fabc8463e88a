//! Pages of other origins: gRPC-Web on the gRPC port, and which origins may call.

use std::{fs, process::Command};

use reqwest::Method;
use serde_json::json;

use crate::{
    programs::{
        demo::Demo,
        tools::{Needs, available, chromium, npm, run, script},
    },
    support::{port::Port, proto::DESCRIPTORS},
};

const RETRIEVE: &str = "/userbridge.users.v1.UserService/Retrieve";

#[test]
fn a_page_of_an_allowed_origin_calls_in_grpc_web_and_one_of_another_can_not() {
    let needs = ["playwright-core", "@connectrpc/connect-web", "@bufbuild/protobuf"].map(Needs::Npm);
    if !available(&needs) || !available(&[Needs::Chromium]) {
        return;
    }
    let port = Port::reserve().unwrap();
    let console = port.addr().port();
    let demo = Demo::start_with(&["--cors-origin", &format!("http://localhost:{console}")]);
    let folder = tempfile::tempdir().unwrap();
    let descriptors = folder.path().join("descriptors.bin");
    fs::write(&descriptors, DESCRIPTORS).unwrap();
    let found = run(Command::new("node")
        .arg(script("grpcweb/page.mjs"))
        .env("USERBRIDGE_TEST_NPM", npm())
        .env("USERBRIDGE_TEST_CHROMIUM", chromium())
        .env("USERBRIDGE_CONSOLE_PORT", console.to_string())
        .env("USERBRIDGE_DESCRIPTORS", descriptors)
        .env("USERBRIDGE_GRPC_URL", format!("http://{}", demo.grpc_addr))
        .env("USERBRIDGE_URL", demo.url())
        .env("USERBRIDGE_API_KEY", &demo.key))
    .json();
    let allowed = &found["localhost"];
    assert_eq!(allowed["user"]["user"]["userId"], *demo.user_id, "{found:#}");
    assert_eq!(
        allowed["nobody"],
        json!({ "code": "NotFound", "message": "user not found" })
    );
    assert_eq!(allowed["document"], "3.1.0");
    let refused = &found["127.0.0.1"];
    for call in ["user", "nobody"] {
        assert_eq!(refused[call]["message"], "Failed to fetch", "{found:#}");
    }
    assert_eq!(refused["document"], "TypeError");
}

#[tokio::test]
async fn no_origin_is_allowed_unless_it_is_said() {
    let demo = Demo::start();
    for url in [demo.url(), format!("http://{}", demo.grpc_addr)] {
        let answer = preflight(&format!("{url}{RETRIEVE}"), "https://console.example.com").await;
        assert_eq!(answer.headers().get("access-control-allow-origin"), None, "{url}");
    }
}

#[tokio::test]
async fn every_origin_is_allowed_by_a_star_and_none_with_credentials() {
    let demo = Demo::start_with(&["--cors-origin", "*"]);
    for url in [demo.url(), format!("http://{}", demo.grpc_addr)] {
        let answer = preflight(&format!("{url}{RETRIEVE}"), "https://console.example.com").await;
        assert_eq!(answer.status(), 200);
        let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap());
        assert_eq!(header("access-control-allow-origin"), Some("*"), "{url}");
        assert_eq!(
            header("access-control-allow-headers"),
            Some("authorization,x-grpc-web")
        );
        assert_eq!(header("access-control-allow-credentials"), None);
    }
    // Pages answer their own origin alone.
    for page in ["/set-password", "/cloud-views/user-management-portal/users"] {
        let url = format!("{}{page}", demo.url());
        let asked = preflight(&url, "https://console.example.com").await;
        let got = reqwest::Client::new()
            .get(&url)
            .header("origin", "https://console.example.com");
        for answer in [asked, got.send().await.unwrap()] {
            assert_eq!(
                answer.headers().get("access-control-allow-origin"),
                None,
                "{page}"
            );
            assert!(
                answer.headers().contains_key("content-security-policy"),
                "{answer:?}"
            );
        }
    }
}

/// What a browser asks before it calls.
async fn preflight(url: &str, origin: &str) -> reqwest::Response {
    let client = reqwest::Client::new();
    client
        .request(Method::OPTIONS, url)
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,x-grpc-web")
        .send()
        .await
        .unwrap()
}
