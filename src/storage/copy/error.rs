//! Why a directory was not copied.

use thiserror::Error;

use super::Sum;
use crate::storage::OpenError;

/// Why a copy was not made, or is none. What was copied until then stays, and the same copy goes on from there.
#[derive(Debug, Error)]
pub enum CopyError {
    /// The source can't be opened or read.
    #[error("the source: {0}")]
    Source(#[source] OpenError),
    /// The target can't be opened, read or written.
    #[error("the target: {0}")]
    Target(#[source] OpenError),
    /// There is no organization and no key.
    #[error("the source is empty")]
    NothingToCopy,
    /// What is in the target was not put there by this copy.
    #[error("the target is not empty: it has to be a new database")]
    NotEmpty,
    /// What is in the target was begun with another source, or with this one before something was written to it.
    #[error(
        "the target has an unfinished copy of another directory, or of this one before it changed: copy into a new database"
    )]
    OtherCopy,
    /// Somebody wrote to the source meanwhile, so the target may have parts of both states.
    #[error("the source was changed while it was copied: stop its servers, and copy into a new database")]
    SourceChanged,
    /// The rows of a table are not the same.
    #[error(
        "{table} differs: {} rows with the checksum {} in the source, {} with {} in the target",
        .source_sum.rows, .source_sum.sha256, .target_sum.rows, .target_sum.sha256
    )]
    Differs {
        /// Its name.
        table: &'static str,
        /// What the source has.
        source_sum: Sum,
        /// What the target has.
        target_sum: Sum,
    },
}
