//! Clients that take their time.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Extension, Router,
    body::{Body, Bytes},
    routing::get,
};
use futures_util::stream;
use prometheus_client::{encoding::text::encode, registry::Registry};
use tokio::{
    net::TcpListener,
    time::{sleep, timeout},
};
use tokio_stream::StreamExt as _;
use tonic::transport::Endpoint;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use userbridge::rpc::Services;
use userbridge_gateway::listen::{self, ConnectionLimit, Endless, Limits, ListenerMetrics};

use super::NEVER;
use crate::support::wire::Wire;

const SHORT: Duration = Duration::from_millis(400);

fn patient() -> Limits {
    Limits::new(ConnectionLimit::new(100))
}

/// A body that is being sent.
struct Sent(Arc<AtomicUsize>);

impl Drop for Sent {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A server of bodies without end, and how many are being sent.
async fn endless(limits: Limits) -> (SocketAddr, Arc<AtomicUsize>) {
    let bodies = Arc::new(AtomicUsize::new(0));
    let count = bodies.clone();
    let body = move || {
        count.fetch_add(1, Ordering::Relaxed);
        let sent = Sent(count.clone());
        let chunks = stream::repeat_with(move || {
            let _ = &sent;
            Ok::<_, Infallible>(Bytes::from_static(&[b'x'; 4096]))
        });
        std::future::ready(Body::from_stream(chunks))
    };
    let routes = Router::new().route("/", get(body));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(listen::serve(listener, routes, limits, std::future::pending()));
    (addr, bodies)
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answer_is_cut() {
    let limits = Limits {
        request: SHORT,
        ..patient()
    };
    let (addr, bodies) = endless(limits).await;
    let mut wire = Wire::open(addr).await;
    wire.send(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").await;
    assert_eq!(wire.head().await.unwrap().status, 200);
    assert_eq!(bodies.load(Ordering::Relaxed), 1);
    let cut = async {
        while bodies.load(Ordering::Relaxed) > 0 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(NEVER, cut).await.expect("it is sent for ever");
}

#[tokio::test]
async fn a_client_that_does_not_send_its_request_to_the_end_is_cut() {
    let limits = Limits {
        request: SHORT,
        ..patient()
    };
    let services = Services::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let routes = services.routes().unwrap();
    tokio::spawn(listen::serve(listener, routes, limits, std::future::pending()));
    let mut wire = Wire::open(addr).await;
    let head = "POST /grpc.health.v1.Health/Check HTTP/1.1\r\nhost: test\r\ncontent-type: application/grpc\r\n\
                content-length: 9\r\n\r\n";
    wire.send(head.as_bytes()).await;
    assert!(timeout(NEVER, wire.is_closed()).await.expect("it stays open"));
}

/// A server of health, and a count of its connections.
async fn health(limits: Limits) -> (HealthClient<tonic::transport::Channel>, impl Fn(&str) -> bool) {
    let mut registry = Registry::default();
    let counts = ListenerMetrics::new(&mut registry).of("grpc");
    let services = Services::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let routes = services.routes().unwrap();
    let limits = Limits { counts, ..limits };
    tokio::spawn(listen::serve(listener, routes, limits, std::future::pending()));
    let channel = Endpoint::from_shared(format!("http://{addr}"))
        .unwrap()
        .connect_lazy();
    let counted = move |line: &str| {
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        text.contains(line)
    };
    (HealthClient::new(channel), counted)
}

#[tokio::test]
async fn a_connection_without_requests_ends_and_the_next_request_makes_a_new_one() {
    let (mut client, counted) = health(Limits {
        idle: SHORT,
        ..patient()
    })
    .await;
    for round in 1..=2 {
        client.check(HealthCheckRequest::default()).await.unwrap();
        let ended = async {
            while !counted("connections_open{listener=\"grpc\"} 0\n") {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(NEVER, ended).await.expect("it stays open");
        assert!(counted(&format!(
            "connections_overdue_total{{listener=\"grpc\"}} {round}\n"
        )));
    }
}

#[tokio::test]
async fn a_stream_goes_on_for_as_long_as_it_is_wanted() {
    let (mut client, counted) = health(Limits {
        idle: SHORT,
        request: SHORT,
        ..patient()
    })
    .await;
    let mut watch = client
        .watch(HealthCheckRequest::default())
        .await
        .unwrap()
        .into_inner();
    watch.message().await.unwrap().unwrap();
    let next = timeout(SHORT * 4, watch.message()).await;
    assert!(next.is_err(), "it has ended: {next:?}");
    assert!(counted("connections_overdue_total{listener=\"grpc\"} 0\n"));
    drop(watch);
}

#[tokio::test]
async fn an_answer_that_goes_on_while_it_is_taken_ends_when_it_is_not() {
    // What the server takes its time for counts for nothing.
    let chunks = async || {
        let chunks = stream::repeat(Ok::<_, Infallible>(Bytes::from(vec![b'x'; 1_000_000]))).take(12);
        let chunks = chunks.throttle(SHORT / 2);
        (Extension(Endless::WhileTaken), Body::from_stream(chunks))
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let mut registry = Registry::default();
    let limits = Limits {
        request: SHORT,
        untaken: SHORT,
        counts: ListenerMetrics::new(&mut registry).of("http"),
        ..patient()
    };
    let routes = Router::new().route("/", get(chunks));
    tokio::spawn(listen::serve(listener, routes, limits, std::future::pending()));
    let answer = reqwest::get(format!("http://{addr}/")).await.unwrap();
    assert_eq!(answer.bytes().await.unwrap().len(), 12_000_000);
    let overdue = || {
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        text.contains("connections_overdue_total{listener=\"http\"} 1\n")
    };
    assert!(!overdue());
    let mut unread = Wire::open(addr).await;
    unread.send(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").await;
    let cut = async {
        while !overdue() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(NEVER, cut).await.expect("it is sent for ever");
}
