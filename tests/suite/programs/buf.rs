//! The gRPC side by buf: the rules of the protos, reflection (v1), and calls built from what reflection says.

use std::process::Command;

use super::{
    demo::Demo,
    tools::{Needs, Ran, available, buf, root, run},
};

const SERVICE: &str = "userbridge.users.v1.UserService";

#[test]
fn the_protos_keep_the_rules_of_buf_lint() {
    if !available(&[Needs::Buf]) {
        return;
    }
    let lint = run(Command::new(buf()).arg("lint").current_dir(root()));
    assert_eq!(lint.ok(), "");
}

#[test]
fn buf_finds_services_and_methods_by_reflection() {
    if !available(&[Needs::Buf]) {
        return;
    }
    let demo = Demo::start();
    let services = curl(&demo, "", &["--list-services"]).ok();
    for service in [
        SERVICE,
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
    ] {
        assert!(services.lines().any(|line| line == service), "{services}");
    }
    let methods = curl(&demo, "", &["--list-methods"]).ok();
    for method in ["Retrieve", "Delete", "Ping"] {
        let name = format!("{SERVICE}/{method}");
        assert!(methods.lines().any(|line| line == name), "{methods}");
    }
}

#[test]
fn buf_retrieves_a_user_by_what_reflection_says() {
    if !available(&[Needs::Buf]) {
        return;
    }
    let demo = Demo::start();
    let method = format!("/{SERVICE}/Retrieve");
    let by_id = format!(r#"{{"userId":"{}"}}"#, demo.user_id);
    let bearer = format!("authorization: Bearer {}", demo.key);
    let user = curl(&demo, &method, &["--header", &bearer, "--data", &by_id]).json();
    assert_eq!(user["user"]["email"], "sally@acme.example.com");

    let refused = curl(
        &demo,
        &method,
        &["--header", "authorization: Bearer pb_no", "--data", &by_id],
    );
    assert_ne!(refused.code, Some(0), "{refused:?}");
    let error: serde_json::Value =
        serde_json::from_str(&refused.stderr).expect("buf prints the error as JSON");
    assert_eq!(error["code"], "unauthenticated");
    assert_eq!(error["details"][0]["type"], "google.rpc.ErrorInfo");
}

fn curl(demo: &Demo, path: &str, options: &[&str]) -> Ran {
    run(Command::new(buf())
        .args([
            "curl",
            "--http2-prior-knowledge",
            "--protocol",
            "grpc",
            "--reflect-protocol",
            "grpc-v1",
        ])
        .args(options)
        .arg(format!("http://{}{path}", demo.grpc_addr)))
}
