//! The program itself, with no directory behind it. What it answers with one is tested in the workspace's suite.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that can't go on has failed"
)]

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
};

/// Ended, by its own id, when the test is done with it.
struct Gateway {
    child: Child,
    addr: String,
}

impl Gateway {
    fn start() -> Self {
        Self::start_with(&[], Stdio::inherit())
    }

    fn start_with(arguments: &[&str], log: Stdio) -> Self {
        // A port that nobody listens on.
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_userbridge-gateway"))
            .args([
                "--http-addr",
                "127.0.0.1:0",
                "--upstream",
                &format!("http://{free}"),
            ])
            .args(arguments)
            .env("USERBRIDGE_LOG", "warn")
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let addr = line.trim_end().strip_prefix("JSON on http://");
        Self {
            addr: addr.expect("it says where it serves").to_owned(),
            child,
        }
    }

    fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// A request whose body is waited for.
    fn unfinished(&self) -> TcpStream {
        let mut stream = TcpStream::connect(&self.addr).unwrap();
        write!(
            stream,
            "POST /api/external/v1/ping HTTP/1.1\r\nhost: test\r\nexpect: 100-continue\r\n\
             content-length: 100\r\n\r\n"
        )
        .unwrap();
        // It reads the body now.
        let mut answer = [0; 25];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 100 Continue\r\n\r\n");
        stream
    }

    fn post(&self, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.addr).unwrap();
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        reply
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // An error means that it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_starts_without_a_directory_and_says_so_to_who_needs_one() {
    let gateway = Gateway::start();
    let reply = gateway.post("/api/external/v1/ping", r#"{"api_key":"pb_any"}"#);
    assert!(reply.starts_with("HTTP/1.1 503 "), "{reply}");
    assert!(
        reply.ends_with(r#"{"detail":{"error":"service unavailable"}}"#),
        "{reply}"
    );
    let reply = gateway.post("/nowhere", "{}");
    assert!(reply.starts_with("HTTP/1.1 404 "), "{reply}");
}

#[test]
fn sigterm_ends_it_in_order() {
    let mut gateway = Gateway::start();
    gateway.signal("TERM");
    assert!(gateway.child.wait().unwrap().success());
}

#[test]
fn a_body_that_does_not_come_is_waited_for_no_longer_than_the_drain_time() {
    let mut gateway = Gateway::start_with(&["--drain-seconds", "0"], Stdio::null());
    let mut unfinished = gateway.unfinished();
    gateway.signal("TERM");
    assert!(gateway.child.wait().unwrap().success());
    assert!(!matches!(unfinished.read(&mut [0]), Ok(1)));
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut gateway = Gateway::start_with(&["--drain-seconds", "3600"], Stdio::null());
    let _unfinished = gateway.unfinished();
    gateway.signal("TERM");
    // It accepts nobody any more: so the first signal has arrived.
    while TcpStream::connect(&gateway.addr).is_ok() {
        thread::yield_now();
    }
    gateway.signal("INT");
    assert!(gateway.child.wait().unwrap().success());
}

#[test]
fn a_hangup_ends_nothing() {
    let mut gateway = Gateway::start();
    gateway.signal("HUP");
    assert!(gateway.post("/nowhere", "{}").starts_with("HTTP/1.1 404 "));
    gateway.signal("TERM");
    assert!(gateway.child.wait().unwrap().success());
}

#[test]
fn a_directory_that_does_not_answer_is_in_the_log_once_and_not_with_each_request() {
    let mut gateway = Gateway::start_with(&[], Stdio::piped());
    for _ in 0..5 {
        gateway.post("/api/external/v1/ping", r#"{"api_key":"pb_any"}"#);
    }
    gateway.signal("TERM");
    let mut log = String::new();
    let stderr = gateway.child.stderr.as_mut().unwrap();
    stderr.read_to_string(&mut log).unwrap();
    assert_eq!(log.matches("the directory does not answer").count(), 1, "{log}");
    assert!(log.contains("http://127.0.0.1:"), "it says where: {log}");
}

#[test]
fn what_it_can_not_use_is_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().map(|addr| (addr.to_string(), taken)).unwrap();
    for arguments in [
        ["--upstream", "somewhere", "--http-addr", "127.0.0.1:0"],
        ["--upstream", "ftp://127.0.0.1:1", "--http-addr", "127.0.0.1:0"],
        ["--upstream", "http://127.0.0.1:1", "--http-addr", &taken.0],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_userbridge-gateway"))
            .args(arguments)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            (output.status.code(), output.stdout.len()),
            (Some(1), 0),
            "{said}"
        );
        assert!(said.starts_with("error: ") && said.lines().count() == 1, "{said}");
        let about = [arguments[1], arguments[3]];
        assert!(about.iter().any(|setting| said.contains(setting)), "{said}");
    }
}

#[test]
fn a_gateway_that_can_not_print_where_it_listens_serves() {
    // Who connects comes from 127.0.0.1, so that no connection can be with itself.
    let free = TcpListener::bind("127.0.0.3:0").unwrap().local_addr().unwrap();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_userbridge-gateway"))
        .args(["--http-addr", &free.to_string()])
        .stdout(full)
        .spawn()
        .unwrap();
    let addr = free.to_string();
    let mut gateway = Gateway { child, addr };
    while TcpStream::connect(free).is_err() {
        assert!(gateway.child.try_wait().unwrap().is_none(), "it has ended");
        thread::yield_now();
    }
    gateway.signal("TERM");
    assert!(gateway.child.wait().unwrap().success());
}
