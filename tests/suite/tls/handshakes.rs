//! Connections that never come to a request.

use std::time::Duration;

use axum::{Router, routing::get};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    time::timeout,
};
use userbridge_gateway::listen::{self, ConnectionLimit, Limits, Listener, PlainHttp, Tls, TlsFiles};

use super::authority::Authority;

/// Long enough for anything that ends at all.
const NEVER: Duration = Duration::from_secs(25);

#[tokio::test]
async fn who_never_ends_the_handshake_is_cut_and_holds_nobody_up() {
    let authority = Authority::new();
    let folder = authority.folder();
    let tls = Tls::start(TlsFiles {
        cert: folder.path().join("cert.pem"),
        key: folder.path().join("key.pem"),
        client_ca: None,
    });
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = socket.local_addr().unwrap();
    let listener = Listener::from(socket).with_tls(Some(tls.unwrap()), PlainHttp::Redirected);
    let limits = Limits {
        first_request: Duration::from_millis(300),
        // Half of them are for one address.
        ..Limits::new(ConnectionLimit::new(12))
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let routes = Router::new().route("/", get(async || "here"));
    let serving = tokio::spawn(listen::serve(listener, routes, limits, async {
        let _ = stopped.await;
    }));
    let mut silent = Vec::new();
    for sent in [
        &b""[..],
        // The head of a record, and a part of it.
        b"\x16\x03\x01\x02\x00\x01",
        b"\x16\x03",
        b"GET / HT",
        b"PRI * HTTP/2.0\r\n",
    ] {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.write_all(sent).await.unwrap();
        silent.push(stream);
    }
    // The last place of this address, again and again.
    for _ in 0..5 {
        let mut stream = authority.connect(addr, "http/1.1").await;
        let request = b"GET / HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("here"), "{answer}");
        drop(stream);
    }
    for mut stream in silent {
        let mut answer = Vec::new();
        let read = timeout(NEVER, stream.read_to_end(&mut answer)).await;
        // Whether it was closed or reset.
        let _ = read.expect("it stays open");
    }
    // Nor does it hold up the end.
    let _silent = TcpStream::connect(addr).await.unwrap();
    let mut asking = authority.connect(addr, "http/1.1").await;
    asking
        .write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(asking.read_u8().await.unwrap(), b'H');
    drop(stop);
    timeout(NEVER, serving).await.expect("it ends").unwrap();
}
