//! The gateway as a program of its own, and without a directory behind it.

use tokio::{net::TcpListener, task::spawn_blocking};
use userbridge_gateway::{
    Settings, Upstream,
    listen::{self, ConnectionLimit, Limits},
    router,
};

use super::{PING, SALLY, body};
use crate::support::{
    Form, TestApp,
    process::{Process, command, gateway_program},
    skip,
    wire::Wire,
};

#[tokio::test]
async fn the_gateway_program_serves_what_it_finds_upstream() {
    let Some(program) = gateway_program() else {
        return skip("userbridge-gateway is not built; run the tests with --workspace");
    };
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.tenant("acme").await;
    app.member(&acme.organization, SALLY).await;
    let upstream = format!("http://{}", app.server.grpc_addr);
    let start = move || {
        let mut process =
            Process::start(command(program).args(["--http-addr", "127.0.0.1:0", "--upstream", &upstream]));
        let line = process.line();
        (process, line)
    };
    let (mut process, line) = spawn_blocking(start).await.unwrap();
    let base = line
        .trim_end()
        .strip_prefix("JSON on ")
        .expect("it says where it serves");
    let ask = || {
        let request = app.http.post(format!("{base}{}", super::RETRIEVE));
        let request = request.header("content-type", "application/json");
        request.body(body(&acme.key, "email", SALLY)).send()
    };
    let answer = ask().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.text().await.unwrap().contains(SALLY));

    process.terminate();
    let status = spawn_blocking(move || process.wait()).await.unwrap();
    assert!(status.success(), "{status}");
    assert!(ask().await.is_err());
}

#[tokio::test]
async fn without_a_directory_the_gateway_says_when_to_come_back() {
    // A port that nobody listens on.
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = format!("http://{}", taken.local_addr().unwrap());
    drop(taken);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let gateway = router(Upstream::connect(upstream.parse().unwrap()), &Settings::default());
    let limits = Limits::new(ConnectionLimit::new(10));
    tokio::spawn(listen::serve(listener, gateway, limits, std::future::pending()));

    let mut wire = Wire::open(addr).await;
    let reply = wire
        .post(PING, "application/json", br#"{"api_key":"pb_any"}"#)
        .await
        .unwrap();
    assert_eq!(reply.status, 503);
    assert_eq!(reply.body, br#"{"detail":{"error":"service unavailable"}}"#);
    assert!(reply.header("retry-after").unwrap().parse::<u32>().unwrap() >= 1);
    // What needs no directory is answered without one.
    let reply = wire.post(PING, "application/json", b"{}").await.unwrap();
    assert_eq!(reply.status, 401);
    let reply = wire.post(PING, "application/json", b"[").await.unwrap();
    assert_eq!(reply.status, 422);
}
