//! Files of members.

use std::io::{self, Cursor, Read};

use userbridge::transfer::{FileError, Format, ReadOptions, Reader, Record};

use crate::Tried;

/// An input is a byte that says which format the rest is said to be, and a file. Each record has its line, behind that of the one
/// before, and a row or flaws; and nothing depends on how much of the file comes at once.
pub fn member_files(input: &[u8]) -> Tried {
    let Some((format, file)) = input.split_first() else {
        return Tried::NoInput;
    };
    let format = Format::ALL
        .get(usize::from(*format) % (Format::ALL.len() + 1))
        .copied();
    let (records, error) = read(Cursor::new(file.to_vec()), format);
    let mut line = 1;
    for record in &records {
        assert!(record.line >= line, "{record:?} behind line {line}");
        line = record.line;
        assert!(
            record.row.as_ref().err().is_none_or(|flaws| !flaws.is_empty()),
            "{record:?}"
        );
    }
    let (slowly, slow_error) = read(Slow(Cursor::new(file.to_vec())), format);
    assert_eq!(records, slowly);
    let told = [error, slow_error].map(|error| error.map(|error| error.to_string()));
    assert_eq!(told[0], told[1]);
    Tried::Yes
}

fn read(file: impl Read + Send + 'static, format: Option<Format>) -> (Vec<Record>, Option<FileError>) {
    let options = ReadOptions {
        format,
        ..ReadOptions::default()
    };
    let mut records = Vec::new();
    let reader = match Reader::new(file, options) {
        Ok(reader) => reader,
        Err(error) => return (records, Some(error)),
    };
    for record in reader {
        match record {
            Ok(record) => records.push(record),
            Err(error) => return (records, Some(error)),
        }
    }
    (records, None)
}

/// A file that comes some bytes at a time.
struct Slow(Cursor<Vec<u8>>);

impl Read for Slow {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = into.len().min(3);
        self.0.read(&mut into[..length])
    }
}
