//! A server that has as many requests as it takes.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use futures_util::stream;
use serde_json::json;
use sqlx::{Connection as _, SqliteConnection};
use tokio::{net::TcpListener, time::timeout};
use tonic::{
    Code, Status, Streaming,
    transport::{Channel, Endpoint},
};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::v1::{ServerReflectionResponse, server_reflection_client::ServerReflectionClient};
use userbridge::rpc::Services;
use userbridge_gateway::{
    Settings, Upstream,
    listen::{self, ConnectionLimit, ForwardedHeader, Limits, Listener, TrustedProxies},
    router,
};

use super::{NEVER, assert_limited};
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

/// Addresses of this machine: of two clients.
const CLIENTS: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::LOCALHOST),
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)),
];

/// Requests of a client that have begun and do not go on.
async fn begun(from: IpAddr, addr: SocketAddr, headers: &str) -> [Wire; 2] {
    let begin = async || {
        let mut wire = Wire::open_from(from, addr).await;
        let head = format!(
            "POST {PING} HTTP/1.1\r\nhost: test\r\n{headers}content-length: 9\r\nexpect: 100-continue\r\n\r\n"
        );
        wire.send(head.as_bytes()).await;
        // It has its place.
        assert_eq!(wire.head().await.unwrap().status, 100);
        wire
    };
    [begin().await, begin().await]
}

/// What a client is answered who asks for nothing in particular.
async fn status(from: IpAddr, addr: SocketAddr, headers: &str) -> u16 {
    let mut wire = Wire::open_from(from, addr).await;
    let head = format!("GET /v3/users HTTP/1.1\r\nhost: test\r\n{headers}\r\n");
    wire.send(head.as_bytes()).await;
    wire.any_reply().await.unwrap().status
}

/// Waits until a client is refused.
async fn refused(from: IpAddr, addr: SocketAddr, headers: &str) {
    let refused = async { while status(from, addr, headers).await != 503 {} };
    timeout(NEVER, refused)
        .await
        .expect("there is room for everybody");
}

#[tokio::test]
async fn one_client_takes_half_of_the_places_and_leaves_the_others_to_others() {
    let limits = Limits {
        requests: 4,
        ..Limits::new(ConnectionLimit::new(100))
    };
    let app = TestApp::start_within(Form::Embedded, limits.clone()).await;
    let [one, other] = CLIENTS;
    let slow = begun(one, app.http_addr, "").await;
    refused(one, app.http_addr, "").await;
    assert_eq!(status(other, app.http_addr, "").await, 401);
    // Whom it names is nobody's word.
    assert_eq!(
        status(one, app.http_addr, "x-forwarded-for: 198.51.100.8\r\n").await,
        503
    );
    drop(slow);
    let again = async { while status(one, app.http_addr, "").await == 503 {} };
    timeout(NEVER, again).await.expect("places are given back");

    let endpoint = Endpoint::from_shared(format!("http://{}", app.server.grpc_addr)).unwrap();
    let client = |from| HealthClient::new(endpoint.clone().local_address(Some(from)).connect_lazy());
    let [mut one, mut other] = CLIENTS.map(client);
    let watch = async |of: &mut HealthClient<_>| of.watch(HealthCheckRequest::default()).await;
    let _held = [watch(&mut one).await.unwrap(), watch(&mut one).await.unwrap()];
    let refused = watch(&mut one).await.map(drop).unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    let _held = [watch(&mut other).await.unwrap(), watch(&mut other).await.unwrap()];
}

#[tokio::test]
async fn whom_a_trusted_proxy_names_has_half_of_the_places_whoever_else_is_behind_it() {
    let limits = Limits {
        requests: 4,
        ..Limits::new(ConnectionLimit::new(100))
    };
    let services = Services::new().await;
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = socket.local_addr().unwrap();
    let [proxy, _] = CLIENTS;
    let proxies = TrustedProxies::new(["127.0.0.1".parse().unwrap()], ForwardedHeader::default());
    let gateway = router(Upstream::in_process(services.published()), &Settings::default());
    let listener = Listener::from(socket).behind(proxies);
    tokio::spawn(listen::serve(listener, gateway, limits, std::future::pending()));
    let _slow = begun(proxy, addr, "x-forwarded-for: 198.51.100.7\r\n").await;
    refused(proxy, addr, "x-forwarded-for: 198.51.100.7\r\n").await;
    let behind = async |client: &str| {
        let header = format!("x-forwarded-for: {client}\r\n");
        status(proxy, addr, &header).await
    };
    assert_eq!(behind("198.51.100.8").await, 401);
    let _slow = begun(proxy, addr, "x-forwarded-for: 2001:db8::1\r\n").await;
    refused(proxy, addr, "x-forwarded-for: 2001:db8::2\r\n").await;
}

/// Asks nothing of reflection, for as long as it may.
async fn reflect(channel: Channel) -> Result<Streaming<ServerReflectionResponse>, Status> {
    let mut reflection = ServerReflectionClient::new(channel);
    let answers = reflection.server_reflection_info(stream::pending());
    Ok(answers.await?.into_inner())
}

#[tokio::test]
async fn streams_without_a_key_are_few_for_each_address() {
    let limits = Limits {
        request: Duration::from_secs(2),
        ..Limits::new(ConnectionLimit::new(100))
    };
    let app = TestApp::start_within(Form::Embedded, limits).await;
    let endpoint = Endpoint::from_shared(format!("http://{}", app.server.grpc_addr)).unwrap();
    let channel = |from| endpoint.clone().local_address(Some(from)).connect_lazy();
    let [one, other] = CLIENTS.map(channel);

    let watch = async |channel: &Channel| {
        let mut health = HealthClient::new(channel.clone());
        health.watch(HealthCheckRequest::default()).await
    };
    let mut watches = Vec::new();
    for _ in 0..250 {
        watches.push(watch(&one).await.unwrap());
    }
    assert_limited(&watch(&one).await.map(drop).unwrap_err(), "OVERLOADED");
    let mut health = HealthClient::new(one.clone());
    health.check(HealthCheckRequest::default()).await.unwrap();
    drop(watch(&other).await.unwrap());
    drop(watches);
    let again = async { while watch(&one).await.is_err() {} };
    timeout(NEVER, again).await.expect("places are given back");

    let [one, other] = CLIENTS.map(channel);
    let mut streams = Vec::new();
    for _ in 0..16 {
        streams.push(reflect(one.clone()).await.unwrap());
    }
    assert_limited(&reflect(one.clone()).await.map(drop).unwrap_err(), "OVERLOADED");
    drop(reflect(other).await.unwrap());
    // It is no stream without end.
    let mut first = streams.swap_remove(0);
    let ended = timeout(NEVER, first.message())
        .await
        .expect("it goes on for ever");
    assert!(ended.is_err(), "{ended:?}");
}

#[tokio::test]
async fn probes_and_metrics_are_answered_by_a_server_that_is_full() {
    let limits = Limits {
        requests: 4,
        ..Limits::new(ConnectionLimit::new(100))
    };
    let app = TestApp::start_within(Form::Embedded, limits).await;
    let mut slow = Vec::new();
    for client in CLIENTS {
        slow.extend(begun(client, app.http_addr, "").await);
    }
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

    let endpoint = Endpoint::from_shared(format!("http://{}", app.server.grpc_addr)).unwrap();
    let client = |from| HealthClient::new(endpoint.clone().local_address(Some(from)).connect_lazy());
    let [mut health, mut other] = CLIENTS.map(client);
    let mut watches = Vec::new();
    for client in [&mut health, &mut other] {
        for _ in 0..2 {
            watches.push(client.watch(HealthCheckRequest::default()).await.unwrap());
        }
    }
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
    drop((slow, watches));
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
    let slow = begun(CLIENTS[0], app.http_addr, "").await;
    let ping = async || app.ping_json(json!({ "api_key": acme.key }).to_string()).await;
    // Once it is seen that nothing of their bodies has come.
    let served = timeout(NEVER, async { while ping().await.status != 200 {} });
    served.await.expect("they take all places");

    // A change that waits is worked on.
    let mut other = SqliteConnection::connect(app.database_url()).await.unwrap();
    let lock = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let body = json!({ "api_key": acme.key, "user_id": user.user_id.to_string() }).to_string();
    let length = body.len();
    let head = format!(
        "POST /api/external/v1/users/delete HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    let mut wire = loop {
        let mut wire = Wire::open(app.http_addr).await;
        wire.send(head.as_bytes()).await;
        // The ping before may have its place for a moment after its answer has come.
        match timeout(Duration::from_millis(200), wire.reply()).await {
            Ok(refused) => assert_eq!(refused.unwrap().status, 503),
            Err(_) => break wire,
        }
    };
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
    let served = timeout(NEVER, async { while ping().await.status != 200 {} });
    served.await.expect("it keeps its place");
    drop(slow);
}
