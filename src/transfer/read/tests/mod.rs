//! What is read, and what is found to be wrong, a subject a file.

mod csv;
mod json;
mod long;
mod text;
mod values;
mod vendors;

use std::io::Cursor;

use super::{FileError, Flaw, ReadOptions, Reader, Reason, Record};
use crate::{
    domain::ImportRow,
    transfer::{Field, Format},
};

fn reader(file: impl AsRef<[u8]>, options: ReadOptions) -> Result<Reader, FileError> {
    Reader::new(Cursor::new(file.as_ref().to_vec()), options)
}

fn open(file: impl AsRef<[u8]>) -> Reader {
    reader(file, ReadOptions::default()).unwrap()
}

fn records(file: impl AsRef<[u8]>) -> Vec<Record> {
    open(file).map(Result::unwrap).collect()
}

/// The rows of a file in which nothing is wrong.
fn rows(file: impl AsRef<[u8]>) -> Vec<ImportRow> {
    records(file)
        .into_iter()
        .map(|record| record.row.unwrap())
        .collect()
}

fn row(file: impl AsRef<[u8]>) -> ImportRow {
    let mut rows = rows(file);
    assert_eq!(rows.len(), 1);
    rows.remove(0)
}

/// The addresses of good records, and what is wrong with the others, each with its line.
fn told(file: impl AsRef<[u8]>) -> Vec<String> {
    records(file).into_iter().map(|record| line(&record)).collect()
}

fn line(record: &Record) -> String {
    let said = match &record.row {
        Ok(row) => email(row).to_owned(),
        Err(flaws) => {
            assert!(!flaws.is_empty());
            flaws.iter().map(Flaw::to_string).collect::<Vec<_>>().join("; ")
        }
    };
    format!("{}: {said}", record.line)
}

fn email(row: &ImportRow) -> &str {
    row.values.email.as_ref().unwrap().as_ref().unwrap().as_str()
}

fn external_id(row: &ImportRow) -> &str {
    row.origin.external_id.as_ref().unwrap().as_str()
}

/// What ends the reading.
fn error(file: impl AsRef<[u8]>) -> String {
    error_with(file, ReadOptions::default())
}

fn error_with(file: impl AsRef<[u8]>, options: ReadOptions) -> String {
    let error = match reader(file, options) {
        Err(error) => error,
        Ok(mut reader) => {
            let error = reader.find_map(Result::err).unwrap();
            assert!(reader.next().is_none(), "nothing comes behind an error");
            error
        }
    };
    error.to_string()
}

fn named(format: Format) -> ReadOptions {
    ReadOptions {
        format: Some(format),
        ..ReadOptions::default()
    }
}

fn mapped(map: &[(Field, &str)]) -> ReadOptions {
    ReadOptions {
        map: map
            .iter()
            .map(|(field, column)| (*field, (*column).to_owned()))
            .collect(),
        ..ReadOptions::default()
    }
}

/// A JSON object or a row of CSV whose value in `column` is this, with the column's flaws or none.
fn flaws_of(file: &str) -> Vec<(String, Reason)> {
    let mut records = records(file);
    assert_eq!(records.len(), 1);
    match records.remove(0).row {
        Ok(_) => Vec::new(),
        Err(flaws) => flaws.into_iter().map(|flaw| (flaw.column, flaw.reason)).collect(),
    }
}
