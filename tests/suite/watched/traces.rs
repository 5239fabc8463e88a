//! Spans: what a collector receives, and what becomes of requests when it does not.

use std::{fmt::Write as _, time::Duration};

use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::TcpListener;

use super::{
    RETRIEVE, World,
    collector::{Collector, attribute},
};
use crate::support::{proto::users_v1::PingRequest, with_key};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn named<'s>(spans: &'s [Span], name: &str) -> Option<&'s Span> {
    spans.iter().find(|span| span.name == name)
}

#[tokio::test]
async fn a_request_to_the_gateway_is_one_trace_down_to_the_storage() {
    let mut collector = Collector::start().await;
    // Nothing is sampled unless its caller says so.
    let world = World::start(|command| {
        command.args(["--otlp-endpoint", &collector.endpoint(), "--trace-ratio", "0"])
    });
    let parent = format!("00-{TRACE}-{CALLER}-01");
    let answer = world
        .retrieve()
        .header("traceparent", parent)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    let gateway_name = format!("POST {RETRIEVE}");
    let rpc_name = "userbridge.users.v1.UserService/Retrieve";
    let spans = collector
        .spans(|spans| named(spans, &gateway_name).is_some())
        .await;
    let (gateway, rpc, storage) = (
        named(&spans, &gateway_name).unwrap(),
        named(&spans, rpc_name).unwrap(),
        named(&spans, "key_and_member").unwrap(),
    );
    assert_eq!(spans.len(), 3, "{spans:?}");
    for span in &spans {
        assert_eq!(hex(&span.trace_id), TRACE);
    }
    assert_eq!(hex(&gateway.parent_span_id), CALLER);
    assert_eq!(rpc.parent_span_id, gateway.span_id);
    assert_eq!(storage.parent_span_id, rpc.span_id);
    assert_eq!(attribute(gateway, "http.route"), Some(RETRIEVE));
    assert_eq!(attribute(gateway, "http.response.status_code"), Some("200"));
    assert_eq!(attribute(rpc, "rpc.grpc.status_code"), Some("OK"));

    // On the other listener as well; and neither who says no, nor who says nothing.
    let mut users = world.users().await;
    let ping = async |users: &mut super::UserServiceClient<_>, parent: Option<String>| {
        let mut request = with_key(PingRequest {}, &world.public_key);
        if let Some(parent) = parent {
            request
                .metadata_mut()
                .insert("traceparent", parent.parse().unwrap());
        }
        users.ping(request).await.unwrap();
    };
    ping(&mut users, None).await;
    ping(&mut users, Some(format!("00-{TRACE}-{CALLER}-00"))).await;
    ping(&mut users, Some(format!("00-{TRACE}-00f067aa0ba902b8-01"))).await;
    let ping_name = "userbridge.users.v1.UserService/Ping";
    let spans = collector.spans(|spans| named(spans, ping_name).is_some()).await;
    let pings: Vec<_> = spans.iter().filter(|span| span.name == ping_name).collect();
    assert_eq!(pings.len(), 1);
    assert_eq!(hex(&pings[0].parent_span_id), "00f067aa0ba902b8");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_all_requests_a_share_is_traced_and_the_last_spans_are_sent_at_the_end() {
    let mut collector = Collector::start().await;
    let mut world = World::start(|command| {
        command.args(["--otlp-endpoint", &collector.endpoint(), "--trace-ratio", "1"])
    });
    for _ in 0..20 {
        assert_eq!(world.retrieve().send().await.unwrap().status(), 200);
    }
    world.serve.process.terminate();
    assert!(world.serve.process.wait().success());
    let spans = collector.spans(|spans| spans.len() >= 60).await;
    let roots = spans.iter().filter(|span| span.parent_span_id.is_empty());
    assert_eq!(roots.count(), 20);
}

#[tokio::test]
async fn a_collector_that_hangs_or_is_gone_costs_nothing_and_the_end_is_not_waited_for() {
    let hanging = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addrs = [hanging.local_addr().unwrap(), gone.local_addr().unwrap()];
    drop(gone);
    for addr in addrs {
        let endpoint = format!("http://{addr}");
        let mut world =
            World::start(|command| command.args(["--otlp-endpoint", &endpoint, "--trace-ratio", "1"]));
        let memory = async || world.scrape().await.value("process_resident_memory_bytes", &[]);
        let flood = async |requests: u32| {
            for _ in 0..requests {
                assert_eq!(world.retrieve().send().await.unwrap().status(), 200);
            }
        };
        // More spans than may wait.
        flood(2500).await;
        let before = memory().await;
        flood(2500).await;
        let after = memory().await;
        assert!(after < before * 1.5, "{before} {after}");
        world.serve.process.terminate();
        let ended = tokio::task::spawn_blocking(move || world.serve.process.wait());
        let ended = tokio::time::timeout(Duration::from_secs(30), ended).await;
        assert!(ended.expect("it ends").unwrap().success());
    }
}
