//! What clients can hold of the listeners before anybody knows who they are.

use std::{
    fs::{self, File},
    net::{IpAddr, SocketAddr},
    process::Command,
    time::Duration,
};

use axum::body::Bytes;
use http_body_util::StreamBody;
use hyper::body::Frame;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_stream::StreamExt as _;
use tonic::{Code, Request, Status, transport::Endpoint};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_types::StatusExt as _;
use tower::{Service as _, ServiceExt as _};
use userbridge::{domain::Scope, rpc::Services};
use userbridge_gateway::{
    Settings, Upstream,
    listen::{self, ConnectionLimit, Limits},
    router,
};

use crate::support::{
    Form, TestApp, database, lines_with,
    process::{Serve, serve},
    proto::{
        directory_v1::{SetTeamMembersRequest, team_service_client::TeamServiceClient},
        users_v1::{PingRequest, user_service_client::UserServiceClient},
    },
    skip,
    wire::Wire,
    with_key,
};

/// Long enough for anything that ends at all.
const NEVER: Duration = Duration::from_secs(25);

const PING: &str = "/api/external/v1/ping";

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";

/// A listener for gRPC and one for JSON, of a server that is starting for ever.
async fn listeners(limits: Limits) -> [SocketAddr; 2] {
    let services = Services::new().await;
    let grpc = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addrs = [&grpc, &http].map(|listener| listener.local_addr().unwrap());
    let gateway = router(Upstream::in_process(services.published()), &Settings::default());
    let routes = services.routes().unwrap();
    tokio::spawn(listen::serve(
        grpc,
        routes,
        limits.clone(),
        std::future::pending(),
    ));
    tokio::spawn(listen::serve(http, gateway, limits, std::future::pending()));
    addrs
}

/// Reads until the other side closes the connection, which it does.
async fn closed(stream: &mut TcpStream) {
    let mut answer = Vec::new();
    let read = timeout(NEVER, stream.read_to_end(&mut answer)).await;
    // Whether it was closed or reset.
    let _ = read.expect("it stays open");
}

/// Whether the connection is served: an answer to HTTP/1.1 comes, whatever it is.
async fn is_served(stream: &mut TcpStream) -> bool {
    let sent = stream.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").await;
    let mut start = [0; 8];
    let read = timeout(NEVER, stream.read_exact(&mut start)).await;
    sent.is_ok() && read.expect("it hangs").is_ok() && &start == b"HTTP/1.1"
}

#[tokio::test]
async fn a_connection_without_a_request_is_cut_whatever_it_has_sent() {
    let limits = Limits {
        first_request: Duration::from_millis(300),
        ..Limits::new(ConnectionLimit::new(100))
    };
    for addr in listeners(limits).await {
        let mut silent = Vec::new();
        for sent in [
            b"".to_vec(),
            b"P".to_vec(),
            PREFACE[..12].to_vec(),
            PREFACE.to_vec(),
            [PREFACE, SETTINGS].concat(),
            b"POST / HTTP/1.1\r\nhost: te".to_vec(),
        ] {
            let mut stream = TcpStream::connect(addr).await.unwrap();
            stream.write_all(&sent).await.unwrap();
            silent.push(stream);
        }
        let mut asking = TcpStream::connect(addr).await.unwrap();
        assert!(is_served(&mut asking).await);
        let channel = Endpoint::from_shared(format!("http://{addr}")).unwrap();
        let mut calling = UserServiceClient::new(channel.connect().await.unwrap());
        let call = async |users: &mut UserServiceClient<_>| {
            // Refused one way or the other, by who is there.
            let status = users.ping(Request::new(PingRequest {})).await.unwrap_err();
            format!("{status:?}").contains("transport error")
        };
        assert!(!call(&mut calling).await);
        for mut stream in silent {
            closed(&mut stream).await;
        }
        // Who has asked once may be quiet for longer.
        let start = asking.read_u8().await;
        assert!(start.is_ok());
        asking
            .write_all(b"GET / HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n")
            .await
            .unwrap();
        closed(&mut asking).await;
        assert!(!call(&mut calling).await);
    }
}

#[tokio::test]
async fn connections_are_bounded_in_total_and_for_one_address() {
    async fn connect(from: &str, to: SocketAddr) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        let from: IpAddr = from.parse().unwrap();
        socket.bind(SocketAddr::new(from, 0)).unwrap();
        socket.connect(to).await.unwrap()
    }
    let [grpc, http] = listeners(Limits::new(ConnectionLimit::new(4))).await;
    let mut served = Vec::new();
    for (from, to) in [("127.0.0.1", grpc), ("127.0.0.1", http)] {
        let mut stream = connect(from, to).await;
        assert!(is_served(&mut stream).await);
        served.push(stream);
    }
    for to in [grpc, http] {
        assert!(
            !is_served(&mut connect("127.0.0.1", to).await).await,
            "beyond its half"
        );
    }
    for (from, to) in [("127.0.0.2", http), ("127.0.0.3", grpc)] {
        let mut stream = connect(from, to).await;
        assert!(is_served(&mut stream).await, "there is room for others");
        served.push(stream);
    }
    assert!(
        !is_served(&mut connect("127.0.0.4", http).await).await,
        "all places are taken"
    );
    served.clear();
    // The server notices a moment later.
    timeout(NEVER, async {
        while !is_served(&mut connect("127.0.0.1", grpc).await).await {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("places are given back");
}

#[tokio::test]
async fn a_head_that_is_none_is_answered_in_json() {
    let [_, http] = listeners(Limits::new(ConnectionLimit::new(100))).await;
    let long = format!(
        "GET / HTTP/1.1\r\nhost: test\r\nx: {}\r\n\r\n",
        "x".repeat(40_000)
    );
    for (sent, status) in [
        ("nothing\r\n\r\n", 400),
        ("GET /a b HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/9.9\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: x\r\n\r\n", 400),
        (&long, 431),
    ] {
        let mut wire = Wire::open(http).await;
        wire.send(sent.as_bytes()).await;
        let reply = wire.reply().await.expect(sent);
        assert_eq!(reply.status, status, "{sent}");
        assert_eq!(reply.header("content-type"), Some("application/json"));
        let body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        // As either dialect names it.
        assert!(
            body["detail"].is_string() && body["message"].is_string(),
            "{body}"
        );
    }
}

#[tokio::test]
async fn a_request_with_two_hosts_is_refused_and_the_next_one_is_answered() {
    for addr in listeners(Limits::new(ConnectionLimit::new(100))).await {
        let mut wire = Wire::open(addr).await;
        for hosts in [
            "host: a.example\r\nhost: b.example",
            "host: a.example\r\nHost: a.example",
        ] {
            wire.send(format!("GET /healthz HTTP/1.1\r\n{hosts}\r\n\r\n").as_bytes())
                .await;
            let reply = wire.reply().await.unwrap();
            assert_eq!(reply.status, 400, "{hosts}");
            assert_eq!(reply.header("content-type"), Some("application/json"));
        }
        wire.send(b"GET /healthz HTTP/1.1\r\nhost: a.example\r\n\r\n")
            .await;
        assert_ne!(wire.any_reply().await.unwrap().status, 400);
    }
}

#[tokio::test]
async fn requests_of_all_clients_together_are_bounded_until_their_answers_are_sent() {
    let limits = Limits {
        requests: 2,
        ..Limits::new(ConnectionLimit::new(100))
    };
    let [grpc, _] = listeners(limits).await;
    let watch = async |from: &str| {
        let from = Some(from.parse().unwrap());
        let channel = Endpoint::from_shared(format!("http://{grpc}")).unwrap();
        let mut health = HealthClient::new(channel.local_address(from).connect_lazy());
        health.watch(HealthCheckRequest::default()).await
    };
    let (first, second) = (
        watch("127.0.0.1").await.unwrap(),
        watch("127.0.0.2").await.unwrap(),
    );
    let refused = watch("127.0.0.3").await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    drop(first);
    // The server notices a moment later.
    let again = timeout(NEVER, async {
        loop {
            if let Ok(answer) = watch("127.0.0.3").await {
                return answer;
            }
        }
    });
    again.await.expect("places are given back");
    drop(second);
}

#[tokio::test]
async fn bodies_of_all_clients_together_are_bounded_but_small_ones_are_read() {
    let limits = Limits {
        in_flight: 100_000,
        ..Limits::new(ConnectionLimit::new(100))
    };
    let [_, http] = listeners(limits.clone()).await;
    let mut slow = Vec::new();
    for _ in 0..2 {
        let mut wire = Wire::open(http).await;
        let head = format!("POST {PING} HTTP/1.1\r\nhost: test\r\ncontent-length: 60000\r\n\r\n");
        wire.send(head.as_bytes()).await;
        wire.send(&vec![b' '; 59_999]).await;
        slow.push(wire);
    }
    let post = async |path: &str, body: &[u8]| {
        let mut wire = Wire::open(http).await;
        wire.post(path, "application/json", body).await.unwrap()
    };
    let large = vec![b' '; 60_000];
    let refused = timeout(NEVER, async {
        loop {
            let reply = post(PING, &large).await;
            if reply.status == 429 {
                return reply;
            }
        }
    });
    // Once the slow ones have arrived.
    let refused = refused.await.expect("there is room for everybody");
    assert_eq!(refused.body, br#"{"detail":{"error":"rate limit exceeded"}}"#);
    assert!(refused.header("retry-after").is_some());
    assert_eq!(post(PING, b"{}").await.status, 401);
    drop(slow);
    timeout(NEVER, async { while post(PING, &large).await.status == 429 {} })
        .await
        .expect("room is given back");

    let app = TestApp::start_within(Form::Embedded, limits).await;
    let acme = app.organization("acme").await;
    let key = app.key(&acme, &[Scope::DirectoryWrite]).await;
    let mut teams = TeamServiceClient::new(app.channel());
    let request = SetTeamMembersRequest {
        number: 1,
        member_ids: vec!["x".repeat(36); 10_000],
    };
    let status = teams.set_team_members(with_key(request, &key)).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    assert!(status.get_details_retry_info().is_some(), "{status:?}");
}

/// Requests that are answered without their bodies. The Bridge reads all of them.
const UNREAD: [&str; 7] = [
    "POST /api/external/v1/nope",
    "PUT /api/external/v1/ping",
    "POST /api/external/v1/ping/",
    "PATCH /v3/users",
    "GET /v3/users",
    "DELETE /v3/users/1",
    "POST /nope",
];

#[tokio::test]
async fn a_body_that_nobody_reads_does_not_end_the_connection() {
    let limits = Limits::new(ConnectionLimit::new(100));
    let full = Limits {
        requests: 0,
        ..limits.clone()
    };
    let ([_, http], [_, full]) = (listeners(limits).await, listeners(full).await);
    let length = |length: usize| (format!("content-length: {length}"), vec![b'x'; length]);
    let chunked = (
        "transfer-encoding: chunked".to_owned(),
        b"2\r\n{}\r\n0\r\n\r\n".to_vec(),
    );
    // Nobody is asked where there are too many requests.
    let refused = [(full, UNREAD[0])];
    for (addr, line) in UNREAD.map(|line| (http, line)).into_iter().chain(refused) {
        let mut wire = Wire::open(addr).await;
        for (header, body) in [length(20), chunked.clone(), length(60_000), length(20)] {
            let head = format!("{line} HTTP/1.1\r\nhost: test\r\n{header}\r\n\r\n");
            assert!(wire.send(head.as_bytes()).await, "{line} {header}");
            // As clients that write heads by themselves: the answer is done before the body is there.
            sleep(Duration::from_millis(2)).await;
            assert!(wire.send(&body).await, "{line} {header}");
            let reply = timeout(NEVER, wire.any_reply()).await.expect("it hangs");
            let reply = reply.unwrap_or_else(|| panic!("closed: {line} {header}"));
            assert!(
                reply.status >= 300 && reply.header("connection").is_none(),
                "{line} {reply:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_body_that_is_not_read_to_its_end_ends_the_connection_with_the_answer() {
    let [_, http] = listeners(Limits::new(ConnectionLimit::new(100))).await;
    let at_once = Duration::from_secs(2);
    let is_last = async |line: &str, header: &str, within: Duration| {
        let mut wire = Wire::open(http).await;
        let head = format!("{line} HTTP/1.1\r\nhost: test\r\n{header}\r\n\r\n");
        wire.send(head.as_bytes()).await;
        let reply = timeout(within, wire.any_reply()).await.expect(line).expect(line);
        assert_eq!(reply.header("connection"), Some("close"), "{line} {header}");
        let closed = timeout(at_once, wire.is_closed()).await;
        assert!(closed.expect(line), "{line} {header}");
    };
    for line in UNREAD {
        is_last(line, "content-length: 2000000", at_once).await;
        is_last(line, "content-length: 2\r\nexpect: 100-continue", at_once).await;
    }
    // It never comes.
    is_last(UNREAD[0], "content-length: 2", Duration::from_secs(10)).await;
}

/// Sets how many files a running process may open. False: there is no program for it here.
fn limit_open_files(pid: u32, files: usize) -> bool {
    let mut prlimit = Command::new("prlimit");
    prlimit.args([format!("--pid={pid}"), format!("--nofile={files}:")]);
    prlimit.status().is_ok_and(|status| status.success())
}

#[tokio::test]
async fn without_file_descriptors_both_listeners_wait_and_say_so_once() {
    let (folder, url) = database();
    let log = folder.path().join("log");
    let mut command = serve();
    command
        .args(["--database-url", &url])
        .env("USERBRIDGE_LOG", "warn")
        .stderr(File::create(&log).unwrap());
    let server = Serve::start_as(&mut command);
    let pid = server.process.id();
    let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    if !limit_open_files(pid, open) {
        return skip("there is no prlimit");
    }
    let mut waiting = Vec::new();
    for addr in [server.grpc_addr, server.http_addr] {
        for _ in 0..10 {
            waiting.push(TcpStream::connect(addr).await.unwrap());
        }
    }
    let said = || lines_with(&log, "accepting connections fails");
    timeout(NEVER, async {
        while said() < 2 {
            sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .expect("each of the listeners says it");
    // Each tries again in the meantime.
    sleep(Duration::from_millis(700)).await;
    assert_eq!(said(), 2);
    assert!(limit_open_files(pid, 1024));
    for mut stream in waiting {
        assert!(is_served(&mut stream).await, "who has waited is served");
    }
}

/// The beginning of a message that has `announced` bytes, of which `sent` come and then nothing more.
fn unfinished(announced: u32, sent: usize) -> tonic::body::Body {
    let prefix = [&[0][..], &announced.to_be_bytes()].concat();
    let chunks = vec![vec![b'x'; 10_000]; sent / 10_000];
    let frames = std::iter::once(prefix)
        .chain(chunks)
        .map(|bytes| Ok::<_, Status>(Frame::data(Bytes::from(bytes))));
    let body = StreamBody::new(tokio_stream::iter(frames).chain(tokio_stream::pending()));
    tonic::body::Body::new(body)
}

#[tokio::test]
async fn who_shows_no_key_makes_the_server_keep_next_to_nothing() {
    let (_folder, url) = database();
    let server = Serve::start(&url);
    let peak = || {
        let status = fs::read_to_string(format!("/proc/{}/status", server.process.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    // By hand: `USERBRIDGE_TEST_FLOOD=100x100`, connections and the streams of each.
    let flood = std::env::var("USERBRIDGE_TEST_FLOOD");
    let by_hand = flood.is_ok();
    let flood = flood.unwrap_or_else(|_| "2x100".to_owned());
    let (connections, streams) = flood.split_once('x').unwrap();
    let (connections, streams): (u32, u32) = (connections.parse().unwrap(), streams.parse().unwrap());
    let before = peak();
    // A megabyte for each stream of each of the methods.
    for path in [
        "/userbridge.directory.v1.MemberService/LinkMember",
        "/userbridge.directory.v1.TeamService/SetTeamMembers",
        "/userbridge.admin.v1.ApiKeyService/CreateApiKey",
        "/userbridge.users.v1.UserService/Retrieve",
        "/grpc.health.v1.Health/Check",
    ] {
        let mut calls = JoinSet::new();
        for _ in 0..connections {
            let channel = Endpoint::from_shared(format!("http://{}", server.grpc_addr)).unwrap();
            let channel = channel.connect().await.unwrap();
            for _ in 0..streams {
                let mut channel = channel.clone();
                let request = http::Request::post(path)
                    .header("content-type", "application/grpc")
                    .header("te", "trailers")
                    .body(unfinished(1_100_000, 1_000_000))
                    .unwrap();
                calls.spawn(async move {
                    channel.ready().await.unwrap();
                    channel.call(request).await
                });
            }
        }
        let ended = timeout(NEVER * 4, calls.join_all())
            .await
            .expect("some calls wait");
        let asked = ended.len();
        let answered: Vec<_> = ended.into_iter().filter_map(Result::ok).collect();
        // A connection may end before all of its answers are read, if there are many.
        println!("{path}: {} of {asked} answered", answered.len());
        assert!(by_hand || answered.len() == asked, "{path}");
        for response in answered {
            let status = Status::from_header_map(response.headers()).unwrap();
            assert!(
                matches!(status.code(), Code::Unauthenticated | Code::OutOfRange),
                "{path}: {status:?}"
            );
        }
    }
    let grown = peak() - before;
    println!("{flood}: from {before} KB to {grown} KB more");
    let most = if by_hand { 200_000 } else { 40_000 };
    assert!(grown < most, "{grown} KB more than before");
}
