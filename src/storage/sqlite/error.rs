//! SQLite's errors, named.

use sqlx::error::ErrorKind;

use crate::{domain::Outage, storage::StoreError};

// Primary result codes: the low byte of extended ones (sqlite.org/rescode.html).
const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const NOMEM: i32 = 7;
const READONLY: i32 = 8;
const IOERR: i32 = 10;
const CORRUPT: i32 = 11;
const FULL: i32 = 13;
const CANTOPEN: i32 = 14;
const PROTOCOL: i32 = 15;
const NOTADB: i32 = 26;

/// What an error of the engine means to the layers above.
pub(super) fn store_error(error: sqlx::Error) -> StoreError {
    match (outage(&error), error) {
        (Some(outage), _) => StoreError::Unavailable(outage),
        (None, sqlx::Error::ColumnDecode { index, .. }) => {
            StoreError::Corrupt(index.trim_matches('"').to_owned())
        }
        (None, other) => StoreError::Engine(Box::new(other)),
    }
}

/// Whether a statement would have broken a rule of uniqueness.
pub(super) fn is_unique_violation(error: &sqlx::Error) -> bool {
    let error = error.as_database_error();
    error.is_some_and(|error| error.kind() == ErrorKind::UniqueViolation)
}

/// What is wrong with the file or the machine, if that is why it failed. A damaged page (`SQLITE_CORRUPT`) is none: who
/// does not need it does not notice.
pub(super) fn outage(error: &sqlx::Error) -> Option<Outage> {
    // The latter: there is no thread for a connection.
    if matches!(error, sqlx::Error::WorkerCrashed | sqlx::Error::Io(_)) {
        return Some(Outage::Other);
    }
    outage_of(code(error)?)
}

fn outage_of(code: i32) -> Option<Outage> {
    match code & 0xff {
        BUSY | LOCKED | PROTOCOL => Some(Outage::Locked),
        READONLY => Some(Outage::ReadOnly),
        IOERR | CANTOPEN => Some(Outage::Io(code)),
        NOTADB => Some(Outage::Damaged),
        FULL => Some(Outage::DiskFull),
        NOMEM => Some(Outage::Other),
        _ => None,
    }
}

/// Whether the file is none of SQLite's.
pub(super) fn is_no_database(error: &sqlx::Error) -> bool {
    code(error).is_some_and(|code| code & 0xff == NOTADB)
}

/// Whether pages of the file are damaged.
pub(super) fn is_corrupt(error: &sqlx::Error) -> bool {
    code(error).is_some_and(|code| code & 0xff == CORRUPT)
}

/// SQLite's extended result code.
fn code(error: &sqlx::Error) -> Option<i32> {
    error.as_database_error()?.code()?.parse().ok()
}

/// What an error of a look-up means to the layers above. One that is not SQLite's is of a value that was never written.
pub(super) fn of_lookup(error: rusqlite::Error) -> StoreError {
    match (outage_of_lookup(&error), error) {
        (Some(outage), _) => StoreError::Unavailable(outage),
        (None, error @ rusqlite::Error::SqliteFailure(..)) => StoreError::Engine(Box::new(error)),
        (None, _) => StoreError::Corrupt("look-up".to_owned()),
    }
}

/// As [`outage`], of a look-up.
pub(super) fn outage_of_lookup(error: &rusqlite::Error) -> Option<Outage> {
    outage_of(error.sqlite_error()?.extended_code)
}
