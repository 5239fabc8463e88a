//! SQLite's errors, named.

use sqlx::error::ErrorKind;

use crate::storage::{Conflict, StoreError};

/// `SQLITE_BUSY`, the low byte of its extended codes too (sqlite.org/rescode.html).
const BUSY: i32 = 5;

/// What an error of the engine means to the layers above.
pub(super) fn engine(error: sqlx::Error) -> StoreError {
    if is_busy(&error) {
        return StoreError::Busy;
    }
    match error {
        sqlx::Error::PoolClosed => StoreError::Closed,
        sqlx::Error::PoolTimedOut => StoreError::Overloaded,
        other => StoreError::Engine(Box::new(other)),
    }
}

/// As [`engine`], for a statement that breaks this rule of uniqueness when it breaks one.
pub(super) fn unique(error: sqlx::Error, conflict: Conflict) -> StoreError {
    match error.as_database_error().map(sqlx::error::DatabaseError::kind) {
        Some(ErrorKind::UniqueViolation) => StoreError::Conflict(conflict),
        _ => engine(error),
    }
}

/// Whether another process held a lock for longer than this one waits.
pub(super) fn is_busy(error: &sqlx::Error) -> bool {
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code);
    code.and_then(|code| code.parse::<i32>().ok())
        .is_some_and(|code| code & 0xff == BUSY)
}
