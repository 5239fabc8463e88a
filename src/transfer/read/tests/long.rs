//! Records that are too long to be held.

use std::io::{self, Read};

use super::*;

/// The length of a file that nobody wants in memory, and one that shows the same sooner.
const LONG: u64 = 200 << 20;
const SHORTER: u64 = 9 << 20;

/// A file with so many bytes of one letter in it: what it says, and that little of it was in memory.
fn told_of(start: &str, length: u64, end: &str) -> Vec<String> {
    let long = io::repeat(b'x').take(length);
    let file = Cursor::new(start.to_owned())
        .chain(long)
        .chain(Cursor::new(end.to_owned()));
    let mut reader = Reader::new(file, ReadOptions::default()).unwrap();
    let records: Vec<_> = reader.by_ref().map(|record| line(&record.unwrap())).collect();
    assert!(reader.input.room() <= 4 * super::super::MAX_RECORD);
    records
}

#[test]
fn a_line_of_200_mb_is_one_flaw() {
    let long = "is longer than 1 MiB";
    assert_eq!(
        told_of("email,name\na@b,A\nc@d,", LONG, "\ne@f,F\n"),
        ["2: a@b".to_owned(), format!("3: {long}"), "4: e@f".to_owned()]
    );
    assert_eq!(
        told_of("email,name\na@b,A\n", SHORTER, ""),
        ["2: a@b".to_owned(), format!("3: {long}")]
    );
    assert_eq!(
        told_of(
            "{\"email\":\"a@b\"}\n{\"email\":\"",
            LONG,
            "\"}\n{\"email\":\"e@f\"}\n"
        ),
        ["1: a@b".to_owned(), format!("2: {long}"), "3: e@f".to_owned()]
    );
}

#[test]
fn quotes_around_200_mb_are_one_flaw() {
    assert_eq!(
        told_of("email,name\na@b,\"", LONG, "\n\"\nc@d,D\n"),
        ["2: is longer than 1 MiB", "4: c@d"]
    );
    // And so they are if they are never closed.
    assert_eq!(
        told_of("email,name\na@b,\"", SHORTER, "\nc@d,D\n"),
        ["2: is longer than 1 MiB"]
    );
}

#[test]
fn an_object_of_200_mb_is_one_flaw() {
    assert_eq!(
        told_of(
            "[{\"email\":\"a@b\"},\n{\"x\":[\"",
            LONG,
            "\"]},\n{\"email\":\"c@d\"}]"
        ),
        ["1: a@b", "2: is longer than 1 MiB", "3: c@d"]
    );
    assert_eq!(
        told_of("{\"note\":\"", SHORTER, "\",\"users\":[{\"email\":\"a@b\"}]}"),
        ["1: a@b"],
        "what stands before the records is passed over"
    );
    assert_eq!(told_of("[", SHORTER, "]"), ["1: is longer than 1 MiB"]);
}

#[test]
fn a_record_may_have_1_mib() {
    let limit = super::super::MAX_RECORD;
    let object = |length: usize| {
        let rest = r#"{"email":"a@b","note":""}"#.len();
        format!(r#"{{"email":"a@b","note":"{}"}}"#, "x".repeat(length - rest))
    };
    assert_eq!(told(object(limit)), ["1: a@b"]);
    assert_eq!(told(object(limit + 1)), ["1: is longer than 1 MiB"]);
    assert_eq!(told(format!("[{}]", object(limit))), ["1: a@b"]);
    assert_eq!(
        told(format!("[{}]", object(limit + 1))),
        ["1: is longer than 1 MiB"]
    );
    let row = |length: usize| format!("email,note\na@b,{}\n", "x".repeat(length - 3));
    assert_eq!(told(row(limit)), ["2: a@b"]);
    assert_eq!(told(row(limit + 1)), ["2: is longer than 1 MiB"]);
}

#[test]
fn a_header_of_more_than_1_mib_ends_the_reading() {
    let header = format!("email,{}", "column,".repeat(200_000));
    assert_eq!(
        error(format!("{header}\na@b\n")),
        "the header is longer than 1 MiB"
    );
    let long = Cursor::new("email,").chain(io::repeat(b'x').take(LONG));
    let error = Reader::new(long, ReadOptions::default()).err().unwrap();
    assert!(matches!(error, FileError::LongHeader), "{error}");
}
