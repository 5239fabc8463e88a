//! The violations of a request: each is noted, and all are answered together.

use std::fmt::Display;

use tonic::Status;
use tonic_types::FieldViolation;

use super::status;

/// Most entries of a page.
const MAX_PAGE: i32 = 500;

/// Entries of a page where the caller does not say.
const DEFAULT_PAGE: u32 = 50;

/// Most violations that one answer tells: the answer has to fit into HTTP/2's header fields.
const MAX_FAULTS: usize = 32;

/// Violations noted so far.
#[derive(Default)]
pub(super) struct Violations(Vec<FieldViolation>);

impl Violations {
    /// Notes a fault. Those beyond the first [`MAX_FAULTS`] are not told.
    pub(super) fn add(&mut self, field: &str, description: impl Display) {
        if self.0.len() >= MAX_FAULTS {
            return;
        }
        self.0.push(FieldViolation::new(field, description.to_string()));
    }

    /// Whether none was noted.
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of a field, or None and a fault.
    pub(super) fn check<T, E: Display>(&mut self, field: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.add(field, error)).ok()
    }

    /// The value of a field that may be absent: `Some(None)` if it is, None and a fault if it is bad.
    #[expect(clippy::option_option, reason = "absent and bad are two things")]
    pub(super) fn check_optional<V, T, E: Display>(
        &mut self,
        field: &str,
        value: Option<V>,
        new: impl FnOnce(V) -> Result<T, E>,
    ) -> Option<Option<T>> {
        match value.map(new).transpose() {
            Ok(value) => Some(value),
            Err(error) => {
                self.add(field, error);
                None
            }
        }
    }

    /// An id.
    pub(super) fn id<T: std::str::FromStr>(&mut self, field: &str, text: &str) -> Option<T> {
        self.check(field, text.parse().map_err(|_| "must be a UUID"))
    }

    /// How many entries a page has.
    pub(super) fn page_size(&mut self, size: i32) -> u32 {
        match u32::try_from(size) {
            Ok(0) => DEFAULT_PAGE,
            Ok(some) if size <= MAX_PAGE => some,
            _ => {
                self.add("page_size", format_args!("must be 0 to {MAX_PAGE}"));
                DEFAULT_PAGE
            }
        }
    }

    /// The value that was put together, unless there are violations.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` with all of them.
    pub(super) fn finish<T>(mut self, value: Option<T>) -> Result<T, Status> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => {
                if self.0.is_empty() {
                    self.add("request", "is not complete");
                }
                Err(status::invalid_argument(self.0))
            }
        }
    }
}
