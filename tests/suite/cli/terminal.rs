//! What is printed on a terminal: a pseudo-terminal stands for it.

use std::{
    fs::File,
    io::Read as _,
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
    path::Path,
    process::Stdio,
};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::{SALLY, Shell};
use crate::support::process::{USERBRIDGE, command};

/// Both ends of a terminal: what a person sees, and what a program writes to.
pub(crate) fn pair() -> (OwnedFd, OwnedFd) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap();
    let name = Path::new(std::ffi::OsStr::from_bytes(name.as_bytes()));
    let terminal = OwnedFd::from(File::options().read(true).write(true).open(name).unwrap());
    (ours, terminal)
}

/// Standard output of the command as a terminal shows it, and standard error, which is none.
fn on_a_terminal(shell: &Shell, arguments: &[&str]) -> (String, String) {
    let (ours, terminal) = pair();
    let child = command(USERBRIDGE)
        .env("USERBRIDGE_DATABASE_URL", &shell.url)
        .args(arguments)
        .stdout(terminal)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut shown, mut bytes) = (Vec::new(), [0; 1024]);
    let mut ours = File::from(ours);
    // It fails (EIO) when nobody has the terminal open any more.
    while let Ok(read) = ours.read(&mut bytes) {
        shown.extend_from_slice(&bytes[..read]);
    }
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success(), "{ended:?}");
    let shown = String::from_utf8(shown).unwrap().replace("\r\n", "\n");
    (shown, String::from_utf8(ended.stderr).unwrap())
}

fn words(line: &str) -> Vec<&str> {
    line.split("  ")
        .map(str::trim)
        .filter(|word| !word.is_empty())
        .collect()
}

#[test]
fn lists_and_single_things_are_tables_with_headings() {
    let shell = Shell::new();
    shell.ok(&["org", "create", "a-longer-slug", "--name", "東京"]);
    let (shown, _) = on_a_terminal(&shell, &["org", "list"]);
    let lines: Vec<_> = shown.lines().collect();
    assert_eq!(words(lines[0]), ["SLUG", "ID", "CREATED", "NAME"]);
    assert_eq!(lines.len(), 3, "{shown}");
    assert!(lines[2].starts_with("acme           0"), "{shown}");
    assert!(!shown.contains(['\t', '\u{1b}']), "{shown}");
    // What a script reads has the same cells.
    let piped = shell.ok(&["org", "list"]);
    let cells: Vec<Vec<_>> = piped.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(
        lines[1..].iter().map(|line| words(line)).collect::<Vec<_>>(),
        cells
    );

    shell.ok(&["member", "link", "--org", "acme", "--email", SALLY]);
    let (shown, _) = on_a_terminal(&shell, &["member", "show", "--org", "acme", "--email", SALLY]);
    let headings = [
        "USER ID",
        "EMAIL",
        "PORTAL ROLE",
        "CREATED",
        "NAME",
        "ROLE",
        "STATE",
    ];
    assert_eq!(words(shown.lines().next().unwrap()), headings);
    let (shown, _) = on_a_terminal(&shell, &["key", "list", "--org", "acme"]);
    assert_eq!(shown, "");
    let (shown, _) = on_a_terminal(&shell, &["org", "list", "--json"]);
    assert_eq!(shown, shell.ok(&["org", "list", "--json"]));
}

#[test]
fn a_key_comes_with_the_warning_that_it_is_shown_only_now() {
    let shell = Shell::new();
    for arguments in [
        &["key", "create", "--org", "acme", "--scope", "public_api"][..],
        &["key", "rotate", "--org", "acme"],
        &["key", "rotate", "--org", "acme", "--json"],
    ] {
        let (shown, warning) = on_a_terminal(&shell, arguments);
        assert!(shown.contains("pb_") && shown.lines().count() == 1, "{shown}");
        assert_eq!(warning, "Keep this key now: it can't be shown again.\n");
    }
    // `ok` sees that nothing is said where the key goes to a program.
    shell.ok(&["key", "rotate", "--org", "acme"]);
}
