//! Columns to domain values. A value that this program could not have written is an error, not a guess.

use uuid::Uuid;

use crate::{
    domain::{InvalidText, MemberNumber, OrganizationId, Timestamp},
    storage::StoreError,
};

/// The organization column of a key, an event or an answer: zeros for what belongs to no organization.
pub(super) fn owner(organization: Option<OrganizationId>) -> [u8; 16] {
    organization
        .map_or(Uuid::nil(), |organization| *organization.as_uuid())
        .into_bytes()
}

/// What [`owner`] wrote.
pub(super) fn owner_of(bytes: &[u8]) -> Result<Option<OrganizationId>, StoreError> {
    let id = uuid(bytes, "organization id")?;
    Ok((!id.is_nil()).then(|| OrganizationId::from_uuid(id)))
}

/// Numbers as a JSON array: a list of any length in one parameter, read by `json_each`.
pub(super) fn json_numbers(numbers: &[MemberNumber]) -> String {
    let numbers: Vec<_> = numbers.iter().map(|number| number.0.to_string()).collect();
    format!("[{}]", numbers.join(","))
}

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
