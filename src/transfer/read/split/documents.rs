//! JSON: arrays of records, objects that have such an array among others, and records, one behind the other.
//!
//! Only where a record ends is found out here, by its brackets and quotes: so what is wrong within one is a flaw of that one.

use super::scan::Scan;
use crate::transfer::read::{error::FileError, input::Input};

/// Keys whose array has the records: of pages of Zendesk's API, of Freshdesk's, and of others.
const RECORDS: [&[u8]; 3] = [b"\"users\"", b"\"contacts\"", b"\"members\""];

/// Where reading is.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::transfer::read) enum Documents {
    /// Between two documents.
    #[default]
    Between,
    /// In an array of records, behind its bracket or behind a record.
    Array { is_first: bool, is_wrapped: bool },
    /// In an object, behind its array of records.
    Behind,
}

impl Documents {
    /// What `take` makes of the next record: of the line at which it begins, and its text, unless that is too long. None: there is
    /// no more.
    pub(in crate::transfer::read) fn next<T>(
        &mut self,
        input: &mut Input,
        take: impl FnOnce(u64, Option<&[u8]>) -> T,
    ) -> Result<Option<T>, FileError> {
        loop {
            match *self {
                Self::Between => {
                    let mut scan = Scan::passing(input);
                    match scan.next_byte()? {
                        None => return Ok(None),
                        Some(b'[') => {
                            scan.step();
                            *self = Self::Array {
                                is_first: true,
                                is_wrapped: false,
                            };
                        }
                        Some(b'{') => {
                            let mut scan = Scan::holding(input);
                            scan.step();
                            if !self.seek_records(&mut scan)? {
                                return Ok(Some(taken(scan, take)));
                            }
                        }
                        Some(_) => return Err(scan.broken()),
                    }
                }
                Self::Array { is_first, is_wrapped } => {
                    let mut scan = Scan::passing(input);
                    match scan.some_byte()? {
                        b']' => {
                            scan.step();
                            *self = if is_wrapped { Self::Behind } else { Self::Between };
                        }
                        b',' if !is_first => {
                            scan.step();
                            scan.some_byte()?;
                            return self.element(input, is_wrapped, take).map(Some);
                        }
                        _ if is_first => return self.element(input, is_wrapped, take).map(Some),
                        _ => return Err(scan.broken()),
                    }
                }
                Self::Behind => {
                    let mut scan = Scan::passing(input);
                    if !self.seek_records(&mut scan)? {
                        *self = Self::Between;
                    }
                }
            }
        }
    }

    /// The record that begins here, in an array.
    fn element<T>(
        &mut self,
        input: &mut Input,
        is_wrapped: bool,
        take: impl FnOnce(u64, Option<&[u8]>) -> T,
    ) -> Result<T, FileError> {
        let mut scan = Scan::holding(input);
        scan.value()?;
        *self = Self::Array {
            is_first: false,
            is_wrapped,
        };
        Ok(taken(scan, take))
    }

    /// Goes on, within an object, to its records, or behind it if there are none: false.
    fn seek_records(&mut self, scan: &mut Scan<'_>) -> Result<bool, FileError> {
        loop {
            match scan.some_byte()? {
                b'}' => {
                    scan.step();
                    return Ok(false);
                }
                b',' => scan.step(),
                b'"' => {
                    let is_records = scan.is_one_of(&RECORDS)?;
                    scan.value()?;
                    if scan.some_byte()? != b':' {
                        return Err(scan.broken());
                    }
                    scan.step();
                    if scan.some_byte()? == b'[' && is_records {
                        scan.step();
                        scan.pass();
                        *self = Self::Array {
                            is_first: true,
                            is_wrapped: true,
                        };
                        return Ok(true);
                    }
                    scan.value()?;
                }
                _ => return Err(scan.broken()),
            }
        }
    }
}

fn taken<T>(mut scan: Scan<'_>, take: impl FnOnce(u64, Option<&[u8]>) -> T) -> T {
    let taken = take(scan.line(), scan.held());
    scan.pass();
    taken
}

/// Whether the text that begins so is JSON with an object a line, and not a document.
pub(in crate::transfer::read) fn is_lines(start: &[u8]) -> bool {
    let mut input = Input::over(start.to_vec());
    let mut scan = Scan::holding(&mut input);
    if !matches!(scan.next_byte(), Ok(Some(b'{'))) {
        return false;
    }
    scan.step();
    match Documents::Between.seek_records(&mut scan) {
        Ok(has_records) => {
            !has_records
                && scan
                    .held()
                    .is_some_and(|object| !object.trim_ascii().contains(&b'\n'))
        }
        // The first line is broken, or what is known of the text ends within it.
        Err(_) => start
            .split(|byte| *byte == b'\n')
            .nth(1)
            .is_some_and(|second| second.starts_with(b"{")),
    }
}
