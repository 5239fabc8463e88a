//! What is wrong with a request: each violation is noted, and all are answered together.

use std::{fmt::Display, str::FromStr};

use prost_types::FieldMask;
use tonic::Status;
use tonic_types::FieldViolation;

use userbridge_wire::ErrorReason as Reason;

use super::{proto::userbridge::directory::v1 as pb, status};

/// Most violations that one response tells: it has to fit into HTTP/2's header fields.
const MAX_VIOLATIONS: usize = 32;

#[derive(Default)]
pub(super) struct Violations(Vec<FieldViolation>);

/// What is read of a request, unless something is wrong with it.
///
/// # Errors
///
/// As [`Violations::finish`].
pub(super) fn valid<T>(read: impl FnOnce(&mut Violations) -> Option<T>) -> Result<T, Status> {
    let mut violations = Violations::default();
    let value = read(&mut violations);
    violations.finish(value)
}

impl Violations {
    /// Those beyond the first [`MAX_VIOLATIONS`] are not told.
    pub(super) fn add(&mut self, field: &str, description: impl Display) {
        if self.0.len() < MAX_VIOLATIONS {
            self.0.push(FieldViolation::new(field, description.to_string()));
        }
    }

    /// The same of one row among many. None: there are none.
    pub(super) fn flaws(self) -> Option<Vec<pb::ImportFlaw>> {
        let flaws = self.0.into_iter().map(|violation| pb::ImportFlaw {
            field: violation.field,
            description: violation.description,
            reason: Reason::InvalidArgument.as_wire().to_owned(),
        });
        let flaws: Vec<_> = flaws.collect();
        (!flaws.is_empty()).then_some(flaws)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of a field, or None and a violation.
    pub(super) fn check<T, E: Display>(&mut self, field: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.add(field, error)).ok()
    }

    /// The value of a field that may be absent: `Some(None)` if it is, None and a violation if it is bad.
    #[expect(clippy::option_option, reason = "absent and bad are two things")]
    pub(super) fn check_optional<V, T, E: Display>(
        &mut self,
        field: &str,
        value: Option<V>,
        new: impl FnOnce(V) -> Result<T, E>,
    ) -> Option<Option<T>> {
        self.check(field, value.map(new).transpose())
    }

    /// The value of a field if it is there and good. It is a violation if it is bad.
    pub(super) fn optional<V, T, E: Display>(
        &mut self,
        field: &str,
        value: Option<V>,
        new: impl FnOnce(V) -> Result<T, E>,
    ) -> Option<T> {
        self.check_optional(field, value, new).flatten()
    }

    pub(super) fn id<T: FromStr>(&mut self, field: &str, text: &str) -> Option<T> {
        self.check(field, text.parse().map_err(|_| "must be a UUID"))
    }

    /// The good ones of many.
    pub(super) fn ids<T: FromStr, C: FromIterator<T>>(&mut self, field: &str, texts: &[String]) -> C {
        let texts = texts.iter().enumerate();
        let ids = texts.filter_map(|(index, text)| self.id(&format!("{field}[{index}]"), text));
        ids.collect()
    }

    /// What an update mask names, which is something, and nothing but these fields.
    pub(super) fn mask(&mut self, mask: Option<FieldMask>, mutable: &[&str]) -> Vec<String> {
        let paths = mask.map(|mask| mask.paths).unwrap_or_default();
        if paths.is_empty() {
            self.add("update_mask", "must name at least one field");
        }
        // A path may be as long as a message, so it is not repeated.
        if paths.iter().any(|path| !mutable.contains(&path.as_str())) {
            let mutable = mutable.join(", ");
            self.add("update_mask", format_args!("must name none but {mutable}"));
        }
        paths
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
