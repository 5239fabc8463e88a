//! What a rehearsal of one batch of rows has to know of those before.

use super::outcome::Outcome;
use crate::domain::{ImportRow, Role};

/// Rows of a rehearsal that rows of later batches may depend on: those that would change somebody who is there, or make an owner.
/// They are rehearsed again before each of these.
#[derive(Debug)]
pub(super) struct Carried {
    rows: Vec<ImportRow>,
    most: usize,
    is_full: bool,
}

impl Carried {
    /// As many at most.
    pub(super) const fn new(most: usize) -> Self {
        Self {
            rows: Vec::new(),
            most,
            is_full: false,
        }
    }

    /// Keeps a row if it matters, in the order of the file.
    pub(super) fn keep(&mut self, row: &ImportRow, outcome: &Outcome) {
        let is_owner = row.values.role == Some(Some(Role::Owner));
        let matters = match outcome {
            Outcome::Created => is_owner,
            Outcome::Updated => true,
            Outcome::Unchanged | Outcome::Rejected(_) => false,
        };
        if matters && self.rows.len() < self.most {
            self.rows.push(row.clone());
        } else {
            self.is_full |= matters;
        }
    }

    pub(super) fn rows(&self) -> &[ImportRow] {
        &self.rows
    }

    /// Whether rows that matter are not among them.
    pub(super) const fn is_full(&self) -> bool {
        self.is_full
    }
}
