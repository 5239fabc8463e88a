//! Columns to domain values. A value that this program could not have written is an error, not a guess.

use uuid::Uuid;

use crate::{
    domain::{InvalidText, Timestamp},
    storage::StoreError,
};

/// An id column.
pub(super) fn uuid(bytes: &[u8], what: &'static str) -> Result<Uuid, StoreError> {
    Uuid::from_slice(bytes).map_err(|_| StoreError::Corrupt(what))
}

/// A column that may be NULL, checked by the type that it becomes.
pub(super) fn text<T>(
    value: Option<String>,
    what: &'static str,
    new: impl FnOnce(String) -> Result<T, InvalidText>,
) -> Result<Option<T>, StoreError> {
    value.map(new).transpose().map_err(|_| StoreError::Corrupt(what))
}

/// A time column that may be NULL.
pub(super) fn time(millis: Option<i64>) -> Option<Timestamp> {
    millis.map(Timestamp::from_millis)
}
