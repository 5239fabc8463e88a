//! Settings in a file, and `userbridge config`.

use std::{fs, path::PathBuf, process::Command};

use serde_json::Value;

use super::assert_one_line;
use crate::support::{
    process::{Finished, Process, USERBRIDGE, command, gateway_program},
    skip,
};

/// A folder with a file of settings.
struct Settings {
    folder: tempfile::TempDir,
}

impl Settings {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("settings.toml"), text).unwrap();
        Self { folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("settings.toml")
    }

    /// `userbridge`, which has the file by its variable.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command(USERBRIDGE);
        command.env("USERBRIDGE_CONFIG", self.path()).args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> Finished {
        self.command(arguments).output().unwrap().into()
    }

    /// What it says is wrong, which is one line that begins with that of the file.
    fn error(&self, line: usize) -> String {
        let finished = self.run(&["config"]);
        assert_eq!((finished.code, finished.stdout.as_str()), (2, ""), "{finished:?}");
        assert_one_line(&finished.stderr);
        let at = format!("error: {}:{line}: ", self.path().display());
        let what = finished.stderr.strip_prefix(&at);
        what.unwrap_or_else(|| panic!("{finished:?}"))
            .trim_end()
            .to_owned()
    }
}

/// One of the settings that `config --json` prints.
fn setting<'a>(shown: &'a Value, name: &str) -> &'a Value {
    let mut settings = shown.as_array().unwrap().iter();
    settings.find(|setting| setting["name"] == name).unwrap()
}

/// Value, kind of source, and where.
fn told<'a>(shown: &'a Value, name: &str) -> (&'a str, &'a str, &'a str) {
    let setting = setting(shown, name);
    let text = |value: &'a Value| value.as_str().unwrap_or_default();
    (
        text(&setting["values"][0]),
        text(&setting["from"]),
        text(&setting["at"]),
    )
}

#[test]
fn a_flag_wins_over_the_environment_that_over_the_file_and_that_over_the_default() {
    let settings = Settings::new(
        "http-addr = '127.0.0.1:1001'\ngrpc-addr = '127.0.0.1:1002'\n\nmax-connections = 0x10\nno-migrate = true\n",
    );
    let run = settings
        .command(&["config", "--http-addr", "127.0.0.1:2001", "--json"])
        .env("USERBRIDGE_HTTP_ADDR", "127.0.0.1:3001")
        .env("USERBRIDGE_GRPC_ADDR", "127.0.0.1:3002")
        .output()
        .unwrap();
    let shown = Finished::from(run).json();
    let line = |number: usize| format!("{}:{number}", settings.path().display());
    assert_eq!(told(&shown, "http-addr"), ("127.0.0.1:2001", "flag", ""));
    assert_eq!(
        told(&shown, "grpc-addr"),
        ("127.0.0.1:3002", "environment", "USERBRIDGE_GRPC_ADDR")
    );
    assert_eq!(told(&shown, "max-connections"), ("16", "file", line(4).as_str()));
    assert_eq!(told(&shown, "no-migrate"), ("true", "file", line(5).as_str()));
    assert_eq!(told(&shown, "drain-seconds"), ("20", "default", ""));
    assert_eq!(
        told(&shown, "database-url"),
        ("sqlite:userbridge.db", "default", "")
    );
    assert_eq!(setting(&shown, "admin-addr")["values"], Value::Null);

    let other = settings
        .command(&["config", "--json"])
        .env("USERBRIDGE_NO_MIGRATE", "false")
        .output()
        .unwrap();
    let shown = Finished::from(other).json();
    assert_eq!(
        told(&shown, "no-migrate"),
        ("false", "environment", "USERBRIDGE_NO_MIGRATE")
    );
}

#[test]
fn a_variable_without_a_value_is_no_switch() {
    let settings = Settings::new("no-migrate = true\n");
    let finished = settings
        .command(&["config"])
        .env("USERBRIDGE_NO_MIGRATE", "")
        .output()
        .unwrap();
    let finished = Finished::from(finished);
    assert_eq!((finished.code, finished.stdout.as_str()), (2, ""), "{finished:?}");
    assert!(
        finished
            .stderr
            .starts_with("error: invalid value '' for '--no-migrate'"),
        "{finished:?}"
    );
}

#[test]
fn the_file_that_a_flag_names_wins_over_that_of_the_environment() {
    let (named, other) = (
        Settings::new("drain-seconds = 3"),
        Settings::new("drain-seconds = 4"),
    );
    let path = named.path().display().to_string();
    let shown = other.run(&["--config", &path, "config", "--json"]).json();
    assert_eq!(told(&shown, "drain-seconds").0, "3");
    assert_eq!(told(&shown, "config"), (path.as_str(), "flag", ""));
}

#[test]
fn a_server_has_the_settings_of_its_file() {
    let settings =
        Settings::new("grpc-addr = '127.0.0.1:0'\nhttp-addr = '127.0.0.1:0'\nadmin-addr = '127.0.0.1:0'\n");
    let database = settings.folder.path().join("named.db");
    let text = fs::read_to_string(settings.path()).unwrap();
    fs::write(
        settings.path(),
        format!("{text}database-url = 'sqlite:{}'\n", database.display()),
    )
    .unwrap();
    let mut server = Process::start(
        settings
            .command(&["serve", "--json"])
            .env("USERBRIDGE_LOG", "error"),
    );
    let announced: Value = serde_json::from_str(&server.line()).unwrap();
    assert!(announced["admin_addr"].is_string());
    server.terminate();
    assert!(server.wait().success());
    assert!(database.exists());

    let finished = settings.run(&["org", "create", "--name", "Acme Inc", "--", "acme"]);
    assert_eq!(finished.code, 0, "{finished:?}");
    let listed = settings.run(&["org", "list", "--json"]).json();
    assert_eq!(listed[0]["slug"], "acme", "other commands have its database");
}

#[test]
fn what_is_no_setting_is_refused_with_its_line() {
    for (text, line, expected) in [
        (
            "# first\nhttp_addr = '127.0.0.1:0'",
            2,
            "no setting is named http_addr",
        ),
        ("demo = true", 1, "no setting is named demo"),
        ("config = 'other.toml'", 1, "no setting is named config"),
        (
            "[serve]\nhttp-addr = '127.0.0.1:0'",
            1,
            "no setting is named serve",
        ),
        ("drain-seconds = 3\ndrain-seconds = 4", 2, "duplicate key"),
        ("drain-seconds = 3\n\nhttp-addr = [", 3, "unclosed array"),
        ("no-migrate = 'yes'", 1, "no-migrate must be true or false"),
        (
            "http-addr = 1979-05-27",
            1,
            "http-addr must be a text, a number, true or false",
        ),
        (
            "mail-dir = ['a', 'b']",
            1,
            "mail-dir must be a text, a number, true or false",
        ),
        (
            "\nhttp-addr = 'nowhere'",
            2,
            "invalid value 'nowhere' for '--http-addr <ADDR>': invalid socket address syntax",
        ),
        (
            "smtp-timeout = -1",
            1,
            "invalid value '-1' for '--smtp-timeout <SECONDS>'",
        ),
        (
            "mail-dir = 'mails'\nsmtp-url = 'smtp://mail.example.com'",
            2,
            "the argument '--smtp-url <URL>' cannot be used with '--mail-dir <DIR>'",
        ),
        (
            "drain-seconds = 3\nrate-burst = 5",
            2,
            "rate-burst takes --rate-limit <NUMBER>",
        ),
        (
            "\n\ntls-cert = 'cert.pem'\nrate-burst = 5",
            4,
            "rate-burst takes --rate-limit <NUMBER>",
        ),
        ("\n\ntls-cert = 'cert.pem'", 3, "tls-cert takes --tls-key <FILE>"),
        (
            "smtp-url = 'smtp://mail.example.com'",
            1,
            "smtp-url takes --mail-from <ADDRESS> --public-url <URL>",
        ),
    ] {
        let what = Settings::new(text).error(line);
        assert!(what.starts_with(expected), "{text}\n{what}");
    }
}

#[test]
fn a_file_that_is_not_there_is_an_error() {
    let finished = Settings::new("").run(&["--config", "nowhere.toml", "config"]);
    assert_eq!(finished.code, 2);
    assert_one_line(&finished.stderr);
    assert!(
        finished.stderr.starts_with("error: nowhere.toml: "),
        "{finished:?}"
    );
}

#[test]
fn what_a_flag_requires_may_be_in_the_file() {
    let settings =
        Settings::new("mail-from = 'people@example.com'\npublic-url = 'https://people.example.com'");
    let arguments = ["config", "--smtp-url", "smtp://mail.example.com", "--json"];
    let shown = settings.run(&arguments).json();
    assert_eq!(told(&shown, "smtp-url"), ("smtp://mail.example.com", "flag", ""));
    let without = Settings::new("mail-from = 'people@example.com'").run(&arguments);
    assert_eq!(without.code, 2, "{without:?}");
    assert!(without.stderr.contains("--public-url <URL>"), "{without:?}");
}

#[test]
fn no_password_is_printed() {
    let settings = Settings::new("database-url = 'postgres://bob:hunter2@db.example.com/users'");
    let text = settings.run(&["config"]);
    let json = settings
        .command(&[
            "config",
            "--json",
            "--database-replica-url",
            "postgres://bob@db/users?password=hunter2",
        ])
        .output()
        .unwrap();
    let json = Finished::from(json);
    for finished in [&text, &json] {
        assert_eq!(finished.code, 0, "{finished:?}");
        assert!(!finished.stdout.contains("hunter2"), "{finished:?}");
        assert!(
            finished
                .stdout
                .contains("postgres://bob:***@db.example.com/users")
        );
    }
    assert!(json.stdout.contains("postgres://bob@db/users?password=***"));
}

#[test]
fn the_gateway_has_a_file_of_its_own() {
    let Some(gateway) = gateway_program() else {
        return skip("the gateway is not built: `cargo test --workspace` builds it");
    };
    let settings = Settings::new("http-addr = '127.0.0.1:0'\nupstream = 'http://127.0.0.1:9'\n");
    let mut process = Process::start(command(&gateway).arg("--config").arg(settings.path()));
    assert!(process.line().starts_with("JSON on http://127.0.0.1:"));
    process.terminate();
    assert!(process.wait().success());

    let settings = Settings::new("grpc-addr = '127.0.0.1:0'");
    let refused = command(&gateway)
        .arg("--config")
        .arg(settings.path())
        .output()
        .unwrap();
    let refused = Finished::from(refused);
    assert_eq!(refused.code, 2);
    assert!(
        refused.stderr.contains(":1: no setting is named grpc-addr"),
        "{refused:?}"
    );
}
