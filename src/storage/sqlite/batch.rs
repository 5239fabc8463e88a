//! Statements for many requests at once.
//!
//! A batched statement has a fixed number of slots, so that few different statements are prepared. A batch takes the
//! smallest that holds it; slots left over are bound to NULL and match nothing.

use std::fmt::Write as _;

/// The most requests in one statement.
pub(super) const MAX_BATCH: usize = 64;

/// The most parameters of one slot.
const MAX_PARAMETERS: usize = 7;

/// The numbers of slots that statements come in.
const SIZES: [usize; 4] = [1, 4, 16, MAX_BATCH];

/// One statement in all its sizes.
pub(super) struct Batched([String; SIZES.len()]);

impl Batched {
    /// In `template`, `{slots:2}` becomes `(0, ?, ?), (1, ?, ?), ...`: the number of the slot, then so many parameters, one to
    /// [`MAX_PARAMETERS`]. Other parameters are `?` as well. None has a name or a number, by which SQLite would look for each
    /// of them among all.
    pub(super) fn new(template: &str) -> Self {
        Self(SIZES.map(|size| {
            (1..=MAX_PARAMETERS).fold(template.to_owned(), |text, parameters| {
                text.replace(&format!("{{slots:{parameters}}}"), &rows(size, parameters))
            })
        }))
    }

    /// The statement for this many requests, and how many slots it has. More than [`MAX_BATCH`] don't fit.
    pub(super) fn fitting(&'static self, requests: usize) -> (&'static str, usize) {
        let index = SIZES
            .iter()
            .position(|size| *size >= requests)
            .unwrap_or(SIZES.len() - 1);
        (&self.0[index], SIZES[index])
    }
}

fn rows(size: usize, parameters: usize) -> String {
    let mut text = String::new();
    for slot in 0..size {
        let separator = if slot == 0 { "" } else { ", " };
        // Writing to a string can't fail.
        let _ = write!(text, "{separator}({slot}");
        text.push_str(&", ?".repeat(parameters));
        text.push(')');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_takes_the_smallest_statement_that_holds_it() {
        static PAIRS: std::sync::LazyLock<Batched> =
            std::sync::LazyLock::new(|| Batched::new("VALUES {slots:2}"));
        assert_eq!(PAIRS.fitting(1), ("VALUES (0, ?, ?)", 1));
        assert_eq!(
            PAIRS.fitting(2).0,
            "VALUES (0, ?, ?), (1, ?, ?), (2, ?, ?), (3, ?, ?)"
        );
        assert_eq!(PAIRS.fitting(17).1, 64);
    }
}
