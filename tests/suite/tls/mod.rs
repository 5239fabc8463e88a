//! TLS on the listeners, and who is believed behind proxies.

mod authority;
mod clients;
mod handshakes;
mod proxies;
mod reload;

use std::{net::SocketAddr, path::Path, process::Command};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::json;
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;
use tonic::Code;

use self::authority::{Authority, HOST, Names, SERVER};
use crate::{
    cli::assert_one_line,
    support::{
        database,
        process::{Finished, Process, Serve, command, gateway_program, serve, userbridge},
        proto::users_v1::{PingRequest, user_service_client::UserServiceClient},
        skip,
        wire::Wire,
        with_key,
    },
};

const PING: &str = "/api/external/v1/ping";

/// The flags for the certificate in a folder.
fn flags(folder: &Path) -> [String; 4] {
    let path = |name: &str| folder.join(name).display().to_string();
    [
        "--tls-cert".to_owned(),
        path("cert.pem"),
        "--tls-key".to_owned(),
        path("key.pem"),
    ]
}

/// A server on a database with one organization, and that one's keys.
struct Place {
    serve: Serve,
    public_key: String,
    url: String,
    _folder: TempDir,
}

impl Place {
    /// Starts the server with more arguments.
    fn start(change: impl FnOnce(&mut Command)) -> Self {
        let (folder, url) = database();
        userbridge(&url, &["org", "create", "acme"]);
        let public_key = key(&url, "public_api");
        let mut command = serve();
        command.args(["--database-url", &url]);
        change(&mut command);
        Self {
            serve: Serve::start_as(&mut command),
            public_key,
            url,
            _folder: folder,
        }
    }
}

fn key(url: &str, scope: &str) -> String {
    let created = userbridge(
        url,
        &["key", "create", "--org", "acme", "--scope", scope, "--json"],
    );
    created.json()["key"].as_str().unwrap().to_owned()
}

/// A request of HTTP/1.1 with the key in its body, and all of the answer.
async fn ping(mut stream: impl AsyncRead + AsyncWrite + Unpin, key: &str) -> String {
    let body = json!({ "api_key": key }).to_string();
    let request = format!(
        "POST {PING} HTTP/1.1\r\nhost: {HOST}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn both_listeners_speak_tls_with_http_1_and_2() {
    let authority = Authority::new();
    let folder = authority.folder();
    let place = Place::start(|serve| {
        serve.args(flags(folder.path()));
    });
    let stream = authority.connect(place.serve.http_addr, "http/1.1").await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let answer = ping(stream, &place.public_key).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    for addr in [place.serve.http_addr, place.serve.grpc_addr] {
        let stream = authority.connect(addr, "h2").await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    }
    let channel = authority.channel(place.serve.grpc_addr, None).await.unwrap();
    let mut users = UserServiceClient::new(channel);
    let pong = users.ping(with_key(PingRequest {}, &place.public_key)).await;
    assert_eq!(pong.unwrap().into_inner().organization_slug, "acme");
    let status = users.ping(with_key(PingRequest {}, "ub_unknown")).await;
    assert_eq!(status.unwrap_err().code(), Code::Unauthenticated);
}

#[tokio::test]
async fn who_speaks_plain_http_is_sent_to_https_or_told_so_and_nothing_is_read() {
    let authority = Authority::new();
    let folder = authority.folder();
    let place = Place::start(|serve| {
        serve.args(flags(folder.path()));
    });
    let addr = place.serve.http_addr;
    for method in ["GET", "HEAD"] {
        let mut wire = Wire::open(addr).await;
        let request = format!(
            "{method} /v3/users?page=2 HTTP/1.1\r\nhost: {HOST}:{}\r\n\r\n",
            addr.port()
        );
        wire.send(request.as_bytes()).await;
        let reply = wire.any_reply().await.unwrap();
        assert_eq!(reply.status, 308);
        let location = format!("https://{HOST}:{}/v3/users?page=2", addr.port());
        assert_eq!(reply.header("location"), Some(location.as_str()));
        assert!(reply.body.is_empty());
    }
    let mut wire = Wire::open(addr).await;
    let body = json!({ "api_key": place.public_key }).to_string();
    let reply = wire
        .post(PING, "application/json", body.as_bytes())
        .await
        .unwrap();
    assert_eq!(reply.status, 400);
    assert_eq!(
        String::from_utf8(reply.body).unwrap(),
        r#"{"detail":"This port speaks TLS","message":"This port speaks TLS"}"#
    );
    // A body that never comes is not waited for.
    let mut wire = Wire::open(addr).await;
    wire.send(b"POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 100\r\n\r\n")
        .await;
    assert_eq!(wire.reply().await.unwrap().status, 400);
    let mut wire = Wire::open(addr).await;
    wire.send(b"GET / HTTP/1.0\r\n\r\n").await;
    assert_eq!(wire.reply().await.unwrap().status, 400);
    // Nor does gRPC answer.
    let mut wire = Wire::open(place.serve.grpc_addr).await;
    wire.send(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").await;
    assert!(wire.reply().await.is_none());
}

#[test]
fn files_that_can_not_be_used_are_refused_at_the_start_in_one_line() {
    let authority = Authority::new();
    let good = authority.certify(SERVER);
    let expired = authority.certify(Names {
        expired: true,
        ..SERVER
    });
    let other = authority.certify(SERVER);
    for (cert, key, ca, said) in [
        (None, Some(&good.key), None, "cert.pem: No such file"),
        (Some(&good.cert), None, None, "key.pem: No such file"),
        (
            Some(&good.key),
            Some(&good.key),
            None,
            "cert.pem has no certificate",
        ),
        (
            Some(&good.cert),
            Some(&good.cert),
            None,
            "key.pem has no private key",
        ),
        (Some(&good.cert), Some(&other.key), None, "can't be used together"),
        (
            Some(&expired.cert),
            Some(&expired.key),
            None,
            "has expired on 2020-01-01",
        ),
        (
            Some(&good.cert),
            Some(&good.key),
            Some(""),
            "ca.pem has no certificate",
        ),
    ] {
        let folder = TempDir::new().unwrap();
        for (name, text) in [("cert.pem", cert), ("key.pem", key)] {
            if let Some(text) = text {
                std::fs::write(folder.path().join(name), text).unwrap();
            }
        }
        let (_database, url) = database();
        let mut command = serve();
        command.args(["--database-url", &url]).args(flags(folder.path()));
        if let Some(ca) = ca {
            let path = folder.path().join("ca.pem");
            std::fs::write(&path, ca).unwrap();
            command.arg("--tls-client-ca").arg(path);
        }
        let finished = Finished::from(command.output().unwrap());
        assert_eq!(finished.code, 1, "{finished:?}");
        assert_one_line(&finished.stderr);
        assert!(finished.stderr.contains(said), "{finished:?}");
    }
    for flags in [
        &["--tls-cert", "cert.pem"][..],
        &["--tls-key", "key.pem"],
        &["--tls-client-ca", "ca.pem"],
    ] {
        let finished = Finished::from(serve().args(flags).output().unwrap());
        assert_eq!(finished.code, 2, "{finished:?}");
    }
}

#[test]
fn authorities_without_a_certificate_are_refused_at_the_start_in_one_line() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (ca, key, people) = (path("ca.pem"), path("key"), path("people.csv"));
    std::fs::write(&key, "pb_something").unwrap();
    std::fs::write(&people, "email\n").unwrap();
    let at_a_server = ["--server", "127.0.0.1:1", "--api-key-file", &key, "--tls-ca", &ca];
    let gateway = gateway_program();
    for text in ["", "no certificate\n"] {
        std::fs::write(&ca, text).unwrap();
        let asking = |arguments: &[&str]| userbridge("sqlite:/nowhere/users.db", arguments);
        // No database is there, so that nothing serves in any case.
        let mut serving = serve();
        serving
            .args(["--database-url", "sqlite:/nowhere/users.db"])
            .args(["--smtp-url", "smtp://127.0.0.1:1", "--mail-from", "a@example.com"])
            .args(["--public-url", "https://example.com", "--smtp-ca-file", &ca]);
        let mut refused = vec![
            (2, Finished::from(serving.output().unwrap())),
            (
                1,
                asking(&["health", "--grpc-addr", "127.0.0.1:1", "--tls-ca", &ca]),
            ),
            (1, asking(&[&["import", &people][..], &at_a_server].concat())),
            (1, asking(&[&["export"][..], &at_a_server].concat())),
        ];
        if let Some(gateway) = &gateway {
            // Nor has any machine this address.
            let mut gateway = command(gateway);
            gateway.args(["--http-addr", "192.0.2.1:0"]).args([
                "--upstream",
                "https://localhost:1",
                "--upstream-ca",
                &ca,
            ]);
            refused.push((1, gateway.output().unwrap().into()));
        }
        let said = format!("error: {ca} has no certificate in PEM\n");
        for (code, finished) in refused {
            assert_eq!((finished.code, &finished.stderr), (code, &said), "{finished:?}");
        }
    }
}

#[test]
fn a_pipe_is_no_file_that_a_server_could_read_again() {
    let authority = Authority::new();
    for name in ["cert.pem", "key.pem", "ca.pem"] {
        let folder = authority.folder();
        let pipe = folder.path().join(name);
        std::fs::remove_file(&pipe).unwrap();
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let (_database, url) = database();
        let mut serving = serve();
        serving.args(["--database-url", &url]).args(flags(folder.path()));
        serving.arg("--tls-client-ca").arg(folder.path().join("ca.pem"));
        // Nobody writes to it.
        let mut limited = command("timeout");
        limited.args(["-s", "KILL", "30"]).arg(serving.get_program());
        let finished = Finished::from(limited.args(serving.get_args()).output().unwrap());
        assert_eq!(finished.code, 1, "{finished:?}");
        let said = format!("error: {}: it is no regular file\n", pipe.display());
        assert_eq!(finished.stderr, said);
    }
}

#[tokio::test]
async fn the_gateway_program_speaks_tls_to_its_clients_and_to_its_upstream() {
    let Some(program) = gateway_program() else {
        return skip("userbridge-gateway is not built; run the tests with --workspace");
    };
    let authority = Authority::new();
    let folder = authority.folder();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let own = authority.certify(Names {
        uri: "spiffe://example.com/gateway",
        ..Names::default()
    });
    let place = Place::start(|serve| {
        serve
            .args(flags(folder.path()))
            .args(["--tls-client-ca", &path("ca.pem")]);
    });
    std::fs::write(path("own.pem"), &own.cert).unwrap();
    std::fs::write(path("own-key.pem"), &own.key).unwrap();
    // The name is in the certificate, and the machine knows where that is.
    let localhost = authority.certify(Names {
        dns: &["localhost", HOST],
        ..SERVER
    });
    localhost.put(folder.path());
    place.serve.process.signal("HUP");
    let upstream = format!("https://localhost:{}", place.serve.grpc_addr.port());
    let start = |arguments: &[&str]| {
        let mut command = command(&program);
        command.args(["--http-addr", "127.0.0.1:0", "--upstream", &upstream]);
        let mut process = Process::start(command.args(flags(folder.path())).args(arguments));
        let line = process.line();
        let addr: SocketAddr = line
            .trim_end()
            .strip_prefix("JSON on https://")
            .unwrap()
            .parse()
            .unwrap();
        (process, addr)
    };
    let (ca, cert, key) = (path("ca.pem"), path("own.pem"), path("own-key.pem"));
    let certified = [
        "--upstream-ca",
        &ca,
        "--upstream-cert",
        &cert,
        "--upstream-key",
        &key,
    ];
    let health = |arguments: &[&str]| {
        let addr = format!("localhost:{}", place.serve.grpc_addr.port());
        let asking = ["health", "--grpc-addr", &addr];
        userbridge(&place.url, &[&asking, arguments].concat()).code
    };
    assert_eq!(
        health(&["--tls-ca", &ca, "--client-cert", &cert, "--client-key", &key]),
        0
    );
    assert_eq!(health(&["--tls-ca", &ca]), 1);
    assert_eq!(health(&[]), 1);
    for (arguments, answers) in [
        (&certified[..], &["200 OK"][..]),
        // The directory refuses it, or it the directory. In TLS 1.3 a client may hear of that in the middle of its call.
        (
            &certified[..2],
            &["503 Service Unavailable", "504 Gateway Timeout"],
        ),
        (&certified[2..], &["503 Service Unavailable"]),
    ] {
        let (_process, addr) = start(arguments);
        let stream = authority.connect(addr, "http/1.1").await;
        let answer = ping(stream, &place.public_key).await;
        let answers = answers.iter().map(|status| format!("HTTP/1.1 {status}\r\n"));
        assert!(
            answers.into_iter().any(|status| answer.starts_with(&status)),
            "{answer}"
        );
    }
}

/// That a connection is served, over and over.
async fn asks(stream: &mut TlsStream<TcpStream>) {
    stream
        .write_all(b"GET /nothing HTTP/1.1\r\nhost: test\r\n\r\n")
        .await
        .unwrap();
    let mut start = [0; 12];
    stream.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 404");
    let mut rest = Vec::new();
    while !rest.ends_with(br#"{"detail":"Not Found"}"#) {
        rest.push(stream.read_u8().await.unwrap());
    }
}
