//! README.md: its examples are pasted into a shell here, as a reader would.

use std::fs;

use crate::{
    programs::{
        demo::Demo,
        pasted::paste,
        tools::{Needs, available, path_folder, path_with, root},
    },
    support::process::{Process, command},
};

/// A block of shell commands in the README.
struct Block {
    /// The last heading before it.
    heading: String,
    text: String,
}

impl Block {
    /// The first word.
    fn program(&self) -> &str {
        self.text.split_whitespace().next().unwrap_or_default()
    }
}

fn blocks() -> Vec<Block> {
    let readme = fs::read_to_string(root().join("README.md")).expect("there is a README");
    let mut blocks = Vec::new();
    let mut heading = String::new();
    let mut lines = readme.lines();
    while let Some(line) = lines.next() {
        if let Some(title) = line.strip_prefix('#') {
            title.trim_start_matches('#').trim().clone_into(&mut heading);
        } else if let Some(language) = line.strip_prefix("```") {
            let text: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
            if language == "sh" {
                blocks.push(Block {
                    heading: heading.clone(),
                    text: text.join("\n"),
                });
            }
        }
    }
    blocks
}

/// The blocks under a heading.
fn under(heading: &str) -> Vec<Block> {
    let found: Vec<_> = blocks()
        .into_iter()
        .filter(|block| block.heading == heading)
        .collect();
    assert!(!found.is_empty(), "README.md has commands under {heading:?}");
    found
}

/// Pastes the examples that begin with a program and checks their answers: each retrieves or deletes Sally.
fn the_examples_work(program: &str, needs: Needs) {
    if !available(&[needs]) {
        return;
    }
    let examples: Vec<_> = under("Examples")
        .into_iter()
        .filter(|block| block.program() == program)
        .collect();
    assert!(!examples.is_empty(), "README.md has examples for {program}");
    let demo = Demo::start();
    let path = path_folder();
    for Block { text, .. } in examples {
        let text = text
            .replace("127.0.0.1:8080", &demo.http_addr)
            .replace("127.0.0.1:50051", &demo.grpc_addr);
        let shown = paste(&text, &demo, path.path()).ok();
        let expected = if text.contains("/users/delete") {
            r#""success":true"#
        } else {
            "sally@acme.example.com"
        };
        // Printers of JSON differ in where they put spaces.
        let compact = shown.replace(": ", ":");
        assert!(compact.to_lowercase().contains(expected), "{text}\n{shown}");
    }
}

#[test]
fn the_curl_examples_work_when_pasted() {
    the_examples_work("curl", Needs::Curl);
}

#[test]
fn the_fetch_examples_work_when_pasted() {
    the_examples_work("node", Needs::Node);
}

#[test]
fn the_httpx_examples_work_when_pasted() {
    the_examples_work("python3", Needs::Python("httpx"));
}

#[test]
fn the_grpcurl_examples_work_when_pasted() {
    the_examples_work("grpcurl", Needs::GRPCURL);
}

#[test]
fn every_example_is_run_by_a_test() {
    for block in under("Examples") {
        let known = ["curl", "node", "python3", "grpcurl", "export"];
        assert!(known.contains(&block.program()), "{}", block.text);
    }
}

#[test]
fn the_lines_to_export_are_those_that_the_demo_prints() {
    let exports = under("Examples")
        .into_iter()
        .find(|block| block.program() == "export");
    let names: Vec<_> = exports
        .iter()
        .flat_map(|block| block.text.lines())
        .filter_map(|line| Some(line.strip_prefix("export ")?.split_once('=')?.0))
        .collect();
    assert_eq!(names, ["USERBRIDGE_API_KEY", "USERBRIDGE_USER_ID"]);
}

/// The commands under "Your own data", in an empty folder: all but the last block run to their end, the last serves.
#[test]
fn the_walk_through_works_when_pasted() {
    let mut walk = under("Your own data");
    let path = path_folder();
    let serve = walk.pop().expect("a block").text;
    assert_eq!(serve, "userbridge serve");
    for Block { text, .. } in walk {
        // `set -e`: in a shell, every one of several commands must work.
        let ran = command("bash")
            .args(["-ec", &text])
            .current_dir(path.path())
            .env("PATH", path_with(path.path()))
            .output()
            .expect("bash runs");
        assert!(ran.status.success(), "{text}\n{ran:?}");
        let shown = String::from_utf8(ran.stdout).expect("UTF-8");
        assert!(
            shown.lines().count() >= text.lines().count(),
            "each command says what it did\n{shown}"
        );
    }
    let mut server = Process::start(
        command("bash")
            .args(["-c", &format!("exec {serve}")])
            .current_dir(path.path())
            .env("PATH", path_with(path.path()))
            .env("USERBRIDGE_LOG", "error")
            .env("USERBRIDGE_GRPC_ADDR", "127.0.0.1:0")
            .env("USERBRIDGE_HTTP_ADDR", "127.0.0.1:0"),
    );
    assert!(server.line().starts_with("gRPC on 127.0.0.1:"));
    assert!(server.line().starts_with("JSON on http://127.0.0.1:"));
    server.terminate();
    assert!(server.wait().success());
    assert!(
        path.path().join("userbridge.db").exists(),
        "the commands and the server share a file"
    );
}
