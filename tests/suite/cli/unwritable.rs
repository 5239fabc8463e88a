//! Commands whose standard output, or standard error, takes nothing: a full device stands for it.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    process::{Output, Stdio},
};

use super::{Shell, assert_one_line};
use crate::support::process::{USERBRIDGE, command, serve};

fn full() -> Stdio {
    File::options().write(true).open("/dev/full").unwrap().into()
}

#[test]
fn a_command_that_can_not_print_says_so_in_one_line() {
    let shell = Shell::new();
    shell.ok(&["key", "create", "--org", "acme", "--scope", "public_api"]);
    let copy = shell.folder.path().join("copy.db").display().to_string();
    shell.ok(&["backup", &copy]);
    for arguments in [
        &["check"][..],
        &["restore", &copy],
        &["key", "create", "--org", "acme", "--scope", "admin"],
        &["key", "rotate", "--org", "acme"],
        &["key", "list", "--org", "acme"],
    ] {
        for extra in [&[][..], &["--json"]] {
            let Output { status, stderr, .. } = command(USERBRIDGE)
                .env("USERBRIDGE_DATABASE_URL", &shell.url)
                .args([arguments, extra].concat())
                .stdout(full())
                .output()
                .unwrap();
            let stderr = String::from_utf8(stderr).unwrap();
            assert_eq!(status.code(), Some(1), "{arguments:?}: {stderr}");
            assert_one_line(&stderr);
        }
    }
}

#[test]
fn a_command_that_can_not_say_what_is_wrong_ends_with_its_exit_code() {
    let shell = Shell::new();
    let status = command(USERBRIDGE)
        .env("USERBRIDGE_DATABASE_URL", &shell.url)
        .args(["org", "show", "nobody"])
        .stderr(full())
        .status();
    assert_eq!(status.unwrap().code(), Some(3));
}

#[test]
fn a_server_that_can_not_print_where_it_listens_serves() {
    let shell = Shell::new();
    for arguments in [&[][..], &["--json"], &["--demo"]] {
        let mut child = serve()
            .env("USERBRIDGE_DATABASE_URL", &shell.url)
            .env("USERBRIDGE_LOG", "info")
            .args(arguments)
            .stdout(full())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut log = log.map(Result::unwrap);
        assert!(log.any(|line| line.contains("serving")), "{arguments:?}");
        let kill = format!("kill -TERM {}", child.id());
        assert!(command("sh").args(["-c", &kill]).status().unwrap().success());
        let rest: Vec<_> = log.collect();
        assert!(child.wait().unwrap().success(), "{arguments:?}: {rest:?}");
    }
}
