//! A new process takes over the sockets of an old one, and no client notices.

use std::{
    error::Error as _,
    net::{SocketAddr, TcpListener},
    os::fd::OwnedFd,
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use tokio::{
    task::{JoinSet, spawn_blocking},
    time::{Instant, sleep},
};
use tonic::{Status, transport::Endpoint};

use crate::support::{
    database,
    process::{Serve, USERBRIDGE, command, userbridge},
    proto::users_v1::{RetrieveRequest, retrieve_request::By, user_service_client::UserServiceClient},
    wire::Wire,
    with_key,
};

const SALLY: &str = "sally@acme.example.com";
const RETRIEVE: &str = "/api/external/v1/users/retrieve";

/// Longer than anything takes that ends at all.
const NEVER: Duration = Duration::from_mins(1);

const PAUSE: Duration = Duration::from_millis(5);

/// Sockets that listen before anybody serves, as a service manager has them.
struct Sockets {
    grpc: TcpListener,
    http: TcpListener,
}

impl Sockets {
    fn open() -> Self {
        let open = || TcpListener::bind("127.0.0.1:0").unwrap();
        Self {
            grpc: open(),
            http: open(),
        }
    }

    /// The program with these arguments, as systemd starts it (`sd_listen_fds(3)`). It logs nowhere.
    fn hand_to(&self, arguments: &[&str]) -> Command {
        let script = r#"exec 3<&0 4<&2 </dev/null 2>/dev/null
            export LISTEN_FDS=2 LISTEN_PID=$$
            exec "$0" "$@""#;
        let stdio = |socket: &TcpListener| Stdio::from(OwnedFd::from(socket.try_clone().unwrap()));
        let mut command = command("sh");
        command
            .args(["-c", script, USERBRIDGE])
            .args(arguments)
            .stdin(stdio(&self.grpc))
            .stderr(stdio(&self.http));
        command
    }

    async fn serve(self: &Arc<Self>, url: &str) -> Serve {
        let (sockets, url) = (self.clone(), url.to_owned());
        let start = move || {
            let (grpc, http) = (sockets.grpc.local_addr(), sockets.http.local_addr());
            let (grpc, http) = (grpc.unwrap().to_string(), http.unwrap().to_string());
            Serve::start_as(&mut sockets.hand_to(&[
                "serve",
                "--database-url",
                &url,
                "--grpc-addr",
                &grpc,
                "--http-addr",
                &http,
                "--lame-duck-seconds",
                "1",
            ]))
        };
        spawn_blocking(start).await.unwrap()
    }
}

/// What clients have seen.
#[derive(Default)]
struct Seen {
    answered: AtomicUsize,
    failed: Mutex<Vec<String>>,
    stop: AtomicBool,
}

impl Seen {
    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    fn note(&self, answer: Result<(), String>) {
        match answer {
            Ok(()) => drop(self.answered.fetch_add(1, Ordering::Relaxed)),
            Err(failure) => self.failed.lock().unwrap().push(failure),
        }
    }

    /// Waits until so many more have been answered.
    async fn more(&self, answers: usize) {
        let (before, begin) = (self.answered.load(Ordering::Relaxed), Instant::now());
        while self.answered.load(Ordering::Relaxed) < before + answers {
            assert!(begin.elapsed() < NEVER, "{:?}", self.failed.lock().unwrap());
            sleep(PAUSE).await;
        }
    }
}

async fn ask(wire: &mut Wire, body: &str) -> (Result<(), String>, bool) {
    match wire.post(RETRIEVE, "application/json", body.as_bytes()).await {
        Some(reply) if reply.status == 200 => (Ok(()), reply.header("connection") == Some("close")),
        Some(reply) => (Err(format!("{reply:?}")), true),
        None => (Err("a connection was cut".to_owned()), true),
    }
}

/// A connection for each request.
async fn comes_and_goes(seen: Arc<Seen>, addr: SocketAddr, body: String) {
    while seen.goes_on() {
        let mut wire = Wire::open(addr).await;
        seen.note(ask(&mut wire, &body).await.0);
    }
}

/// A connection for all requests, as long as the server wants.
async fn stays(seen: Arc<Seen>, addr: SocketAddr, body: String) {
    while seen.goes_on() {
        let mut wire = Wire::open(addr).await;
        let mut is_last = false;
        while !is_last && seen.goes_on() {
            let (answer, last) = ask(&mut wire, &body).await;
            seen.note(answer);
            is_last = last;
        }
    }
}

/// Whether a call met a server that was about to go and did not take it. Clients send it again by themselves (gRPC A6, "Transparent
/// Retries"), but for tonic's.
fn was_not_taken(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<hyper::Error>() {
            return error.is_canceled() || format!("{error:?}").contains("GoAway(b\"\", NO_ERROR, Remote)");
        }
        cause = error.source();
    }
    false
}

async fn calls(seen: Arc<Seen>, addr: SocketAddr, key: String) {
    let channel = Endpoint::from_shared(format!("http://{addr}"))
        .unwrap()
        .connect_lazy();
    let mut users = UserServiceClient::new(channel);
    while seen.goes_on() {
        let message = RetrieveRequest {
            by: Some(By::Email(SALLY.to_owned())),
        };
        let mut answer = users.retrieve(with_key(message.clone(), &key)).await;
        if answer.as_ref().is_err_and(was_not_taken) {
            answer = users.retrieve(with_key(message, &key)).await;
        }
        seen.note(answer.map(drop).map_err(|status| format!("{status:?}")));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_new_processes_take_over() {
    let (_folder, url) = database();
    let run = |arguments: &[&str]| userbridge(&url, arguments).json();
    run(&["org", "create", "acme", "--json"]);
    run(&["member", "link", "--org", "acme", "--email", SALLY, "--json"]);
    let key = run(&[
        "key",
        "create",
        "--org",
        "acme",
        "--scope",
        "public_api",
        "--json",
    ]);
    let key = key["key"].as_str().unwrap().to_owned();
    let body = json!({ "api_key": key, "email": SALLY }).to_string();

    let sockets = Arc::new(Sockets::open());
    let mut serving = sockets.serve(&url).await;
    let seen = Arc::new(Seen::default());
    let mut clients = JoinSet::new();
    for _ in 0..4 {
        clients.spawn(comes_and_goes(seen.clone(), serving.http_addr, body.clone()));
        clients.spawn(stays(seen.clone(), serving.http_addr, body.clone()));
    }
    for _ in 0..2 {
        clients.spawn(calls(seen.clone(), serving.grpc_addr, key.clone()));
    }
    for _ in 0..3 {
        seen.more(200).await;
        let next = sockets.serve(&url).await;
        assert_eq!(
            (next.grpc_addr, next.http_addr),
            (serving.grpc_addr, serving.http_addr)
        );
        let mut old = std::mem::replace(&mut serving, next);
        old.process.terminate();
        let ended = spawn_blocking(move || old.process.wait()).await.unwrap();
        assert!(ended.success());
    }
    seen.more(200).await;
    seen.stop.store(true, Ordering::Relaxed);
    clients.join_all().await;
    let failed = seen.failed.lock().unwrap();
    assert!(failed.is_empty(), "{} of them, as {:?}", failed.len(), failed[0]);
}

#[test]
fn a_socket_for_an_address_that_no_flag_names_is_refused() {
    let (_folder, url) = database();
    let sockets = Sockets::open();
    let mut command = sockets.hand_to(&["serve", "--database-url", &url, "--grpc-addr", "127.0.0.1:0"]);
    let http = sockets.http.local_addr().unwrap().to_string();
    let ended = command.args(["--http-addr", &http]).output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stdout.is_empty());
}
