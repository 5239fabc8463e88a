//! Requests that may be repeated: the first response is kept and given again.

use std::time::Duration;

use super::{ApiKeyId, Timestamp};

/// How long a response is given again.
pub const RESPONSE_KEPT: Duration = Duration::from_hours(24);

/// What tells a repeated request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    pub api_key: ApiKeyId,
    /// The caller's own name for the request.
    pub key: String,
    /// SHA-256 of the request, its method included.
    pub request: [u8; 32],
}

/// How a request may be repeated.
#[derive(Clone, Debug)]
pub struct Idempotency<T> {
    /// None: it is not to be repeated.
    pub key: Option<IdempotencyKey>,
    /// The response, as it is kept.
    pub encode: fn(&T) -> Vec<u8>,
}

impl<T> Idempotency<T> {
    /// For a request that nobody repeats.
    #[must_use]
    pub fn never() -> Self {
        Self {
            key: None,
            encode: |_| Vec::new(),
        }
    }
}

/// What came of a request that may be a repetition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Idempotent<T> {
    /// It was done now.
    Fresh(T),
    /// It was done before. What [`Idempotency::encode`] wrote then.
    Replayed(Vec<u8>),
}

impl<T> Idempotent<T> {
    /// The same with another value, where it was done now.
    pub fn map<U>(self, with: impl FnOnce(T) -> U) -> Idempotent<U> {
        match self {
            Self::Fresh(value) => Idempotent::Fresh(with(value)),
            Self::Replayed(response) => Idempotent::Replayed(response),
        }
    }
}

/// A response that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptResponse {
    /// Of the request that it answered. Empty once it is erased.
    pub request: Vec<u8>,
    /// What [`Idempotency::encode`] wrote. Empty once it is erased.
    pub response: Vec<u8>,
    /// It was about a member whose data is erased since.
    pub erased: bool,
    /// When the request was made.
    pub at: Timestamp,
}
