//! A server that has as many requests as it takes.

use std::net::SocketAddr;

use serde_json::json;
use sqlx::{Connection as _, SqliteConnection};
use tokio::time::timeout;
use tonic::{Code, transport::Endpoint};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use userbridge_gateway::listen::{ConnectionLimit, Limits};

use super::NEVER;
use crate::support::{
    Form, TestApp,
    wire::{Reply, Wire},
};

const PING: &str = "/api/external/v1/ping";

async fn get(addr: SocketAddr, path: &str) -> Reply {
    let mut wire = Wire::open(addr).await;
    wire.send(format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").as_bytes())
        .await;
    wire.any_reply().await.unwrap()
}

/// A request that has begun and does not go on.
async fn begun(addr: SocketAddr) -> Wire {
    let mut wire = Wire::open(addr).await;
    let head = format!("POST {PING} HTTP/1.1\r\nhost: test\r\ncontent-length: 9\r\n\r\n");
    wire.send(head.as_bytes()).await;
    wire
}

#[tokio::test]
async fn probes_and_metrics_are_answered_by_a_server_that_is_full() {
    let limits = Limits {
        requests: 2,
        ..Limits::new(ConnectionLimit::new(100))
    };
    let app = TestApp::start_within(Form::Embedded, limits).await;
    let slow = [begun(app.http_addr).await, begun(app.http_addr).await];
    let refused = timeout(NEVER, async {
        loop {
            // Once they have arrived.
            let reply = get(app.http_addr, "/v3/users").await;
            if reply.status == 503 {
                return reply;
            }
        }
    });
    assert_eq!(refused.await.unwrap().header("retry-after"), Some("1"));

    let endpoint = format!("http://{}", app.server.grpc_addr);
    let channel = Endpoint::from_shared(endpoint).unwrap().connect_lazy();
    let mut health = HealthClient::new(channel);
    let first = health.watch(HealthCheckRequest::default()).await.unwrap();
    let second = health.watch(HealthCheckRequest::default()).await.unwrap();
    assert_eq!(app.ping("pb_no").await.unwrap_err().code(), Code::Unavailable);

    for _ in 0..100 {
        for path in ["/healthz", "/readyz"] {
            assert_eq!(get(app.http_addr, path).await.status, 200, "{path}");
        }
        let check = health.check(HealthCheckRequest::default()).await.unwrap();
        assert_eq!(check.get_ref().status(), ServingStatus::Serving);
    }
    let metrics = get_all(app.server.admin_addr.unwrap(), "/metrics").await;
    for listener in ["http", "grpc"] {
        let shed = format!(r#"userbridge_requests_shed_total{{listener="{listener}"}} "#);
        let line = metrics.lines().find_map(|line| line.strip_prefix(&shed));
        assert!(line.unwrap().parse::<u32>().unwrap() > 0);
    }
    drop((slow, first, second));
}

async fn get_all(addr: SocketAddr, path: &str) -> String {
    let answer = reqwest::get(format!("http://{addr}{path}")).await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.text().await.unwrap()
}

#[tokio::test]
async fn more_than_may_be_worked_on_is_refused_at_once_and_who_sends_slowly_is_not_worked_on() {
    let limits = Limits {
        working: 1,
        ..Limits::new(ConnectionLimit::new(100))
    };
    let app = TestApp::start_within(Form::Embedded, limits).await;
    let acme = app.tenant("acme").await;
    let user = app.member(&acme.organization, "sally@acme.example.com").await;
    let slow = [begun(app.http_addr).await, begun(app.http_addr).await];
    let ping = async || app.ping_json(json!({ "api_key": acme.key }).to_string()).await;
    // Once it is seen that nothing of their bodies has come.
    let served = timeout(NEVER, async { while ping().await.status != 200 {} });
    served.await.expect("they take all places");

    // A change that waits is worked on.
    let mut other = SqliteConnection::connect(app.database_url()).await.unwrap();
    let lock = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let body = json!({ "api_key": acme.key, "user_id": user.user_id.to_string() }).to_string();
    let mut wire = Wire::open(app.http_addr).await;
    let length = body.len();
    let head = format!(
        "POST /api/external/v1/users/delete HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    wire.send(head.as_bytes()).await;
    let refused = timeout(NEVER, async {
        loop {
            let answer = ping().await;
            if answer.status == 503 {
                return answer;
            }
        }
    });
    assert_eq!(refused.await.unwrap().headers["retry-after"], "1");
    assert_eq!(get(app.http_addr, "/healthz").await.status, 200);
    lock.rollback().await.unwrap();
    assert_eq!(wire.reply().await.unwrap().status, 200);
    assert_eq!(ping().await.status, 200);
    drop(slow);
}
