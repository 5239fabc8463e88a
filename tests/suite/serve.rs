//! `userbridge serve`, as a process.

use std::{fs, io, net::TcpListener, process::Stdio};

use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::{
    cli::assert_one_line,
    support::{
        database,
        process::{Finished, Process, Serve, serve, userbridge},
        wire::Wire,
    },
};

const SALLY: &str = "sally@acme.example.com";
const RETRIEVE: &str = "/api/external/v1/users/retrieve";

#[tokio::test]
async fn a_running_server_sees_what_the_command_line_changes() {
    let (_folder, url) = database();
    let serve = Serve::start(&url);
    // It listens to the pipe of another process: so no need to leave the thread.
    let run = |arguments: &[&str]| userbridge(&url, arguments).json();
    run(&["org", "create", "acme", "--json"]);
    let key = run(&[
        "key",
        "create",
        "--org",
        "acme",
        "--scope",
        "public_api",
        "--json",
    ]);
    let key = key["key"].as_str().unwrap();
    let sally = run(&["member", "link", "--org", "acme", "--email", SALLY, "--json"]);
    let ask = async |key: &str| {
        let body = json!({ "api_key": key, "email": SALLY }).to_string();
        let mut wire = Wire::open(serve.http_addr).await;
        wire.post(RETRIEVE, "application/json", body.as_bytes())
            .await
            .unwrap()
    };
    let reply = ask(key).await;
    assert_eq!(reply.status, 200);
    assert_eq!(serde_json::from_slice::<Value>(&reply.body).unwrap(), sally);

    run(&["member", "revoke", "--org", "acme", "--email", SALLY, "--json"]);
    assert_eq!(ask(key).await.status, 404);
    run(&["member", "link", "--org", "acme", "--email", SALLY, "--json"]);
    assert_eq!(ask(key).await.status, 200);

    let new = run(&["key", "rotate", "--org", "acme", "--json"]);
    assert_eq!(ask(key).await.status, 401);
    assert_eq!(ask(new["key"].as_str().unwrap()).await.status, 200);
    run(&["key", "revoke", "--org", "acme", "--json"]);
    assert_eq!(ask(new["key"].as_str().unwrap()).await.status, 401);
}

#[test]
fn serve_on_an_address_that_is_taken_fails_in_one_line() {
    let (_folder, url) = database();
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    for (grpc, http) in [(taken.as_str(), "127.0.0.1:0"), ("127.0.0.1:0", taken.as_str())] {
        let finished = userbridge(&url, &["serve", "--grpc-addr", grpc, "--http-addr", http]);
        assert_eq!((finished.code, finished.stdout.as_str()), (1, ""), "{finished:?}");
        assert_one_line(&finished.stderr);
        assert!(finished.stderr.contains(&taken), "{}", finished.stderr);
    }
}

#[test]
fn a_log_setting_that_is_not_understood_is_an_error_that_names_it() {
    let (folder, url) = database();
    let output = serve()
        .args(["--database-url", &url])
        .env("USERBRIDGE_LOG", "nonsense")
        .output()
        .unwrap();
    let finished = Finished::from(output);
    assert_eq!((finished.code, finished.stdout.as_str()), (2, ""), "{finished:?}");
    assert_one_line(&finished.stderr);
    assert!(
        finished.stderr.contains(r#"USERBRIDGE_LOG="nonsense""#),
        "{finished:?}"
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// A log on a full disk, and one whose reader is gone.
#[tokio::test]
async fn a_log_that_cannot_be_written_ends_nothing() {
    let full = || Stdio::from(fs::File::options().write(true).open("/dev/full").unwrap());
    let unread = || Stdio::from(io::pipe().unwrap().1);
    for stderr in [full(), unread()] {
        let (_folder, url) = database();
        let mut command = serve();
        command
            .args(["--database-url", &url, "--access-log", "on"])
            .env("USERBRIDGE_LOG", "info");
        let mut serve = Serve::start_as(command.stderr(stderr));
        for _ in 0..3 {
            let mut wire = Wire::open(serve.http_addr).await;
            let reply = wire.post(RETRIEVE, "application/json", b"{}").await.unwrap();
            assert_eq!(reply.status, 422);
        }
        serve.process.terminate();
        assert!(serve.process.wait().success());
    }
}

#[test]
fn serve_says_for_people_where_it_serves() {
    let (_folder, url) = database();
    let mut serve = Process::start(
        serve()
            .args(["--database-url", &url])
            .env("USERBRIDGE_LOG", "off"),
    );
    let grpc = serve.line();
    let http = serve.line();
    let port = |line: &str, before: &str| -> u16 {
        let port = line.trim_end().strip_prefix(before).unwrap();
        port.parse().unwrap()
    };
    assert_ne!(port(&grpc, "gRPC on 127.0.0.1:"), 0);
    assert_ne!(port(&http, "JSON on http://127.0.0.1:"), 0);
    serve.terminate();
    assert!(serve.wait().success());
}

#[tokio::test]
async fn the_demo_works_with_what_it_prints() {
    let serve = Serve::start_with(&["--demo"]);
    let demo = &serve.announced["demo"];
    let (key, user, email) = (&demo["key"], &demo["user_id"], &demo["email"]);
    let mut wire = Wire::open(serve.http_addr).await;
    for (path, body, status) in [
        ("ping", json!({ "api_key": key }), 200),
        ("users/retrieve", json!({ "api_key": key, "email": email }), 200),
        ("users/retrieve", json!({ "api_key": key, "user_id": user }), 200),
        ("users/delete", json!({ "api_key": key, "user_id": user }), 200),
        ("users/retrieve", json!({ "api_key": key, "user_id": user }), 404),
    ] {
        let path = format!("/api/external/v1/{path}");
        let reply = wire
            .post(&path, "application/json", body.to_string().as_bytes())
            .await
            .unwrap();
        assert_eq!(reply.status, status, "{path}");
    }
}

#[test]
fn the_demo_prints_lines_to_paste_and_may_be_started_again() {
    let (_folder, url) = database();
    let mut keys = Vec::new();
    for _ in 0..2 {
        let mut serve = Process::start(
            serve()
                .args(["--demo", "--database-url", &url])
                .env("USERBRIDGE_LOG", "off"),
        );
        let mut text = String::new();
        while !text.contains("users/delete") {
            let line = serve.line();
            assert_ne!(line, "", "it ended after {text}");
            text.push_str(&line);
        }
        let (_, key) = text.split_once("USERBRIDGE_API_KEY=").unwrap();
        keys.push(key.lines().next().unwrap().to_owned());
        for command in [
            "curl -X POST http://127.0.0.1:",
            "grpcurl -plaintext",
            "users/retrieve",
        ] {
            assert!(text.contains(command), "{text}");
        }
        serve.terminate();
        assert!(serve.wait().success());
    }
    assert_ne!(keys[0], keys[1]);
    let keys = userbridge(&url, &["key", "list", "--org", "acme", "--json"]).json();
    assert_eq!(keys.as_array().unwrap().len(), 2);
    let members = userbridge(&url, &["member", "list", "--org", "acme", "--json"]).json();
    assert!(members.as_array().unwrap().len() >= 3);
}

/// A request whose body never comes, so that the server would wait for it.
async fn unfinished(server: &Serve) -> Wire {
    let mut wire = Wire::open(server.http_addr).await;
    let head = format!(
        "POST {RETRIEVE} HTTP/1.1\r\nhost: test\r\nexpect: 100-continue\r\ncontent-length: 100\r\n\r\n"
    );
    wire.send(head.as_bytes()).await;
    // The server reads the body now.
    assert_eq!(wire.head().await.unwrap().status, 100);
    wire
}

#[tokio::test]
async fn a_second_signal_ends_the_server_at_once() {
    let (_folder, url) = database();
    let mut server = Serve::start_with(&["--database-url", &url, "--drain-seconds", "3600"]);
    let mut wire = unfinished(&server).await;
    server.process.terminate();
    // It accepts nobody any more: so the first signal has arrived.
    while TcpStream::connect(server.http_addr).await.is_ok() {
        tokio::task::yield_now().await;
    }
    server.process.signal("INT");
    assert!(wire.is_closed().await);
    assert!(server.process.wait().success());
}

#[tokio::test]
async fn requests_in_flight_are_cut_after_the_drain_time() {
    let (_folder, url) = database();
    let mut server = Serve::start_with(&["--database-url", &url, "--drain-seconds", "0"]);
    let mut wire = unfinished(&server).await;
    server.process.terminate();
    assert!(wire.is_closed().await);
    assert!(server.process.wait().success());
}

#[tokio::test]
async fn a_hangup_ends_nothing() {
    let (_folder, url) = database();
    let mut server = Serve::start(&url);
    server.process.signal("HUP");
    let mut wire = Wire::open(server.http_addr).await;
    let reply = wire.post(RETRIEVE, "application/json", b"{}").await.unwrap();
    assert_eq!(reply.status, 422);
    server.process.terminate();
    assert!(server.process.wait().success());
}
