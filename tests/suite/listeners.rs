//! What clients can hold of the listeners before anybody knows who they are.

use std::{
    fs::{self, File},
    net::{IpAddr, SocketAddr},
    process::Command,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
    time::{sleep, timeout},
};
use tonic::{Request, transport::Endpoint};
use userbridge::rpc::Services;
use userbridge_gateway::{
    Upstream,
    listen::{self, Limits, Places},
    router,
};

use crate::support::{
    database,
    process::{Serve, serve},
    proto::users_v1::{PingRequest, user_service_client::UserServiceClient},
    skip,
};

/// Long enough for anything that ends at all.
const NEVER: Duration = Duration::from_secs(25);

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";

/// A listener for gRPC and one for JSON, of a server that is starting for ever.
async fn listeners(limits: Limits) -> [SocketAddr; 2] {
    let services = Services::new().await;
    let grpc = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addrs = [&grpc, &http].map(|listener| listener.local_addr().unwrap());
    let gateway = router(Upstream::in_process(services.published()));
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
        ..Limits::new(Places::new(100))
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
    let [grpc, http] = listeners(Limits::new(Places::new(4))).await;
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
    let said = || {
        let text = fs::read_to_string(&log).unwrap();
        text.matches("accepting connections fails").count()
    };
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
