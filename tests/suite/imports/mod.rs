//! `userbridge import` and `userbridge export`, as processes.

mod equal;
mod files;
mod killed;
mod server;
mod targets;

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Stdio,
};

use serde_json::{Value, json};

use crate::support::{
    database,
    process::{Finished, USERBRIDGE, command, userbridge},
};

/// A directory with an organization `acme`, and a folder for files.
struct Place {
    folder: tempfile::TempDir,
    url: String,
}

impl Place {
    fn new() -> Self {
        let (folder, url) = database();
        let place = Self { folder, url };
        assert_eq!(place.run(&["org", "create", "acme"]).code, 0);
        place
    }

    fn run(&self, arguments: &[&str]) -> Finished {
        userbridge(&self.url, arguments)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path.display().to_string()
    }

    fn import(&self, more: &[&str]) -> Finished {
        self.run(&[&["import", "--org", "acme", "--json"], more].concat())
    }

    /// With this as standard input.
    fn import_from(&self, content: &[u8], more: &[&str]) -> Finished {
        let mut child = command(USERBRIDGE)
            .env("USERBRIDGE_DATABASE_URL", &self.url)
            .current_dir(self.folder.path())
            .args(["import", "--org", "acme", "--json", "-"])
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(content).unwrap();
        child.wait_with_output().unwrap().into()
    }

    /// Everybody, by address.
    fn members(&self) -> Vec<Value> {
        let export = self.run(&["export", "--org", "acme", "--format", "ndjson"]);
        assert_eq!(export.code, 0, "{export:?}");
        let mut members: Vec<Value> = export
            .stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        members.sort_by_key(|member| member["email"].as_str().map(str::to_owned));
        members
    }

    fn emails(&self) -> Vec<String> {
        let email = |member: &Value| member["email"].as_str().unwrap_or_default().to_owned();
        self.members().iter().map(email).collect()
    }
}

/// As many lines of a file.
fn lines(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(line).collect::<Vec<_>>().concat()
}

/// What an import says that took as many rows.
fn took(created: u64, updated: u64, unchanged: u64) -> Value {
    json!({
        "created": created, "updated": updated, "unchanged": unchanged, "rejected": 0,
        "dry_run": false, "list": null,
    })
}

/// The numbers of an import that did not take all rows.
fn numbers(finished: &Finished) -> [u64; 4] {
    let said: Value = serde_json::from_str(&finished.stdout).unwrap();
    ["created", "updated", "unchanged", "rejected"].map(|name| said[name].as_u64().unwrap())
}

/// Line, record, column and reason of each row that was not taken.
fn rejected(path: impl AsRef<Path>) -> Vec<[String; 4]> {
    let list = fs::read_to_string(path).unwrap();
    let mut lines = list.lines();
    assert_eq!(lines.next(), Some("line,record,column,reason"));
    let cells = |line: &str| {
        let mut cells = line.splitn(4, ',').map(str::to_owned);
        [(); 4].map(|()| cells.next().unwrap())
    };
    lines.map(cells).collect()
}
