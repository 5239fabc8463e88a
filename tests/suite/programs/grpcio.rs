//! The gRPC side by grpcio, the Python client: health, reflection (v1alpha), and calls built from what reflection says.

use std::process::Command;

use serde_json::json;

use super::{
    demo::Demo,
    tools::{Needs, Ran, available, python, run, script},
};

const SERVICE: &str = "userbridge.users.v1.UserService";

#[test]
fn grpcio_is_told_the_health_of_the_server_and_of_each_service() {
    if !available(&[Needs::Python("grpc_health.v1.health_pb2_grpc")]) {
        return;
    }
    let demo = Demo::start();
    let health = run(Command::new(python()).arg(script("grpcio/health.py")).args([
        &demo.grpc_addr,
        SERVICE,
        "no.such.Service",
    ]));
    assert_eq!(
        health.json(),
        json!({ "": "SERVING", SERVICE: "SERVING", "no.such.Service": "NOT_FOUND" })
    );
}

#[test]
fn grpcio_finds_services_and_messages_by_reflection() {
    if !available(&[Needs::GRPCURL]) {
        return;
    }
    let demo = Demo::start();
    let services = grpcurl(&demo, &[], &["list"]).ok();
    for service in [
        SERVICE,
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    ] {
        assert!(services.lines().any(|line| line == service), "{services}");
    }
    let methods = grpcurl(&demo, &[], &["list", SERVICE]).ok();
    let expected = ["Retrieve", "Delete", "Ping"].map(|method| format!("{SERVICE}.{method}"));
    assert_eq!(methods.lines().collect::<Vec<_>>(), expected);
    let user = grpcurl(&demo, &[], &["describe", "userbridge.users.v1.User"]).ok();
    assert_eq!(user.matches("\nfield {").count(), 9, "{user}");
}

#[test]
fn grpcio_retrieves_a_user_without_generated_code() {
    if !available(&[Needs::GRPCURL]) {
        return;
    }
    let demo = Demo::start();
    let bearer = format!("authorization: Bearer {}", demo.key);
    let method = format!("{SERVICE}/Retrieve");
    let by_email = r#"{"email":"sally@acme.example.com"}"#;
    let user = grpcurl(&demo, &["-H", &bearer, "-d", by_email], &[&method]).json();
    assert_eq!(user["user"]["userId"], *demo.user_id);

    let refused = grpcurl(&demo, &["-d", by_email], &[&method]);
    assert_eq!(refused.code, Some(64 + 16), "{refused:?}");
    assert!(refused.stderr.contains("Code: UNAUTHENTICATED"), "{refused:?}");
    let unknown = r#"{"email":"Sally@acme.example.com"}"#;
    let not_found = grpcurl(&demo, &["-H", &bearer, "-d", unknown], &[&method]);
    assert_eq!(not_found.code, Some(64 + 5), "{not_found:?}");
    // Details in words, not in base64: reflection knows their types.
    assert!(
        not_found.stderr.contains(r#""reason": "USER_NOT_FOUND""#),
        "{not_found:?}"
    );
    let malformed = grpcurl(&demo, &["-H", &bearer, "-d", r#"{"userId":"sally"}"#], &[&method]);
    assert!(
        malformed.stderr.contains(r#""field": "user_id""#),
        "{malformed:?}"
    );
    for (symbol, file) in [
        ("google.rpc.RetryInfo", "google/rpc/error_details.proto"),
        ("google.rpc.Status", "google/rpc/status.proto"),
    ] {
        let described = grpcurl(&demo, &[], &["describe", symbol]).ok();
        assert!(described.contains(&format!("# {file}")), "{described}");
    }
}

fn grpcurl(demo: &Demo, options: &[&str], what: &[&str]) -> Ran {
    run(Command::new(python())
        .arg(script("grpcio/grpcurl.py"))
        .arg("-plaintext")
        .args(options)
        .arg(&demo.grpc_addr)
        .args(what))
}
