//! An import that is killed or told to end, and run again.

use std::{fs, io, thread, time::Duration};

use serde_json::Value;
use tokio::time::sleep;
use userbridge::{
    domain::{MemberFilter, OrganizationRef},
    service::{Admin, Directory},
    storage::{self, Migrate},
};

use super::{Place, lines, took};
use crate::support::{
    Count as _,
    process::{Process, USERBRIDGE, command},
};

/// How often it is looked whether something is there.
const LOOK: Duration = Duration::from_millis(5);

/// Whether a process has a handler for SIGTERM (`proc_pid_status(5)`).
fn handles_sigterm(id: u32) -> bool {
    const SIGTERM: u64 = 1 << 14;

    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    u64::from_str_radix(caught.unwrap().trim(), 16).unwrap() & SIGTERM != 0
}

#[test]
fn an_import_whose_input_says_nothing_can_be_told_to_end() {
    let place = Place::new();
    for more in [&[][..], &["--strict"]] {
        let (silent, _open) = io::pipe().unwrap();
        let mut import = Process::start(
            command(USERBRIDGE)
                .env("USERBRIDGE_DATABASE_URL", &place.url)
                .current_dir(place.folder.path())
                .args(["import", "--org", "acme", "--json", "-"])
                .args(more)
                .stdin(silent),
        );
        while !handles_sigterm(import.id()) {
            thread::sleep(LOOK);
        }
        import.signal("TERM");
        let said: Value = serde_json::from_str(&import.line()).unwrap();
        assert_eq!(said, took(0, 0, 0));
        assert_eq!(import.wait().code(), Some(1));
    }
}

#[test]
fn an_export_that_nobody_reads_can_be_told_to_end() {
    /// What a pipe takes (pipe(7)).
    const PIPE: u64 = 1 << 16;

    let place = Place::new();
    let rows = lines(3_000, |number| format!("p{number:05}@acme.example,Somebody\n"));
    let file = place.write("people.csv", format!("email,name\n{rows}"));
    assert_eq!(place.import(&[&file]).json(), took(3_000, 0, 0));
    let (unread, out) = io::pipe().unwrap();
    let mut export = command(USERBRIDGE)
        .env("USERBRIDGE_DATABASE_URL", &place.url)
        .args(["export", "--org", "acme"])
        .stdout(out)
        .spawn()
        .unwrap();
    while rustix::io::ioctl_fionread(&unread).unwrap() < PIPE {
        thread::sleep(LOOK);
    }
    let export_id = rustix::process::Pid::from_child(&export);
    rustix::process::kill_process(export_id, rustix::process::Signal::TERM).unwrap();
    assert_eq!(export.wait().unwrap().code(), Some(1));
}

#[test]
fn a_limit_of_the_size_of_files_is_an_error_like_a_full_disk() {
    let place = Place::new();
    let rows = lines(5_000, |number| format!("p{number:05}@acme.example,Somebody\n"));
    let file = place.write("people.csv", format!("email,name\n{rows}"));
    // In blocks of 512 bytes. The log would be larger.
    let limit = fs::metadata(place.path("users.db")).unwrap().len() / 512 + 100;
    let import = format!("ulimit -f {limit} && exec {USERBRIDGE} import --org acme --json {file}");
    let import = command("sh")
        .env("USERBRIDGE_DATABASE_URL", &place.url)
        .args(["-c", &import])
        .output()
        .unwrap();
    assert_eq!(import.status.code(), Some(1), "{import:?}");
    assert_eq!(place.run(&["check"]).code, 0);
    assert_eq!(place.import(&[&file]).json(), took(5_000, 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_was_cut_off_ends_as_if_it_had_not_been() {
    let place = Place::new();
    // Three transactions.
    let batch = storage::bulk_rows(&place.url).imported;
    let all = 3 * batch;
    // No two rows that follow each other have addresses that do. 7,919 is prime.
    let address = |number: usize| format!("p{:05}@acme.example", number * 7_919 % all);
    let rows = lines(all, |number| format!("{},Somebody,{number}\n", address(number)));
    let file = place.write("people.csv", format!("email,name,external_id\n{rows}"));
    let storage = storage::connect(&place.url, Migrate::Never).await.unwrap();
    let acme = OrganizationRef::Slug("acme".parse().unwrap());
    let directory = Directory::new(storage.clone());
    let acme = directory.organization(Admin::OPERATOR, acme).await.unwrap().id;
    let there = || async {
        storage
            .count_members(acme, MemberFilter::default())
            .await
            .unwrap()
    };
    for (round, signal) in [(1, "INT"), (2, "KILL")] {
        let mut import = Process::start(
            command(USERBRIDGE)
                .env("USERBRIDGE_DATABASE_URL", &place.url)
                .args(["import", "--org", "acme", "--json", &file]),
        );
        while there().await < batch as u64 * round {
            sleep(LOOK).await;
        }
        import.signal(signal);
        let said = import.line();
        let code = import.wait().code();
        if signal == "INT" {
            let said: Value = serde_json::from_str(&said).unwrap();
            let created = said["created"].as_u64().unwrap();
            let last = there().await.saturating_sub(created);
            assert!(
                [0, batch as u64].contains(&last),
                "{last} were created and not told of"
            );
            assert_eq!(code, Some(1));
        }
        assert_eq!(
            there().await % batch as u64,
            0,
            "a transaction is whole or not there"
        );
    }
    let before = there().await;
    assert!(before < all as u64, "it was cut off");
    storage.close().await;
    assert_eq!(
        place.import(&[&file]).json(),
        took(all as u64 - before, 0, before)
    );
    let emails = place.emails();
    assert_eq!(emails.len(), all);
    for (number, email) in emails.iter().enumerate() {
        assert_eq!(*email, format!("p{number:05}@acme.example"));
    }
    assert_eq!(place.run(&["check"]).code, 0);
    assert_eq!(place.import(&[&file]).json(), took(0, 0, all as u64));
}
