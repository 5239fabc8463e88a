//! `userbridge event`.

use serde_json::{Value, json};

use super::{SALLY, Shell};
use crate::support::process::{Process, USERBRIDGE, command};

fn watch(shell: &Shell, more: &[&str]) -> Process {
    let mut watch = command(USERBRIDGE);
    watch
        .env("USERBRIDGE_DATABASE_URL", &shell.url)
        .args(["event", "watch", "--org", "acme"])
        .args(more);
    Process::start(&mut watch)
}

#[test]
fn a_watch_prints_what_is_there_and_then_what_others_write_until_it_is_interrupted() {
    let shell = Shell::new();
    let mut all = watch(&shell, &["--json"]);
    let mut later = watch(&shell, &["--after", "1"]);
    let event = |line: String| -> Value { serde_json::from_str(&line).unwrap() };
    assert_eq!(event(all.line())["kind"], "organization.created");

    let sally = shell.json(&["member", "link", "--org", "acme", "--email", SALLY]);
    let linked = event(all.line());
    assert_eq!(
        (&linked["sequence"], &linked["kind"], &linked["member_id"]),
        (&json!(2), &json!("member.linked"), &sally["id"])
    );
    let list = shell.ok(&["event", "list", "--org", "acme", "--after", "1"]);
    assert_eq!(later.line(), list);

    for watch in [&mut all, &mut later] {
        watch.signal("INT");
        assert!(watch.wait().success());
    }
}

#[test]
fn a_watch_begins_at_an_event_that_is_there() {
    let shell = Shell::new();
    let said = shell.error(&["event", "watch", "--org", "acme", "--after", "2"], 3);
    assert_eq!(said, "error: there is no event 2 yet");
    shell.error(&["event", "watch", "--org", "nobody"], 3);
    assert_eq!(
        shell.run(&["event", "watch", "--org", "acme", "--after=-1"]).code,
        2
    );
}
