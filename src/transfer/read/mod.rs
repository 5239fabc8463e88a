//! Reading.
//!
//! A file becomes text ([`decode`]), of which a piece at a time is there ([`input`]). Its beginning says which format it is
//! ([`recognize`], [`formats`]), and so which column says what ([`layout`]). It is split into records, whose values ([`cell`]) become
//! those of a row ([`row`]).

mod cell;
mod decode;
mod error;
mod formats;
mod input;
mod layout;
mod recognize;
mod row;
mod split;
mod time;

pub use error::{Compression, FileError, Flaw, Reason};

use self::{
    decode::Text,
    input::Input,
    layout::Layout,
    recognize::{Recognized, Split, recognize},
};
use super::{Field, Format};
use crate::domain::ImportRow;

/// The longest record that is held, in bytes: of CSV without quotes and separators.
const MAX_RECORD: usize = 1 << 20;

/// How a file is to be read.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    /// None: it is recognized.
    pub format: Option<Format>,
    /// Columns that fields are read from, instead of those that the format has for them. Named as the file names them, without
    /// white space around it.
    pub map: Vec<(Field, String)>,
}

/// A record of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The line at which it begins, from 1, of the text without compression.
    pub line: u64,
    /// What it says of a member, or all that is wrong with it: at least one flaw.
    pub row: Result<ImportRow, Vec<Flaw>>,
}

/// Reads the records of a file. It holds at most one, and reads as it is asked. An error ends it.
///
/// Reading blocks as the file does.
pub struct Reader {
    input: Input,
    format: Format,
    layout: Layout,
    split: Split,
    is_over: bool,
}

impl Reader {
    /// Reads the beginning of the file: decompresses (gzip and zstd, of windows up to 8 MiB, also several one behind the other),
    /// decodes (UTF-8, UTF-16 with a byte order mark) and recognizes it.
    ///
    /// # Errors
    ///
    /// The file can't be read, is no text or empty, or is not of the format that was said. Its header can't be read, has no column
    /// to find members by, has one of those that are taken twice, or has not one that was mapped.
    pub fn new(input: impl std::io::Read + Send + 'static, options: ReadOptions) -> Result<Self, FileError> {
        let ReadOptions { format, map } = options;
        let mut input = Input::new(Text::new(input)?);
        let Recognized {
            format,
            layout,
            split,
        } = recognize(&mut input, format, &map)?;
        Ok(Self {
            input,
            format,
            layout,
            split,
            is_over: false,
        })
    }

    /// The format that was recognized, or named.
    #[must_use]
    pub const fn format(&self) -> Format {
        self.format
    }

    /// The file's own name for a field, or ours if it has none.
    #[must_use]
    pub fn column(&self, field: Field) -> &str {
        self.layout.column(field)
    }

    fn record(&mut self) -> Result<Option<Record>, FileError> {
        let (input, layout) = (&mut self.input, &self.layout);
        let record = |line, text: Option<&[u8]>| split::record(layout, line, text);
        match &mut self.split {
            Split::Csv(csv) => csv.next(input, layout),
            Split::Lines => split::next_line(input, record),
            Split::Documents(documents) => documents.next(input, record),
        }
    }
}

impl Iterator for Reader {
    type Item = Result<Record, FileError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let next = self.record().transpose();
        self.is_over = !matches!(next, Some(Ok(_)));
        next
    }
}

#[cfg(test)]
mod tests;
