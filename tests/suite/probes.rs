//! `/healthz` and `/readyz`: what they say, and what they cost.

use std::{net::SocketAddr, time::Duration};

use sqlx::{Connection as _, SqliteConnection};
use tokio::{
    task::{JoinSet, spawn_blocking},
    time::{Instant, sleep},
};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::support::{
    Form, TestApp, database,
    engine::{Engine as _, Postgres},
    gateway_tests,
    process::{Process, Serve, command, gateway_program},
    skip,
    wire::{Reply, Wire},
};

const READY: (u16, &[u8]) = (200, b"ok\n");
const NOT_READY: (u16, &[u8]) = (503, b"not ready\n");

/// Longer than anything takes that ends at all.
const NEVER: Duration = Duration::from_secs(40);

const PAUSE: Duration = Duration::from_millis(20);

async fn get(addr: SocketAddr, path: &str) -> Reply {
    let mut wire = Wire::open(addr).await;
    wire.send(format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n").as_bytes())
        .await;
    wire.reply().await.unwrap()
}

async fn says(addr: SocketAddr, path: &str, (status, body): (u16, &[u8])) {
    let reply = get(addr, path).await;
    assert_eq!((reply.status, reply.body.as_slice()), (status, body), "{path}");
}

/// Returns when it says so.
async fn until(addr: SocketAddr, expected: (u16, &[u8])) {
    let begin = Instant::now();
    while get(addr, "/readyz").await.status != expected.0 {
        assert!(begin.elapsed() < NEVER);
        sleep(PAUSE).await;
    }
    says(addr, "/readyz", expected).await;
}

fn admin_addr(serve: &Serve) -> SocketAddr {
    serve.announced["admin_addr"].as_str().unwrap().parse().unwrap()
}

gateway_tests!(what_can_not_be_written_is_not_ready_and_still_alive);

async fn what_can_not_be_written_is_not_ready_and_still_alive(app: TestApp) {
    let admin = app.server.admin_addr.unwrap();
    let json = app.http_addr;
    for addr in [json, admin] {
        says(addr, "/healthz", READY).await;
        says(addr, "/readyz", READY).await;
    }
    let mut other = SqliteConnection::connect(app.database_url()).await.unwrap();
    let lock = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    // Nobody writes: it finds out by trying.
    for addr in [json, admin] {
        until(addr, NOT_READY).await;
        says(addr, "/healthz", READY).await;
    }
    lock.rollback().await.unwrap();
    for addr in [json, admin] {
        until(addr, READY).await;
    }
}

#[tokio::test]
async fn what_can_not_be_written_to_postgresql_is_not_ready() {
    let Some(engine) = Postgres::new().await else {
        return;
    };
    let serve = Serve::start_with(&["--database-url", engine.url(), "--admin-addr", "127.0.0.1:0"]);
    let mut other = engine.connect().await;
    let mut lock = other.begin().await.unwrap();
    sqlx::query("LOCK TABLE address_locks IN EXCLUSIVE MODE")
        .execute(&mut *lock)
        .await
        .unwrap();
    for addr in [serve.http_addr, admin_addr(&serve)] {
        until(addr, NOT_READY).await;
        says(addr, "/healthz", READY).await;
    }
    lock.rollback().await.unwrap();
    for addr in [serve.http_addr, admin_addr(&serve)] {
        until(addr, READY).await;
    }
}

#[tokio::test]
async fn it_is_tried_once_a_second_however_many_ask() {
    async fn written(connection: &mut SqliteConnection) -> i64 {
        let (_, frames, _): (i64, i64, i64) = sqlx::query_as("PRAGMA wal_checkpoint (NOOP)")
            .fetch_one(connection)
            .await
            .unwrap();
        frames
    }

    let app = TestApp::start(Form::Embedded).await;
    let addr = app.http_addr;
    let mut other = SqliteConnection::connect(app.database_url()).await.unwrap();
    says(addr, "/readyz", READY).await;
    let (before, begin) = (written(&mut other).await, Instant::now());
    let mut asking = JoinSet::new();
    for _ in 0..20 {
        asking.spawn(async move {
            for _ in 0..50 {
                says(addr, "/readyz", READY).await;
            }
        });
    }
    asking.join_all().await;
    let tries = written(&mut other).await - before;
    let seconds = i64::try_from(begin.elapsed().as_secs()).unwrap();
    assert!(tries <= seconds + 1, "{tries} in {seconds} s");
    // And it is tried again.
    let before = written(&mut other).await;
    let begin = Instant::now();
    while written(&mut other).await == before {
        assert!(begin.elapsed() < NEVER);
        says(addr, "/readyz", READY).await;
    }
}

#[tokio::test]
async fn before_a_server_stops_it_says_so_and_answers_as_before() {
    let (_folder, url) = database();
    let mut serve = Serve::start_with(&[
        "--database-url",
        &url,
        "--admin-addr",
        "127.0.0.1:0",
        "--lame-duck-seconds",
        "3600",
    ]);
    let (json, admin) = (serve.http_addr, admin_addr(&serve));
    let mut kept = Wire::open(json).await;
    kept.send(b"GET /healthz HTTP/1.1\r\nhost: test\r\n\r\n").await;
    assert_eq!(kept.reply().await.unwrap().header("connection"), None);
    serve.process.terminate();
    for addr in [json, admin] {
        until(addr, NOT_READY).await;
        says(addr, "/healthz", READY).await;
    }
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{}", serve.grpc_addr))
        .unwrap()
        .connect()
        .await
        .unwrap();
    for service in ["", "userbridge.users.v1.UserService"] {
        let service = service.to_owned();
        let asked = HealthClient::new(channel.clone())
            .check(HealthCheckRequest { service })
            .await
            .unwrap();
        assert_eq!(asked.into_inner().status(), ServingStatus::NotServing);
    }
    // Who keeps a connection is told to leave it.
    let path = "/api/external/v1/users/retrieve";
    let reply = kept.post(path, "application/json", b"{}").await.unwrap();
    assert_eq!((reply.status, reply.header("connection")), (422, Some("close")));
    assert!(kept.is_closed().await);
    serve.process.signal("INT");
    assert!(serve.process.wait().success());
}

#[tokio::test]
async fn the_gateway_program_is_as_ready_as_the_directory_and_it_are() {
    let Some(program) = gateway_program() else {
        return skip("userbridge-gateway is not built; run the tests with --workspace");
    };
    let (_folder, url) = database();
    let mut serve = Serve::start(&url);
    let upstream = format!("http://{}", serve.grpc_addr);
    let start = move || {
        let mut process = Process::start(command(program).args([
            "--http-addr",
            "127.0.0.1:0",
            "--upstream",
            &upstream,
            "--lame-duck-seconds",
            "3600",
        ]));
        let line = process.line();
        (process, line)
    };
    let (mut gateway, line) = spawn_blocking(start).await.unwrap();
    let addr: SocketAddr = line
        .trim_end()
        .strip_prefix("JSON on http://")
        .unwrap()
        .parse()
        .unwrap();
    says(addr, "/readyz", READY).await;
    gateway.terminate();
    until(addr, NOT_READY).await;
    says(addr, "/healthz", READY).await;
    gateway.signal("INT");
    let ended = spawn_blocking(move || gateway.wait()).await.unwrap();
    assert!(ended.success());
    serve.process.terminate();
    assert!(serve.process.wait().success());
}

#[tokio::test]
async fn without_a_directory_the_gateway_is_alive_and_not_ready() {
    let app = TestApp::start(Form::Apart).await;
    let addr = app.http_addr;
    says(addr, "/readyz", READY).await;
    let _left = app.shutdown().await;
    says(addr, "/readyz", NOT_READY).await;
    says(addr, "/healthz", READY).await;
}
