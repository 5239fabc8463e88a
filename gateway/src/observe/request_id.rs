//! The id of a request: the caller's own, or one that is made here. tower-http's layers take whatever a caller sends and ask
//! the system for random bytes otherwise; this takes only what is safe to repeat, and costs one allocation.

use std::{
    fmt,
    hash::{BuildHasher as _, RandomState},
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

use ::http::{HeaderMap, HeaderName, HeaderValue};

/// Where it is, in a request and in its answer.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest one that is taken from a caller, in bytes: a UUID has 36. Keys and tokens have 46 and more, so none is taken
/// for an id and logged.
const LONGEST: usize = 40;

/// An id: at most 40 letters, digits, `-`, `_` and `.`. It tells requests apart and is no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The one that the headers have, if it is well-formed and the only one, else a new one.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(REQUEST_ID).iter();
        match (values.next(), values.next()) {
            (Some(value), None) if is_well_formed(value) => Self(value.clone()),
            _ => Self::next(),
        }
    }

    /// One that nobody has had: of this process, and a number.
    fn next() -> Self {
        static PROCESS: LazyLock<String> =
            LazyLock::new(|| format!("{:016x}-", RandomState::new().hash_one(0)));
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let digits = (u64::BITS - number.leading_zeros()).div_ceil(4);
        let digits = (0..digits).rev().filter_map(|digit| {
            let digit = (number >> (4 * digit)) & 0xF;
            char::from_digit(u32::try_from(digit).ok()?, 16)
        });
        let mut text = String::with_capacity(LONGEST);
        text.push_str(&PROCESS);
        text.extend(digits);
        // It is always good for a header.
        Self(HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("-")))
    }

    /// As it stands in a header.
    #[must_use]
    pub const fn header(&self) -> &HeaderValue {
        &self.0
    }

    /// As a text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn is_well_formed(value: &HeaderValue) -> bool {
    let bytes = value.as_bytes();
    let safe = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=LONGEST).contains(&bytes.len()) && bytes.iter().all(safe)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&'static str]) -> RequestId {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(REQUEST_ID, HeaderValue::from_static(value));
        }
        RequestId::of(&headers)
    }

    #[test]
    fn an_id_of_the_caller_is_kept_if_it_is_short_and_safe() {
        for good in ["a", "7b0e4b0c-8e0e-4c8e-9d0a-0c2f4b7e9a11", "01J.Z_x-9"] {
            assert_eq!(of(&[good]).as_str(), good);
        }
        let key = "pb_0123456789012345678901234567890123456789012";
        for bad in ["", "a b", "sally@example.com", "a\"b", key] {
            assert_ne!(of(&[bad]).as_str(), bad);
        }
        assert!(of(&["one", "two"]).as_str().len() > 16);
    }

    #[test]
    fn ids_that_are_made_are_well_formed_and_differ() {
        let (one, other) = (of(&[]), of(&[]));
        assert_ne!(one, other);
        assert!(is_well_formed(one.header()) && is_well_formed(other.header()));
    }
}
