//! CSV (RFC 4180), separated by what its header is separated by.
//!
//! Every row has as many cells as the header; lines without any are passed over. A cell that was guarded against being run as a
//! formula is taken as it was before (`transfer/formula.rs`).

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use crate::{
    domain::ImportRow,
    transfer::{
        formula,
        read::{
            MAX_RECORD, Record,
            cell::Cell,
            error::{FileError, Flaw, Reason},
            input::Input,
            layout::Layout,
            row::row,
        },
    },
};

const SEPARATORS: [u8; 3] = [b',', b';', b'\t'];
/// How much of a file is looked at for its header, before it is taken for a long one.
const HEADER: usize = 64 << 10;

/// Splits a CSV behind its header.
pub(in crate::transfer::read) struct Csv {
    parser: Reader,
    /// The cells of a row, one behind the other.
    text: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<usize>,
    header: Vec<String>,
    /// The cell for each place of the layout.
    cells: Vec<usize>,
}

/// How a row came out.
enum Row {
    /// With so many bytes, and cells.
    Whole(usize, usize),
    TooLong,
    /// The file ended within quotes, in this cell.
    Unclosed(usize),
}

/// A header and what separates its cells.
pub(in crate::transfer::read) struct Header {
    separator: u8,
    /// Without white space around them.
    pub(in crate::transfer::read) names: Vec<String>,
}

impl Header {
    /// Finds the header without going on behind it: separated by that of the separators which gives the most columns that are
    /// known, and of these the most columns.
    pub(in crate::transfer::read) fn find(
        input: &mut Input,
        is_known: impl Fn(&str) -> bool,
    ) -> Result<Self, FileError> {
        let mut headers = Vec::new();
        for separator in SEPARATORS {
            let names = names(input, separator)?;
            let known = names.iter().filter(|name| is_known(name)).count();
            headers.push((known, names.len(), Self { separator, names }));
        }
        // Of equal ones the last is found: the comma.
        headers.reverse();
        let best = headers
            .into_iter()
            .max_by_key(|(known, columns, _)| (*known, *columns));
        best.map(|(_, _, header)| header).ok_or(FileError::Empty)
    }
}

fn names(input: &mut Input, separator: u8) -> Result<Vec<String>, FileError> {
    let mut enough = HEADER;
    loop {
        let is_all = !input.has(enough)?;
        let mut start = Input::over(input.bytes().to_vec());
        let mut csv = Csv::separated_by(separator);
        if !to_row(&mut start)? {
            return Err(FileError::Empty);
        }
        let row = csv.row(&mut start)?;
        if is_all || !start.some()?.is_empty() {
            return csv.names(&row);
        }
        if enough > MAX_RECORD {
            return Err(FileError::LongHeader);
        }
        // With quotes and separators the header is longer than its text.
        enough = 2 * MAX_RECORD;
    }
}

impl Csv {
    /// Goes on behind the header. `cells` are those for the places of the layout.
    pub(in crate::transfer::read) fn behind(
        input: &mut Input,
        header: Header,
        cells: Vec<usize>,
    ) -> Result<Self, FileError> {
        let mut csv = Self::separated_by(header.separator);
        to_row(input)?;
        csv.row(input)?;
        csv.header = header.names;
        csv.cells = cells;
        Ok(csv)
    }

    /// The next record. None: there is no more.
    pub(in crate::transfer::read) fn next(
        &mut self,
        input: &mut Input,
        layout: &Layout,
    ) -> Result<Option<Record>, FileError> {
        if !to_row(input)? {
            return Ok(None);
        }
        let line = input.line();
        let row = match self.row(input)? {
            Row::Whole(size, count) => self.read(layout, &self.text[..size], &self.ends[..count]),
            Row::TooLong => Err(vec![Flaw::whole(Reason::TooLong)]),
            Row::Unclosed(cell) => Err(vec![self.flaw(cell, Reason::UnclosedQuote)]),
        };
        Ok(Some(Record { line, row }))
    }

    fn separated_by(separator: u8) -> Self {
        Self {
            parser: ReaderBuilder::new().delimiter(separator).build(),
            // The parser says that it is full as soon as it is.
            text: vec![0; MAX_RECORD + 1],
            ends: vec![0; 64],
            header: Vec::new(),
            cells: Vec::new(),
        }
    }

    /// Goes on behind the next row. There is one.
    fn row(&mut self, input: &mut Input) -> Result<Row, FileError> {
        let (mut size, mut count) = (0, 0);
        let mut is_too_long = false;
        loop {
            let bytes = input.some()?;
            // At the end of the file a line end shows whether that is within quotes.
            let is_end = bytes.is_empty();
            let bytes = if is_end { b"\n" } else { bytes };
            let (result, read, written, ended) =
                self.parser
                    .read_record(bytes, &mut self.text[size..], &mut self.ends[count..]);
            if !is_end {
                input.advance(read);
            }
            size += written;
            count += ended;
            match result {
                ReadRecordResult::Record | ReadRecordResult::End if is_too_long => return Ok(Row::TooLong),
                ReadRecordResult::Record | ReadRecordResult::End => return Ok(Row::Whole(size, count)),
                ReadRecordResult::InputEmpty if is_end && is_too_long => return Ok(Row::TooLong),
                ReadRecordResult::InputEmpty if is_end => return Ok(Row::Unclosed(count)),
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => (is_too_long, size) = (true, 0),
                ReadRecordResult::OutputEndsFull if is_too_long => count = 0,
                ReadRecordResult::OutputEndsFull => self.ends.resize(2 * self.ends.len(), 0),
            }
        }
    }

    fn read(&self, layout: &Layout, bytes: &[u8], ends: &[usize]) -> Result<ImportRow, Vec<Flaw>> {
        if ends.len() != self.header.len() {
            return Err(vec![Flaw::whole(Reason::Cells {
                expected: self.header.len(),
                found: ends.len(),
            })]);
        }
        let range = |cell: usize| cell.checked_sub(1).map_or(0, |before| ends[before])..ends[cell];
        let text = str::from_utf8(bytes).unwrap_or_default();
        if text.len() < bytes.len() || memchr::memchr(0, bytes).is_some() {
            return Err(self.broken(ends.len(), |cell| &bytes[range(cell)]));
        }
        let mut cells = vec![Cell::Nothing; layout.len()];
        for (place, &cell) in self.cells.iter().enumerate() {
            // Halves of one character in two cells are none.
            let Some(text) = text.get(range(cell)) else {
                return Err(self.broken(ends.len(), |cell| &bytes[range(cell)]));
            };
            if !text.is_empty() {
                cells[place] = Cell::Untyped(formula::unguarded(text));
            }
        }
        row(layout, &cells)
    }

    /// What is wrong with a row that has what is no text.
    fn broken<'a>(&self, count: usize, cell: impl Fn(usize) -> &'a [u8]) -> Vec<Flaw> {
        let reason = |bytes: &[u8]| {
            if str::from_utf8(bytes).is_err() {
                Some(Reason::NotUtf8)
            } else {
                memchr::memchr(0, bytes).map(|_| Reason::Nul)
            }
        };
        let flaws = (0..count).filter_map(|at| Some(self.flaw(at, reason(cell(at))?)));
        flaws.collect()
    }

    fn flaw(&self, cell: usize, reason: Reason) -> Flaw {
        let column = self.header.get(cell).cloned().unwrap_or_default();
        Flaw { column, reason }
    }

    /// The names of a header.
    fn names(&self, row: &Row) -> Result<Vec<String>, FileError> {
        let (text, ends) = match *row {
            Row::Whole(size, count) => (&self.text[..size], &self.ends[..count]),
            Row::TooLong => return Err(FileError::LongHeader),
            Row::Unclosed(_) => return Err(FileError::UnclosedHeader),
        };
        let text = str::from_utf8(text).map_err(|_| FileError::NotText)?;
        if text.contains('\0') {
            return Err(FileError::NotText);
        }
        let mut start = 0;
        let names = ends.iter().map(|&end| {
            let name = text.get(start..end).ok_or(FileError::NotText)?;
            start = end;
            Ok(name.trim().to_owned())
        });
        names.collect()
    }
}

/// Goes on behind lines without cells. False: there is no row any more.
fn to_row(input: &mut Input) -> Result<bool, FileError> {
    loop {
        let bytes = input.some()?;
        let ends = bytes
            .iter()
            .take_while(|byte| matches!(byte, b'\n' | b'\r'))
            .count();
        let is_more = ends < bytes.len();
        let is_over = bytes.is_empty();
        input.advance(ends);
        if is_more || is_over {
            return Ok(is_more);
        }
    }
}
