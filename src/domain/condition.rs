//! What a storage can't do at present, and why.

use thiserror::Error;

/// Why a storage can't be written or read. It goes on trying by itself.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Outage {
    /// There is no room left.
    #[error("the disk is full")]
    DiskFull,
    /// Reading, writing or syncing failed; with the engine's code.
    #[error("the disk failed (SQLite code {0})")]
    Io(i32),
    /// It may not be written.
    #[error("the database is read-only")]
    ReadOnly,
    /// Another process holds it for too long.
    #[error("the database is locked by another process")]
    Locked,
    /// What is in the file is no database.
    #[error("the file is not a database")]
    Damaged,
    /// The file is not there any more.
    #[error("the database file is gone")]
    FileGone,
    /// Another file is in its place.
    #[error("another file is in the place of the database file")]
    FileReplaced,
    /// Its server does not answer, or turns us away.
    #[error("the database server can't be reached")]
    Unreachable,
    /// It was not done in the time that there is for it. This alone may have been slow.
    #[error("the database took too long")]
    Slow,
    /// Anything else. The log says what.
    #[error("the database failed")]
    Other,
}

/// What does not work now. Nothing: all is well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// Why changes can't be made.
    pub writes: Option<Outage>,
    /// Why look-ups can't be answered.
    pub reads: Option<Outage>,
}

impl Condition {
    /// Whether changes are made.
    #[must_use]
    pub const fn is_writable(&self) -> bool {
        self.writes.is_none() && self.reads.is_none()
    }

    /// Whether what is read is the database: of a file that is gone or replaced it may be out of date.
    #[must_use]
    pub const fn is_readable(&self) -> bool {
        self.reads.is_none() && !matches!(self.writes, Some(Outage::FileGone | Outage::FileReplaced))
    }
}
