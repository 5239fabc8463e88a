//! The listener for those who watch the server: when there is one, and what holds it up.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::net::TcpStream;

use crate::support::{
    database,
    process::{Process, Serve, serve},
    wire::{Reply, Wire},
};

const METRICS: &[u8] = b"GET /metrics HTTP/1.1\r\nhost: test\r\n\r\n";

fn admin_addr(serve: &Serve) -> SocketAddr {
    serve.announced["admin_addr"].as_str().unwrap().parse().unwrap()
}

/// None: the connection was closed without an answer.
async fn get(wire: &mut Wire, request: &[u8]) -> Option<Reply> {
    wire.send(request).await;
    wire.reply().await
}

#[tokio::test]
async fn nothing_is_counted_aloud_unless_an_address_is_given_for_it() {
    let (_folder, url) = database();
    let server = Serve::start(&url);
    assert_eq!(server.announced["admin_addr"], Value::Null);
    for addr in [server.http_addr, server.grpc_addr] {
        let mut wire = Wire::open(addr).await;
        wire.send(METRICS).await;
        let reply = wire.any_reply().await.unwrap();
        assert!(
            !String::from_utf8_lossy(&reply.body).contains("userbridge_"),
            "{reply:?}"
        );
    }
}

#[tokio::test]
async fn metrics_are_at_the_address_that_is_said_and_nothing_else_is_there() {
    let (_folder, url) = database();
    let mut process = Process::start(
        serve()
            .args(["--database-url", &url])
            .env("USERBRIDGE_ADMIN_ADDR", "127.0.0.1:0"),
    );
    let _grpc = process.line();
    let _json = process.line();
    let line = process.line();
    let addr = line.trim_end().strip_prefix("metrics on http://").unwrap();
    let addr = addr.strip_suffix("/metrics").unwrap().parse().unwrap();
    let mut wire = Wire::open(addr).await;
    let reply = get(&mut wire, METRICS).await.unwrap();
    assert_eq!(reply.status, 200);
    assert!(
        String::from_utf8(reply.body)
            .unwrap()
            .contains("# TYPE userbridge_mails_sent_total counter\n")
    );
    for (request, status) in [
        ("GET / HTTP/1.1", 404),
        ("GET /api/external/v1/ping HTTP/1.1", 404),
        ("GET /cloud-views/user-management-portal/users HTTP/1.1", 404),
        ("DELETE /metrics HTTP/1.1", 405),
    ] {
        let reply = get(&mut wire, format!("{request}\r\nhost: test\r\n\r\n").as_bytes()).await;
        assert_eq!(reply.unwrap().status, status, "{request}");
    }
    process.terminate();
    assert!(process.wait().success());
}

#[tokio::test]
async fn who_watches_is_answered_while_clients_have_taken_all_connections_and_is_bounded_as_well() {
    let (_folder, url) = database();
    let server = Serve::start_with(&[
        "--database-url",
        &url,
        "--max-connections",
        "2",
        "--admin-addr",
        "127.0.0.1:0",
    ]);
    // One address gets half of them.
    let _taken = TcpStream::connect(server.http_addr).await.unwrap();
    let mut refused = Wire::open(server.http_addr).await;
    assert!(get(&mut refused, METRICS).await.is_none());
    let mut watching = Vec::new();
    for _ in 0..8 {
        let mut wire = Wire::open(admin_addr(&server)).await;
        assert_eq!(get(&mut wire, METRICS).await.unwrap().status, 200);
        watching.push(wire);
    }
    let mut refused = Wire::open(admin_addr(&server)).await;
    assert!(get(&mut refused, METRICS).await.is_none());
}

#[test]
fn an_admin_address_that_is_taken_is_an_error_that_names_it() {
    let (_folder, url) = database();
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    let output = serve()
        .args(["--database-url", &url, "--admin-addr", &taken])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.starts_with(&format!("error: cannot listen on {taken}: ")),
        "{said}"
    );
}
