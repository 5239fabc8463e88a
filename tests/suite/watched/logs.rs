//! What is logged: the line at the start, and one for each request where that is asked for.

use std::io;

use serde_json::Value;

use super::{RETRIEVE, World};

fn lines(log: &str) -> Vec<Value> {
    log.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn the_first_line_says_what_runs_and_where() {
    let (world, log) = World::logging(|command| {
        command
            .args(["--log-format", "json"])
            .env("USERBRIDGE_LOG", "info")
    });
    let announced = world.serve.announced.clone();
    let lines = lines(&log.of(world));
    let line = lines.iter().find(|line| line["message"] == "serving").unwrap();
    assert_eq!(line["version"], env!("CARGO_PKG_VERSION"));
    assert!(line["database"].as_str().unwrap().ends_with("users.db"));
    assert!(line["schema"].as_u64().unwrap() > 0);
    for addr in ["grpc_addr", "http_addr", "admin_addr"] {
        assert_eq!(line[addr], announced[addr], "{addr}");
    }
}

#[tokio::test]
async fn requests_have_a_line_each_only_if_it_is_asked_for_and_an_address_only_with_another_word() {
    for (access_log, expected, has_client) in [("off", 0, false), ("on", 2, false), ("with-address", 2, true)]
    {
        let (world, log) = World::logging(|command| {
            let command = command.args(["--log-format", "json", "--access-log", access_log]);
            command.env("USERBRIDGE_LOG", "info")
        });
        world.retrieve().send().await.unwrap();
        let lines = lines(&log.of(world));
        let answered: Vec<_> = lines
            .iter()
            .filter(|line| line["message"] == "answered")
            .collect();
        assert_eq!(answered.len(), expected, "{access_log}: {lines:?}");
        let Some(line) = answered.iter().find(|line| line["protocol"] == "productbridge") else {
            continue;
        };
        assert_eq!(line["route"], RETRIEVE);
        assert_eq!(line["method"], "POST");
        assert_eq!(line["status"], "200");
        assert!(line["bytes"].as_u64().unwrap() > 0);
        assert!(line["seconds"].as_f64().unwrap() > 0.0);
        let client = line.get("client").and_then(Value::as_str);
        assert_eq!(client, has_client.then_some("127.0.0.1"));
    }
}

#[tokio::test]
async fn nobody_waits_for_a_reader_of_the_log_that_has_stopped_to_read() {
    /// Each has two lines. A pipe takes 64 KiB, and fewer wait than are written.
    const REQUESTS: usize = 2_500;

    let (_unread, log) = io::pipe().unwrap();
    let mut world = World::start(|command| {
        let command = command.args(["--access-log", "on"]).stderr(log);
        command.env("USERBRIDGE_LOG", "info")
    });
    for _ in 0..REQUESTS {
        let answer = world.retrieve().send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }
    world.serve.process.terminate();
    assert!(world.serve.process.wait().success());
}
