//! What can be wrong with a file, and with one of its records.

use std::{fmt, io};

use thiserror::Error;

use super::MAX_RECORD;
use crate::{
    domain::{InvalidText, UnknownName},
    transfer::{Field, Format},
};

/// What is wrong with a record. Never says a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The file's own name of the column. Empty: it is about the record as a whole.
    pub column: String,
    pub reason: Reason,
}

impl Flaw {
    /// Of the record as a whole.
    pub(super) const fn whole(reason: Reason) -> Self {
        Self {
            column: String::new(),
            reason,
        }
    }
}

/// `column: reason`, or the reason alone.
impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.column.is_empty() {
            write!(f, "{}: ", self.column)?;
        }
        self.reason.fmt(f)
    }
}

/// Why a value, or a record, is refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Reason {
    /// The directory has no such text.
    #[error(transparent)]
    Text(#[from] InvalidText),
    /// The directory has no value of this name.
    #[error(transparent)]
    Name(#[from] UnknownName),
    #[error("must be text")]
    NotText,
    #[error("must be text or a whole number")]
    NotAnId,
    #[error("must be true or false")]
    NotABool,
    #[error("must be the number of a team: a whole number from 1")]
    NotATeam,
    #[error("must be numbers of teams: in CSV separated by spaces, in JSON an array")]
    NotTeams,
    #[error(
        "must be a time: like 2026-04-01T08:00:00Z, 2026-04-01 08:00:00 (also with UTC or +02:00 behind it) or 2026-04-01, or \
         Unix seconds or milliseconds"
    )]
    NotATime,
    /// An array, or an object that has no value that is looked for.
    #[error("must be one value")]
    Nested,
    #[error("is there twice")]
    Twice,
    /// The record has no value to find a member by.
    #[error("has neither an address nor an external id")]
    Nobody,
    /// It is a member that was revoked: an import brings nobody back.
    #[error("was revoked")]
    Revoked,
    #[error("has a NUL byte")]
    Nul,
    #[error("is not UTF-8")]
    NotUtf8,
    /// It was passed over.
    #[error("is longer than {} MiB", MAX_RECORD >> 20)]
    TooLong,
    #[error("has {found} cells, and the header has {expected}")]
    Cells { expected: usize, found: usize },
    /// It goes on to the end of the file.
    #[error("has a quote that is never closed")]
    UnclosedQuote,
    #[error("must be a JSON object")]
    NotAnObject,
    /// The line is one of the file. The column counts bytes of that line, from 1, as far as they are the record's.
    #[error("can't be read as JSON at line {line}, byte {column}")]
    NotJson { line: u64, column: usize },
}

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    Gzip,
    Zstd,
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        })
    }
}

/// What ends the reading of a file. Lines count from 1 in the text, as it is without compression.
#[derive(Debug, Error)]
pub enum FileError {
    /// What the file is read from failed.
    #[error("line {line}: reading failed")]
    Read {
        line: u64,
        #[source]
        source: io::Error,
    },
    #[error("line {line}: the {compression} file is cut off here")]
    CutCompression { line: u64, compression: Compression },
    #[error("line {line}: the {compression} file is broken here")]
    BrokenCompression {
        line: u64,
        compression: Compression,
        #[source]
        source: io::Error,
    },
    #[error("the file is empty")]
    Empty,
    #[error("line 1: this is no text in UTF-8, or in UTF-16 with a byte order mark")]
    NotText,
    #[error("the file is not in the format {0}")]
    OtherFormat(Format),
    #[error("the header is longer than {} MiB", MAX_RECORD >> 20)]
    LongHeader,
    #[error("the header has a quote that is never closed")]
    UnclosedHeader,
    /// There would be nothing to find a member by.
    #[error("no column of the header is {email} or {external_id}; other names are told by --map", email = Field::Email, external_id = Field::ExternalId)]
    NoColumn,
    #[error("the header has the column {column} twice")]
    ColumnTwice { column: String },
    /// A field was said to be in a column that there isn't.
    #[error("the header has no column {column}, from which {field} is to be read")]
    MissingColumn { field: Field, column: String },
    #[error("{field} is to be read from two columns")]
    FieldTwice { field: Field },
    /// It is not known where the next record begins.
    #[error("line {line}: what stands between the records is not JSON")]
    BrokenJson { line: u64 },
    #[error("line {line}: the file is cut off in what begins here")]
    CutJson { line: u64 },
}
