//! The command line, as a process.

mod config;
mod events;
mod members;
pub(crate) mod terminal;
mod unwritable;

use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use crate::support::{
    Form, TestApp, database,
    process::{Finished, Process, USERBRIDGE, command, userbridge},
};

const SALLY: &str = "sally@acme.example.com";
const NO_ID: &str = "00000000-0000-4000-8000-000000000000";

/// A database with a command line in front of it.
struct Shell {
    url: String,
    folder: tempfile::TempDir,
}

impl Shell {
    /// With an organization named `acme`.
    fn new() -> Self {
        let (folder, url) = database();
        let shell = Self { url, folder };
        shell.ok(&["org", "create", "acme", "--name", "Acme Inc"]);
        shell
    }

    fn run(&self, arguments: &[&str]) -> Finished {
        userbridge(&self.url, arguments)
    }

    /// What a command that must succeed prints.
    fn ok(&self, arguments: &[&str]) -> String {
        let finished = self.run(arguments);
        assert_eq!(
            (finished.code, finished.stderr.as_str()),
            (0, ""),
            "{arguments:?}"
        );
        finished.stdout
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let mut arguments = arguments.to_vec();
        arguments.push("--json");
        serde_json::from_str(&self.ok(&arguments)).unwrap()
    }

    /// What a command that must fail says: one line.
    fn error(&self, arguments: &[&str], code: i32) -> String {
        for extra in [&[][..], &["--json"]] {
            let finished = self.run(&[arguments, extra].concat());
            assert_eq!(
                (finished.code, finished.stdout.as_str()),
                (code, ""),
                "{finished:?}"
            );
            assert_one_line(&finished.stderr);
        }
        self.run(arguments).stderr.trim_end().to_owned()
    }
}

pub(crate) fn assert_one_line(stderr: &str) {
    assert!(
        stderr.starts_with("error: ") && stderr.ends_with('\n'),
        "{stderr:?}"
    );
    assert_eq!(stderr.lines().count(), 1, "{stderr:?}");
}

fn columns(line: &str) -> Vec<&str> {
    line.trim_end_matches('\n').split('\t').collect()
}

#[test]
fn organizations_are_made_shown_listed_and_deleted() {
    let shell = Shell::new();
    let acme = shell.json(&["org", "show", "acme"]);
    assert_eq!(acme["slug"], "acme");
    assert_eq!(acme["name"], "Acme Inc");
    assert_eq!(acme["default_role"], "viewer");
    assert_eq!(acme["retention_days"], Value::Null);
    for brand in ["brand_name", "brand_logo_url", "brand_sender", "brand_locale"] {
        assert_eq!(acme[brand], Value::Null);
    }
    assert_eq!(acme.as_object().unwrap().len(), 10);
    let (id, created_at) = (acme["id"].as_str().unwrap(), acme["created_at"].as_str().unwrap());
    assert_eq!(
        columns(&shell.ok(&["org", "show", "acme"])),
        ["acme", id, created_at, "Acme Inc"]
    );

    let globex = shell.json(&["org", "create", "globex"]);
    assert_eq!(globex["name"], "globex");
    assert_eq!(shell.json(&["org", "list"]), json!([acme, globex]));
    let list = shell.ok(&["org", "list"]);
    assert_eq!(
        list.lines().map(|line| columns(line)[0]).collect::<Vec<_>>(),
        ["acme", "globex"]
    );

    assert_eq!(shell.json(&["org", "delete", "globex"]), globex);
    assert_eq!(shell.json(&["org", "list"]), json!([acme]));
    shell.ok(&["org", "delete", "acme"]);
    assert_eq!(shell.json(&["org", "list"]), json!([]));
    assert_eq!(shell.ok(&["org", "list"]), "");
}

#[test]
fn a_key_is_printed_once() {
    let shell = Shell::new();
    let printed = shell.ok(&["key", "create", "--org", "acme", "--scope", "public_api"]);
    let key = printed.strip_suffix('\n').unwrap();
    assert!(key.starts_with("pb_") && key.len() == 46, "{key}");
    let other = shell.json(&[
        "key",
        "create",
        "--org",
        "acme",
        "--scope",
        "admin",
        "--scope",
        "directory.read",
        "--expires-in",
        "90d",
    ]);
    let secret = other["key"].as_str().unwrap();
    assert!(secret.starts_with("pb_") && secret.len() == 46, "{secret}");
    assert_eq!(other["scopes"], json!(["directory.read", "admin"]));
    assert_eq!(other["state"], "active");
    assert!(other["expires_at"].is_string());

    for list in [
        shell.ok(&["key", "list", "--org", "acme"]),
        shell.json(&["key", "list", "--org", "acme"]).to_string(),
    ] {
        assert!(!list.contains(key) && !list.contains(secret), "{list}");
        assert!(list.contains(&key[..8]) && list.contains(&secret[..8]), "{list}");
    }
    let list = shell.json(&["key", "list", "--org", "acme"]);
    assert_eq!(list.as_array().unwrap().len(), 2);
    assert_eq!(list[1]["id"], other["id"]);
    assert_eq!(list[0]["expires_at"], Value::Null);
}

#[test]
fn keys_are_rotated_and_revoked() {
    let shell = Shell::new();
    let states = || -> Vec<String> {
        let list = shell.json(&["key", "list", "--org", "acme"]);
        let keys = list.as_array().unwrap().iter();
        keys.map(|key| key["state"].as_str().unwrap().to_owned())
            .collect()
    };
    let first = shell.json(&["key", "create", "--org", "acme", "--scope", "public_api"]);
    let second = shell.json(&["key", "rotate", "--org", "acme", "--overlap", "24h"]);
    assert_ne!(first["key"], second["key"]);
    assert_eq!(second["scopes"], json!(["public_api"]));
    let list = shell.json(&["key", "list", "--org", "acme"]);
    assert!(list[0]["expires_at"].is_string());
    let alive = states();
    assert_eq!(alive.len(), 2);

    let id = first["id"].as_str().unwrap();
    let revoked = shell.json(&["key", "revoke", "--org", "acme", "--id", id]);
    assert_eq!(revoked[0]["id"], first["id"]);
    assert!(revoked[0]["revoked_at"].is_string(), "{revoked}");
    assert_eq!(revoked[0], shell.json(&["key", "list", "--org", "acme"])[0]);
    assert_eq!(states(), ["revoked", "active"]);
    shell.ok(&["key", "revoke", "--org", "acme"]);
    assert_eq!(states(), ["revoked", "revoked"]);
    shell.error(&["key", "revoke", "--org", "acme"], 3);
    shell.error(&["key", "rotate", "--org", "acme"], 3);
}

#[test]
fn a_rotated_key_keeps_its_expiry_unless_told_otherwise() {
    let shell = Shell::new();
    let rotate = |more: &[&str]| {
        let all = [&["key", "rotate", "--org", "acme"], more].concat();
        shell.json(&all)["expires_at"].clone()
    };
    let create = ["key", "create", "--org", "acme", "--scope", "public_api"];
    let made = shell.json(&[&create[..], &["--expires-in", "90d"]].concat());
    assert!(made["expires_at"].is_string());
    assert_eq!(rotate(&[]), made["expires_at"]);
    let sooner = rotate(&["--expires-in", "30d"]);
    assert!(sooner.as_str() < made["expires_at"].as_str());
    assert_eq!(rotate(&["--never-expires"]), Value::Null);
    assert_eq!(rotate(&[]), Value::Null);
    shell.error(&["key", "rotate", "--org", "acme", "--expires-in", "0s"], 1);
}

#[test]
fn a_file_with_a_secret_that_is_empty_is_refused() {
    let shell = Shell::new();
    let path = |name: &str| shell.folder.path().join(name).display().to_string();
    let (secret, people) = (path("secret"), path("people.csv"));
    fs::write(&people, "email\n").unwrap();
    for text in ["", "\r\n", " \n"] {
        fs::write(&secret, text).unwrap();
        let of_the_database = [
            "org",
            "list",
            "--database-url",
            "postgres://u@127.0.0.1:1/d",
            "--database-password-file",
            &secret,
        ];
        // No database is there, so that nothing serves in any case.
        let of_the_mail_server = [
            "serve",
            "--database-url",
            "sqlite:/nowhere/users.db",
            "--smtp-url",
            "smtp://bob@127.0.0.1:1",
            "--mail-from",
            "a@example.com",
            "--public-url",
            "https://example.com",
            "--smtp-password-file",
            &secret,
        ];
        let at_a_server = ["--server", "127.0.0.1:1", "--api-key-file", &secret];
        for (arguments, what) in [
            (&of_the_database[..], "password"),
            (&of_the_mail_server, "password"),
            (&[&["import", &people], &at_a_server[..]].concat(), "key"),
            (&[&["export"], &at_a_server[..]].concat(), "key"),
        ] {
            let said = shell.error(arguments, 2);
            assert_eq!(said, format!("error: {secret} has no {what}"));
        }
    }
}

#[test]
fn a_pipe_with_a_secret_is_read_and_keeps_nobody_who_is_told_to_end() {
    let shell = Shell::new();
    let path = |name: &str| shell.folder.path().join(name).display().to_string();
    let (pipe, key, people) = (path("pipe"), path("key"), path("people.csv"));
    fs::write(&key, "pb_something").unwrap();
    fs::write(&people, "email\n").unwrap();
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let of_the_database = [
        "--database-url",
        "postgres://u@127.0.0.1:1/d",
        "--database-password-file",
        &pipe,
    ];
    let smtp = [
        "serve",
        "--smtp-url",
        "smtp://bob@127.0.0.1:1",
        "--mail-from",
        "a@example.com",
        "--public-url",
        "https://example.com",
    ];
    let at_a_server = ["--server", "127.0.0.1:1", "--api-key-file"];
    let start = |arguments: &[&str]| {
        let mut command = command(USERBRIDGE);
        command.env("USERBRIDGE_DATABASE_URL", &shell.url).args(arguments);
        let process = Process::start(command.stderr(Stdio::null()));
        // It waits for the other side.
        let open = || {
            let mut options = File::options();
            options
                .write(true)
                .custom_flags(OFlags::NONBLOCK.bits().cast_signed());
            options.open(&pipe).ok()
        };
        let began = Instant::now();
        loop {
            match open() {
                Some(side) => return (process, side),
                None => thread::sleep(Duration::from_millis(5)),
            }
            assert!(began.elapsed() < Duration::from_secs(30), "{arguments:?}");
        }
    };
    for (arguments, code) in [
        (&[&["serve"], &of_the_database[..]].concat()[..], 0),
        (&[&smtp[..], &["--smtp-password-file", &pipe]].concat(), 0),
        (
            &[
                &smtp[..],
                &["--smtp-password-file", &key, "--smtp-ca-file", &pipe],
            ]
            .concat(),
            0,
        ),
        (&[&["backup", "-"], &of_the_database[..]].concat(), 1),
        (&[&["restore", &people], &of_the_database[..]].concat(), 1),
        (
            &[&["import", "--org", "acme", &people], &of_the_database[..]].concat(),
            1,
        ),
        (&[&["export", "--org", "acme"], &of_the_database[..]].concat(), 1),
        (&[&["import", &people], &at_a_server[..], &[&pipe]].concat(), 1),
        (
            &[&["export"], &at_a_server[..], &[&key, "--tls-ca", &pipe]].concat(),
            1,
        ),
    ] {
        let (mut process, _side) = start(arguments);
        process.terminate();
        assert_eq!(process.ended().code(), Some(code), "{arguments:?}");
    }
    // A secret that comes is taken: nobody is there who wants it.
    let (mut process, mut side) = start(&[&["import", &people], &at_a_server[..], &[&pipe]].concat());
    side.write_all(b"pb_something\n").unwrap();
    drop(side);
    assert_eq!(process.ended().code(), Some(1));
}

#[test]
fn what_is_for_a_server_is_refused_where_none_is_named() {
    let shell = Shell::new();
    let path = |name: &str| shell.folder.path().join(name).display().to_string();
    let (key, people) = (path("key"), path("people.csv"));
    fs::write(&key, "pb_something").unwrap();
    fs::write(&people, "email\nsally@acme.example.com\n").unwrap();
    for command in [
        &["import", "--org", "acme", &people][..],
        &["export", "--org", "acme"],
    ] {
        for flag in ["--api-key-file", "--tls-ca"] {
            let said = shell.error(&[command, &[flag, &key]].concat(), 2);
            assert_eq!(said, format!("error: {flag} takes --server"));
        }
    }
    assert_eq!(shell.json(&["member", "list", "--org", "acme"]), json!([]));
    // A variable is there for other commands as well.
    let with_a_variable = command(USERBRIDGE)
        .env("USERBRIDGE_DATABASE_URL", &shell.url)
        .env("USERBRIDGE_API_KEY_FILE", &key)
        .env("USERBRIDGE_TLS_CA", &key)
        .args(["import", "--org", "acme", &people])
        .output();
    assert_eq!(Finished::from(with_a_variable.unwrap()).code, 0);
    assert_eq!(
        shell.json(&["member", "list", "--org", "acme"])[0]["email"],
        SALLY
    );
}

#[test]
fn what_fails_says_why_in_one_line_and_by_its_exit_code() {
    let shell = Shell::new();
    shell.ok(&["key", "create", "--org", "acme", "--scope", "public_api"]);
    shell.ok(&["member", "link", "--org", "acme", "--email", SALLY]);
    let tom = shell.json(&["member", "link", "--org", "acme"]);
    let tom = tom["user_id"].as_str().unwrap();
    for not_found in [
        &["org", "show", "nobody"][..],
        &["org", "delete", "nobody"],
        &["key", "create", "--org", "nobody", "--scope", "public_api"],
        &["key", "list", "--org", "nobody"],
        &["key", "rotate", "--org", "acme", "--id", NO_ID],
        &["key", "revoke", "--org", "acme", "--id", NO_ID],
        &["member", "link", "--org", "nobody", "--email", SALLY],
        &["member", "link", "--org", "acme", "--user-id", NO_ID],
        &[
            "member",
            "show",
            "--org",
            "acme",
            "--email",
            "Sally@acme.example.com",
        ],
        &["member", "list", "--org", "nobody"],
        &["member", "revoke", "--org", "acme", "--user-id", NO_ID],
        &["org", "update", "nobody", "--name", "Nobody"],
        &["key", "show", "--org", "acme", "--id", NO_ID],
        &["key", "revoke", "--id", NO_ID],
        &["team", "list", "--org", "nobody"],
        &["team", "rename", "--org", "acme", "7", "--name", "Seven"],
        &["team", "set-members", "--org", "acme", "1", "--member", NO_ID],
    ] {
        shell.error(not_found, 3);
    }
    for conflict in [
        &["org", "create", "acme"][..],
        &["key", "create", "--org", "acme", "--scope", "public_api"],
        &[
            "member",
            "link",
            "--org",
            "acme",
            "--user-id",
            tom,
            "--email",
            SALLY,
        ],
        &["team", "create", "--org", "acme", "root"],
        &["team", "delete", "--org", "acme", "1"],
    ] {
        shell.error(conflict, 4);
    }
    for not_understood in [
        &["org"][..],
        &["org", "create", "Not A Slug"],
        &["org", "update", "acme"],
        &["org", "update", "acme", "--retention-days", "0"],
        &["org", "update", "acme", "--default-role", "king"],
        &["key", "create", "--org", "acme"],
        &["key", "create", "--scope", "public_api"],
        &["key", "rotate"],
        &["key", "create", "--org", "acme", "--scope", "root"],
        &["key", "rotate", "--org", "acme", "--overlap", "soon"],
        &["member", "link", "--org", "acme", "--email", "no address"],
        &["member", "show", "--org", "acme"],
        &[
            "member",
            "show",
            "--org",
            "acme",
            "--email",
            SALLY,
            "--user-id",
            NO_ID,
        ],
        &["nothing"],
        &["serve", "--grpc-addr", "everywhere"],
    ] {
        let finished = shell.run(not_understood);
        assert_eq!((finished.code, finished.stdout.as_str()), (2, ""), "{finished:?}");
        assert!(!finished.stderr.is_empty());
    }
    assert_eq!(shell.json(&["org", "list"]).as_array().unwrap().len(), 1);
    assert_eq!(
        shell
            .json(&["member", "list", "--org", "acme"])
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[test]
fn an_organization_is_changed_where_it_is_told_to() {
    let shell = Shell::new();
    let before = shell.json(&["org", "show", "acme"]);
    let update = [
        "org",
        "update",
        "acme",
        "--slug",
        "acme-2",
        "--retention-days",
        "30",
    ];
    let after = shell.json(&[&update[..], &["--default-role", "editor"]].concat());
    assert_eq!(
        (&after["slug"], &after["name"], &after["id"]),
        (&json!("acme-2"), &before["name"], &before["id"])
    );
    assert_eq!(
        (&after["retention_days"], &after["default_role"]),
        (&json!(30), &json!("editor"))
    );
    let after = shell.json(&["org", "update", "acme-2", "--retention-days", "off"]);
    assert_eq!(after["retention_days"], Value::Null);
    assert_eq!(after["default_role"], "editor");
    let branded = shell.json(&[
        "org",
        "update",
        "acme-2",
        "--brand-name",
        "Acme",
        "--brand-locale",
        "fr",
    ]);
    assert_eq!(
        (&branded["brand_name"], &branded["brand_locale"]),
        (&json!("Acme"), &json!("fr"))
    );
    let cleared = shell.json(&["org", "update", "acme-2", "--brand-name", ""]);
    assert_eq!(
        (&cleared["brand_name"], &cleared["brand_locale"]),
        (&Value::Null, &json!("fr"))
    );
}

#[test]
fn a_key_of_no_organization_is_made_shown_listed_rotated_and_revoked() {
    let shell = Shell::new();
    let made = shell.json(&["key", "create", "--scope", "admin"]);
    assert_eq!(made["organization_id"], Value::Null);
    let id = made["id"].as_str().unwrap();
    assert_eq!(shell.json(&["key", "show", "--id", id])["state"], "active");
    shell.error(&["key", "show", "--org", "acme", "--id", id], 3);
    assert_eq!(shell.json(&["key", "list"]).as_array().unwrap().len(), 1);
    assert_eq!(shell.json(&["key", "list", "--org", "acme"]), json!([]));
    let next = shell.json(&["key", "rotate", "--id", id]);
    assert_eq!(next["scopes"], json!(["admin"]));
    let id = next["id"].as_str().unwrap();
    shell.ok(&["key", "revoke", "--id", id]);
    assert_eq!(shell.json(&["key", "show", "--id", id])["state"], "revoked");
}

#[test]
fn teams_are_made_renamed_filled_listed_and_deleted() {
    let shell = Shell::new();
    let sales = shell.json(&["team", "create", "--org", "acme", "sales", "--name", "Sales"]);
    assert_eq!(
        (&sales["number"], &sales["root"], &sales["name"]),
        (&json!(2), &json!(false), &json!("Sales"))
    );
    let renamed = shell.json(&["team", "rename", "--org", "acme", "2", "--name", "Sellers"]);
    assert_eq!(
        (&renamed["key"], &renamed["name"]),
        (&json!("sales"), &json!("Sellers"))
    );
    let sally = shell.json(&["member", "link", "--org", "acme", "--email", SALLY]);
    let id = sally["id"].as_str().unwrap();
    let set = ["team", "set-members", "--org", "acme", "2"];
    assert_eq!(
        shell.json(&[&set[..], &["--member", id]].concat()),
        json!({ "added": 1, "removed": 0 })
    );
    let list = shell.ok(&["team", "list", "--org", "acme"]);
    assert_eq!(
        list.lines().map(|line| columns(line)[1]).collect::<Vec<_>>(),
        ["root", "sales"]
    );
    assert_eq!(shell.ok(&set), "0 added, 1 removed\n");
    shell.ok(&["team", "delete", "--org", "acme", "2"]);
    let list = shell.json(&["team", "list", "--org", "acme"]);
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert_eq!(list[0]["root"], true);
}

#[test]
fn a_database_that_can_not_be_opened_is_one_line() {
    let (folder, url) = database();
    for arguments in [&["org", "list"][..], &["member", "list", "--org", "acme"]] {
        let finished = userbridge(&url, arguments);
        assert_eq!(finished.code, 1, "{finished:?}");
        assert_one_line(&finished.stderr);
        assert!(
            finished.stderr.contains("userbridge migrate"),
            "{}",
            finished.stderr
        );
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);

    fs::write(folder.path().join("text.db"), "this is no database".repeat(100)).unwrap();
    let text = format!("sqlite:{}", folder.path().join("text.db").display());
    let nowhere = format!(
        "sqlite:{}",
        folder.path().join("no/such/folder/users.db").display()
    );
    for url in [text.as_str(), &nowhere, "postgres://localhost/users", "users.db"] {
        for arguments in [&["migrate"][..], &["org", "create", "acme"], &["org", "list"]] {
            let finished = userbridge(url, arguments);
            assert_eq!((finished.code, finished.stdout.as_str()), (1, ""), "{finished:?}");
            assert_one_line(&finished.stderr);
        }
    }
}

#[test]
fn a_database_is_compacted_if_there_is_one() {
    let (_folder, url) = database();
    assert_eq!(userbridge(&url, &["compact"]).code, 1);
    userbridge(&url, &["migrate"]);
    assert_eq!(
        userbridge(&url, &["compact", "--json"]).json(),
        json!({ "compacted": true })
    );
    assert_eq!(userbridge(&url, &["org", "list", "--json"]).json(), json!([]));
}

#[test]
fn migrate_may_be_run_any_number_of_times() {
    let (_folder, url) = database();
    for _ in 0..2 {
        let finished = userbridge(&url, &["migrate"]);
        assert_eq!(
            (finished.code, finished.stdout.lines().count()),
            (0, 1),
            "{finished:?}"
        );
        assert_eq!(
            userbridge(&url, &["migrate", "--json"]).json(),
            json!({ "migrated": true })
        );
    }
    assert_eq!(userbridge(&url, &["org", "list", "--json"]).json(), json!([]));
}

#[tokio::test]
async fn health_is_asked_over_grpc() {
    let app = TestApp::start(Form::Embedded).await;
    let addr = app.server.grpc_addr.to_string();
    let ask = |extra: &'static [&str]| {
        let addr = addr.clone();
        let run = move || {
            userbridge(
                "sqlite:none",
                &[&["health", "--grpc-addr", &addr], extra].concat(),
            )
        };
        async { spawn_blocking(run).await.unwrap() }
    };
    let text = ask(&[]).await;
    assert_eq!((text.code, text.stdout.as_str()), (0, "SERVING\n"));
    assert_eq!(ask(&["--json"]).await.json(), json!({ "status": "SERVING" }));
    app.shutdown().await;
    let gone = ask(&[]).await;
    assert_eq!((gone.code, gone.stdout.as_str()), (1, ""));
    assert_one_line(&gone.stderr);
    let finished = userbridge("sqlite:none", &["health", "--grpc-addr", "no address"]);
    assert_eq!(finished.code, 1);
    assert_one_line(&finished.stderr);
}
