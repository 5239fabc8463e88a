//! `userbridge backup` and `userbridge restore`, as processes.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, symlink},
    path::Path,
    process::{Child, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    cli::assert_one_line,
    copy::world::fill,
    support::{
        database,
        engine::{Engine as _, Postgres},
        postgres::Database,
        process::{Finished, Serve, USERBRIDGE, command, userbridge},
    },
    upgrade::of_the_first_version,
};

const BEFORE: &str = "before@acme.example.com";

fn ok(url: &str, arguments: &[&str]) -> Finished {
    let finished = userbridge(url, arguments);
    assert_eq!(finished.code, 0, "{arguments:?}: {finished:?}");
    finished
}

fn link(url: &str, email: &str) {
    ok(url, &["member", "link", "--org", "acme", "--email", email]);
}

fn emails(url: &str) -> Vec<String> {
    let listed = ok(url, &["member", "list", "--org", "acme", "--json"]).json();
    let members = listed.as_array().unwrap().iter();
    members
        .map(|member| member["email"].as_str().unwrap_or("-").to_owned())
        .collect()
}

/// One member, and a folder for backups.
fn acme(url: &str) -> TempDir {
    ok(url, &["org", "create", "acme"]);
    link(url, BEFORE);
    TempDir::new().unwrap()
}

fn in_folder(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).to_str().unwrap().to_owned()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn refused(url: &str, arguments: &[&str], code: i32) -> String {
    let finished = userbridge(url, arguments);
    assert_eq!(
        (finished.code, finished.stdout.as_str()),
        (code, ""),
        "{finished:?}"
    );
    assert_one_line(&finished.stderr);
    finished.stderr
}

/// A restore from a pipe that stays open.
fn restoring(url: &str) -> Child {
    command(USERBRIDGE)
        .args(["restore", "-", "--database-url", url])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn a_backup_of_a_running_server_is_what_was_there_then_and_is_restored_over_what_came_later() {
    let (folder, url) = database();
    let backups = acme(&url);
    let file = in_folder(&backups, "copy.db");
    let mut serve = Serve::start(&url);
    let made = ok(&url, &["backup", &file, "--json"]).json();
    assert_eq!(
        made["bytes"].as_u64().unwrap(),
        fs::metadata(&file).unwrap().len()
    );
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    assert_eq!(names(backups.path()), ["copy.db"]);
    for index in 0..10 {
        link(&url, &format!("after{index}@acme.example.com"));
    }
    let path = folder.path().join("users.db");
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
    // What the server has not folded in lies beside the file.
    serve.process.kill();
    assert!(fs::metadata(folder.path().join("users.db-wal")).unwrap().len() > 0);

    let restored = ok(&url, &["restore", &file]).stdout;
    assert_eq!(restored.lines().count(), 2, "{restored}");
    assert_eq!(names(folder.path()), ["users.db"]);
    assert_eq!(emails(&url), [BEFORE]);
    assert_eq!(
        fs::metadata(&path).unwrap().mode() & 0o777,
        0o640,
        "it is for whom it was"
    );
    let mut serve = Serve::start(&url);
    link(&url, "later@acme.example.com");
    serve.process.terminate();
    assert!(serve.process.wait().success());
    // A backup is a whole database.
    assert_eq!(emails(&format!("sqlite:{file}")), [BEFORE]);
}

#[test]
fn a_backup_goes_through_a_pipe_both_ways() {
    let (_folder, url) = database();
    let _backups = acme(&url);
    let made = command(USERBRIDGE)
        .args(["backup", "-", "--database-url", &url])
        .output()
        .unwrap();
    assert!(made.status.success() && made.stderr.is_empty(), "{made:?}");
    let (_folder, other) = database();
    let mut restore = restoring(&other);
    restore.stdin.take().unwrap().write_all(&made.stdout).unwrap();
    assert!(restore.wait().unwrap().success());
    assert_eq!(emails(&other), [BEFORE]);
}

#[test]
fn a_file_that_is_there_is_replaced_only_by_force() {
    let (_folder, url) = database();
    let backups = acme(&url);
    let file = in_folder(&backups, "copy.db");
    fs::write(&file, "mine").unwrap();
    assert!(refused(&url, &["backup", &file], 4).contains(&file));
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    ok(&url, &["backup", &file, "--force"]);
    assert_eq!(emails(&format!("sqlite:{file}")), [BEFORE]);
}

#[test]
fn not_even_force_replaces_a_database_that_is_in_use_or_what_is_no_file() {
    let (folder, url) = database();
    let backups = acme(&url);
    let own = folder.path().join("users.db");
    let (link, other) = (in_folder(&backups, "link.db"), in_folder(&backups, "other.db"));
    symlink(&own, &link).unwrap();
    fs::hard_link(&own, &other).unwrap();
    fs::write(in_folder(&backups, "elsewhere"), "theirs").unwrap();
    let led = in_folder(&backups, "led.db");
    symlink("elsewhere", &led).unwrap();
    let pipe = in_folder(&backups, "pipe");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let (logged, indexed) = (
        in_folder(&backups, "logged.db"),
        in_folder(&backups, "indexed.db"),
    );
    for (file, suffix) in [(&logged, "-wal"), (&indexed, "-shm")] {
        fs::write(file, "theirs").unwrap();
        fs::write(format!("{file}{suffix}"), "").unwrap();
    }
    let identities = || -> Vec<(String, u64)> {
        let identity = |name: String| {
            let inode = fs::symlink_metadata(backups.path().join(&name)).unwrap().ino();
            (name, inode)
        };
        names(backups.path()).into_iter().map(identity).collect()
    };
    let before = identities();
    let own = own.to_str().unwrap();
    for file in [own, &link, &other, &led, &pipe, &logged, &indexed] {
        for force in [&[][..], &["--force"]] {
            let said = refused(&url, &[&["backup", file], force].concat(), 4);
            assert!(said.contains(file), "{said}");
            assert_eq!(identities(), before, "{file}");
        }
    }
    assert_eq!(emails(&url), [BEFORE]);
}

#[tokio::test]
async fn a_backup_of_an_earlier_version_is_restored_and_migrated_later() {
    let (old, _) = of_the_first_version().await;
    let file = in_folder(&old, "users.db");
    for json in [false, true] {
        let (_folder, url) = database();
        acme(&url);
        if json {
            let said = ok(&url, &["restore", &file, "--json"]).json();
            assert_eq!(
                (&said["migrated"], &said["findings"]),
                (&Value::Bool(false), &Value::Array(Vec::new()))
            );
        } else {
            let said = ok(&url, &["restore", &file]).stdout;
            assert_eq!(said.lines().count(), 2, "{said}");
            assert!(said.contains("`userbridge migrate`"), "{said}");
        }
        assert!(refused(&url, &["check"], 1).contains("older schema"));
        ok(&url, &["migrate"]);
        ok(&url, &["check"]);
    }
}

#[test]
fn nothing_is_restored_while_a_server_has_the_database_open() {
    let (folder, url) = database();
    let backups = acme(&url);
    let file = in_folder(&backups, "copy.db");
    ok(&url, &["backup", &file]);
    let serve = Serve::start(&url);
    link(&url, "after@acme.example.com");
    let identity = || fs::metadata(folder.path().join("users.db")).unwrap().ino();
    let before = identity();
    assert!(refused(&url, &["restore", &file], 4).contains("in use"));
    assert_eq!(identity(), before);
    assert_eq!(emails(&url).len(), 2);
    drop(serve);
    ok(&url, &["restore", &file]);
    assert_ne!(identity(), before);
}

#[test]
fn what_is_no_whole_backup_is_refused_and_the_database_stays() {
    let (folder, url) = database();
    let backups = acme(&url);
    let file = in_folder(&backups, "copy.db");
    ok(&url, &["backup", &file]);
    let good = fs::read(&file).unwrap();
    let mut torn = good.clone();
    let middle = torn.len() / 2 / 4096 * 4096;
    torn[middle..middle + 4096].fill(0x55);
    for (what, bytes, says) in [
        ("nothing", &b""[..], "empty"),
        (
            "a text",
            b"no database, but as long as the head of one would be: a hundred bytes or more, to be sure, 123",
            "not an SQLite",
        ),
        ("the first half", &good[..good.len() / 2], "damaged"),
        ("a damaged page", &torn, "damaged"),
    ] {
        fs::write(&file, bytes).unwrap();
        let line = refused(&url, &["restore", &file], 1);
        assert!(line.contains(says), "{what}: {line}");
    }
    assert!(refused(&url, &["restore", "/nowhere/copy.db"], 3).contains("/nowhere/copy.db"));
    let directory = backups.path().to_str().unwrap();
    assert!(refused(&url, &["restore", directory], 1).contains(&format!(" {directory}: is a directory")));
    // A database that is in use has the rest of it elsewhere.
    fs::write(&file, &good).unwrap();
    fs::write(in_folder(&backups, "copy.db-wal"), "").unwrap();
    assert!(refused(&url, &["restore", &file], 1).contains("copy.db-wal"));
    assert_eq!(emails(&url), [BEFORE]);
    assert_eq!(names(folder.path()), ["users.db"]);
    // Nor is anything replaced that is no directory.
    fs::remove_file(in_folder(&backups, "copy.db-wal")).unwrap();
    let other = in_folder(&backups, "other.db");
    fs::write(&other, "something else\n".repeat(100)).unwrap();
    refused(&format!("sqlite:{other}"), &["restore", &file], 1);
    assert!(fs::read_to_string(&other).unwrap().starts_with("something else"));
}

#[test]
fn a_damaged_database_is_replaced_by_its_backup() {
    let (folder, url) = database();
    let backups = acme(&url);
    let file = in_folder(&backups, "copy.db");
    ok(&url, &["backup", &file]);
    let path = folder.path().join("users.db");
    let mut bytes = fs::read(&path).unwrap();
    let length = bytes.len();
    bytes[100..length / 2].fill(0x55);
    fs::write(&path, bytes).unwrap();
    fs::write(folder.path().join("users.db-wal"), "what is left of a log").unwrap();
    ok(&url, &["restore", &file]);
    assert_eq!(names(folder.path()), ["users.db"]);
    assert_eq!(emails(&url), [BEFORE]);
}

#[test]
fn a_restore_that_is_killed_has_done_all_or_nothing() {
    let (folder, url) = database();
    let backups = acme(&url);
    let file = in_folder(&backups, "copy.db");
    ok(&url, &["backup", &file]);
    link(&url, "after@acme.example.com");
    let newer = in_folder(&backups, "newer.db");
    ok(&url, &["backup", &newer]);
    // In the middle of the backup.
    let bytes = fs::read(&file).unwrap();
    let mut restore = restoring(&url);
    let mut pipe = restore.stdin.take().unwrap();
    pipe.write_all(&bytes[..bytes.len() / 2]).unwrap();
    while names(folder.path()).len() == 1 {
        thread::yield_now();
    }
    restore.kill().unwrap();
    restore.wait().unwrap();
    assert_eq!(emails(&url).len(), 2);
    // Wherever it is by then.
    let (mut old, mut new) = (0, 0);
    for micros in (0..60).map(|step| step * 1000) {
        ok(&url, &["restore", &newer]);
        // A log that a server has left takes part.
        let mut serve = Serve::start(&url);
        serve.process.kill();
        let mut restore = command(USERBRIDGE)
            .args(["restore", &file, "--database-url", &url])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(Duration::from_micros(micros));
        restore.kill().unwrap();
        restore.wait().unwrap();
        match emails(&url).len() {
            1 => new += 1,
            2 => old += 1,
            other => panic!("{other} members"),
        }
        ok(&url, &["check"]);
    }
    println!("{old} times nothing, {new} times all");
    assert!(old > 0);
}

#[test]
fn a_restore_that_is_told_to_end_leaves_nothing_behind() {
    let (folder, url) = database();
    let _backups = acme(&url);
    let mut restore = restoring(&url);
    let _pipe = restore.stdin.take().unwrap();
    while names(folder.path()).len() == 1 {
        thread::yield_now();
    }
    let kill = format!("kill -TERM {}", restore.id());
    assert!(command("sh").args(["-c", &kill]).status().unwrap().success());
    assert_eq!(restore.wait().unwrap().code(), Some(1));
    assert_eq!(names(folder.path()), ["users.db"]);
    assert_eq!(emails(&url), [BEFORE]);
}

#[test]
fn a_backup_is_of_one_moment_while_others_write() {
    let (_folder, url) = database();
    let backups = acme(&url);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for index in 0.. {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                link(&url, &format!("member{index}@acme.example.com"));
            }
        });
        let mut most = 0;
        for index in 0..5 {
            let file = in_folder(&backups, &format!("copy{index}.db"));
            ok(&url, &["backup", &file]);
            let copy = format!("sqlite:{file}");
            ok(&copy, &["check"]);
            let members = emails(&copy).len();
            assert!(members >= most, "{members} after {most}");
            most = members;
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[tokio::test]
async fn a_backup_of_postgresql_goes_into_either_engine() {
    let Some(engine) = Postgres::new().await else {
        return;
    };
    let Some(empty) = Database::create() else { return };
    fill(engine.url()).await;
    let backups = TempDir::new().unwrap();
    let file = in_folder(&backups, "copy.db");
    // A server that writes does not keep it from being one moment's.
    let serve = Serve::start(engine.url());
    ok(engine.url(), &["backup", &file]);
    link(engine.url(), "later@acme.example.com");
    drop(serve);
    assert_eq!(names(backups.path()), ["copy.db"]);
    let before = emails(&format!("sqlite:{file}"));
    let (_folder, url) = database();
    for url in [url.as_str(), empty.url()] {
        ok(url, &["restore", &file]);
        assert_eq!(emails(url), before, "{url}");
        let report: Value = ok(url, &["check", "--json"]).json();
        assert_eq!(report["ok"], true);
    }
    // It is no new database any more.
    refused(empty.url(), &["restore", &file], 4);
}

#[test]
fn progress_is_shown_on_a_terminal_once_it_takes_long_and_nowhere_else() {
    let (folder, url) = database();
    let _backups = acme(&url);
    let (ours, theirs) = crate::cli::terminal::pair();
    let mut shown = command(USERBRIDGE)
        .args(["restore", "-", "--database-url", &url])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(theirs)
        .spawn()
        .unwrap();
    let (_folder, other) = database();
    let mut hidden = restoring(&other);
    let mut ours = File::from(ours);
    let mut seen = Vec::new();
    // Until then both wait for what does not come.
    while !String::from_utf8_lossy(&seen).contains("restore") {
        let mut bytes = [0; 256];
        let read = ours.read(&mut bytes).unwrap();
        seen.extend_from_slice(&bytes[..read]);
    }
    for restore in [&mut shown, &mut hidden] {
        restore.kill().unwrap();
        restore.wait().unwrap();
    }
    let mut said = String::new();
    hidden.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(said, "");
    assert!(names(folder.path()).contains(&"users.db".to_owned()));
}
