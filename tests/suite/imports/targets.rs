//! Where an export or a list goes, if something is there already.

use std::{
    fs::{self, File},
    io::Read as _,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, symlink},
};

use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};

use super::{Place, numbers, rejected};
use crate::cli::assert_one_line;

const PEOPLE: &str = "email\na@acme.example\nnobody\n";

const EXPORT: [&str; 3] = ["export", "--org", "acme"];

/// A directory with a member.
fn with_a_member() -> Place {
    let place = Place::new();
    let file = place.write("first.csv", "email\nfirst@acme.example\n");
    assert_eq!(place.import(&[&file]).code, 0);
    place
}

/// All that a folder has, but what SQLite changes by itself.
fn content(place: &Place) -> Vec<(String, u64, Vec<u8>)> {
    let entries = fs::read_dir(place.folder.path()).unwrap();
    let mut content: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file() && !path.to_string_lossy().ends_with("-shm"))
        .map(|path| {
            let inode = fs::metadata(&path).unwrap().ino();
            (path.display().to_string(), inode, fs::read(&path).unwrap())
        })
        .collect();
    content.sort();
    content
}

#[test]
fn an_export_is_written_through_a_pipe_that_has_a_name() {
    let place = with_a_member();
    let printed = place.run(&EXPORT).stdout;
    let path = place.path("pipe");
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    // Open at both ends, so that nobody waits.
    let mut pipe = File::options()
        .read(true)
        .write(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(&path)
        .unwrap();
    let finished = place.run(&[&EXPORT[..], &[path.to_str().unwrap()]].concat());
    assert_eq!((finished.code, finished.stderr.as_str()), (0, ""));
    assert!(fs::metadata(&path).unwrap().file_type().is_fifo());
    let mut bytes = [0; 1 << 14];
    let read = pipe.read(&mut bytes).unwrap();
    assert_eq!(std::str::from_utf8(&bytes[..read]), Ok(printed.as_str()));
}

#[test]
fn an_export_replaces_the_file_that_a_link_leads_to() {
    let place = with_a_member();
    let file = place.write("target.csv", "old");
    let link = place.path("link.csv");
    symlink(&file, &link).unwrap();
    let finished = place.run(&[&EXPORT[..], &[link.to_str().unwrap()]].concat());
    assert_eq!(finished.code, 0, "{finished:?}");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(&file).unwrap(), place.run(&EXPORT).stdout);
}

#[test]
fn an_export_that_can_not_be_written_says_where_it_was_to_go() {
    let place = with_a_member();
    place.write("file", "");
    for (name, why) in [("", "Is a directory"), ("file/people.csv", "Not a directory")] {
        let path = place.path(name).display().to_string();
        let finished = place.run(&[&EXPORT[..], &[&path]].concat());
        assert_eq!((finished.code, finished.stdout.as_str()), (1, ""), "{finished:?}");
        assert_one_line(&finished.stderr);
        let said = format!("error: {path}: {why}");
        assert!(finished.stderr.starts_with(&said), "{finished:?}");
    }
    let full = place.run(&[&EXPORT[..], &["/dev/full"]].concat());
    assert_eq!(full.code, 1);
    assert!(
        full.stderr.starts_with("error: /dev/full: No space left"),
        "{full:?}"
    );
}

#[test]
fn an_export_does_not_replace_the_database() {
    let place = with_a_member();
    let database = place.path("users.db");
    symlink(&database, place.path("link.db")).unwrap();
    fs::hard_link(&database, place.path("other.db")).unwrap();
    // A log is there as long as somebody has the database open.
    let serve = crate::support::process::Serve::start(&place.url);
    let before = content(&place);
    for name in ["users.db", "link.db", "other.db", "users.db-wal"] {
        let path = place.path(name).display().to_string();
        let finished = place.run(&[&EXPORT[..], &[&path]].concat());
        assert_eq!((finished.code, finished.stdout.as_str()), (4, ""), "{finished:?}");
        assert_one_line(&finished.stderr);
        assert!(finished.stderr.contains(&path), "{finished:?}");
        assert!(content(&place) == before, "{name}");
    }
    drop(serve);
}

#[test]
fn a_list_takes_the_place_of_no_other_file() {
    let place = with_a_member();
    let file = place.write("people.csv", PEOPLE);
    let other = place.write("other.csv", "mine\n");
    let database = place.path("users.db").display().to_string();
    let before = content(&place);
    for mode in [&[][..], &["--dry-run"], &["--strict"]] {
        for list in [&file, &other, &database] {
            let finished = place.import(&[mode, &["--rejected", list, &file]].concat());
            assert_eq!((finished.code, finished.stdout.as_str()), (4, ""), "{finished:?}");
            assert_one_line(&finished.stderr);
            assert!(finished.stderr.contains(list.as_str()), "{finished:?}");
            assert!(content(&place) == before, "{mode:?} {list}");
        }
    }
    let list = place.write("people.csv.rejected.csv", "mine\n");
    let finished = place.import(&[&file]);
    assert_eq!(finished.code, 4, "{finished:?}");
    assert_eq!(fs::read_to_string(&list).unwrap(), "mine\n");
    assert_eq!(place.emails(), ["first@acme.example"]);
    // What is empty is nothing that anybody misses, and a list is made anew.
    for (there, outcome) in [
        ("", [1, 0, 0, 1]),
        ("line,record,column,reason\n1,1,,old\n", [0, 0, 1, 1]),
    ] {
        fs::write(&list, there).unwrap();
        let finished = place.import(&[&file]);
        assert_eq!((finished.code, numbers(&finished)), (5, outcome), "{finished:?}");
        assert_eq!(rejected(&list).len(), 1);
    }
}
