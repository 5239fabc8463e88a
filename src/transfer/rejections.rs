//! The list of what was wrong with a file.

use std::{fmt::Display, io};

use super::formula::guarded;

/// What a list begins with.
const HEADER: [&str; 4] = ["line", "record", "column", "reason"];

/// Where a record is in its file.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// At which it begins, from 1.
    pub line: u64,
    /// Which one of them it is, from 1: JSON may be all on one line.
    pub record: u64,
}

/// Whether a file is such a list.
#[must_use]
pub fn is_list_of_rejections(file: impl io::Read) -> bool {
    let mut list = csv::Reader::from_reader(file);
    list.headers().is_ok_and(|header| *header == HEADER[..])
}

/// Writes which records were not taken, and why: CSV with the place, the column and the reason of each flaw.
pub struct Rejections<W: io::Write>(csv::Writer<W>);

impl<W: io::Write> Rejections<W> {
    /// Begins the list with its header.
    ///
    /// # Errors
    ///
    /// Writing failed.
    pub fn new(out: W) -> io::Result<Self> {
        let mut list = csv::Writer::from_writer(out);
        list.write_record(HEADER)?;
        Ok(Self(list))
    }

    /// Adds a flaw, in part perhaps in memory. No column: it is about the record as a whole.
    ///
    /// # Errors
    ///
    /// Writing failed.
    pub fn add(&mut self, place: Place, column: &str, reason: impl Display) -> io::Result<()> {
        let (line, record) = (place.line.to_string(), place.record.to_string());
        let (column, reason) = (guarded(column), reason.to_string());
        Ok(self
            .0
            .write_record([&*line, &*record, &*column, &*guarded(&reason)])?)
    }

    /// Writes what is still in memory.
    ///
    /// # Errors
    ///
    /// Writing failed.
    pub fn finish(mut self) -> io::Result<()> {
        self.0.flush()
    }
}
