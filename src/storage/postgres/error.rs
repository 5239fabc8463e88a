//! PostgreSQL's errors, named.

use sqlx::error::ErrorKind;

use crate::{domain::Outage, storage::StoreError};

// Codes and classes of codes (postgresql.org/docs/current/errcodes-appendix.html).
const READ_ONLY: &str = "25006";
const SERIALIZATION_FAILURE: &str = "40001";
const DEADLOCK: &str = "40P01";
const DISK_FULL: &str = "53100";
const LOCK_NOT_AVAILABLE: &str = "55P03";
const CANCELED: &str = "57014";
const CONNECTION: &str = "08";
const PROTOCOL_VIOLATION: &str = "08P01";
const NO_SUCH_STATEMENT: &str = "26000";
const STATEMENT_EXISTS: &str = "42P05";
const RESOURCES: &str = "53";
const OPERATOR: &str = "57";
const SYSTEM: &str = "58";

/// What an error of the engine means to the layers above.
pub(super) fn store_error(error: sqlx::Error) -> StoreError {
    match (outage(&error), error) {
        (Some(outage), _) => StoreError::Unavailable(outage),
        (None, sqlx::Error::PoolClosed) => StoreError::Closed,
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

/// Whether the transaction failed because of another one, and may succeed when it is run again.
pub(super) fn is_passing(error: &sqlx::Error) -> bool {
    matches!(code(error).as_deref(), Some(SERIALIZATION_FAILURE | DEADLOCK))
}

/// Whether the server and this program do not have the same prepared statements on a connection.
pub(super) fn is_mixed_up(error: &sqlx::Error) -> bool {
    let codes = [PROTOCOL_VIOLATION, NO_SUCH_STATEMENT, STATEMENT_EXISTS];
    match error {
        sqlx::Error::Protocol(_) => true,
        other => code(other).is_some_and(|code| codes.contains(&code.as_str())),
    }
}

/// Whether the connection is gone, so that nobody knows what became of what was sent.
pub(super) fn is_disconnected(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => {
            true
        }
        // The server says good-bye, and may have said it before or after it did what it was asked.
        other => code(other).is_some_and(|code| code.starts_with(CONNECTION) || code.starts_with("57P")),
    }
}

/// Whether it was waited too long for a lock that somebody else has.
pub(super) fn is_locked(error: &sqlx::Error) -> bool {
    code(error).as_deref() == Some(LOCK_NOT_AVAILABLE)
}

/// Whether the server itself may be the reason, and not what others do with the same rows, or the statement.
pub(super) fn concerns_all(error: &sqlx::Error) -> bool {
    !is_passing(error) && !is_locked(error) && code(error).as_deref() != Some(CANCELED)
}

/// What is wrong with the server or the way to it, if that is why it failed.
pub(super) fn outage(error: &sqlx::Error) -> Option<Outage> {
    if is_disconnected(error) || matches!(error, sqlx::Error::PoolTimedOut) {
        return Some(Outage::Unreachable);
    }
    let code = code(error)?;
    match code.as_str() {
        DISK_FULL => Some(Outage::DiskFull),
        READ_ONLY => Some(Outage::ReadOnly),
        LOCK_NOT_AVAILABLE | SERIALIZATION_FAILURE | DEADLOCK => Some(Outage::Locked),
        CANCELED => Some(Outage::Slow),
        code if code.starts_with(RESOURCES) || code.starts_with(OPERATOR) => Some(Outage::Unreachable),
        code if code.starts_with(SYSTEM) => Some(Outage::Other),
        _ => None,
    }
}

fn code(error: &sqlx::Error) -> Option<String> {
    Some(error.as_database_error()?.code()?.into_owned())
}
