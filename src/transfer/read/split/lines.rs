//! NDJSON: a JSON value a line. Lines with white space alone are passed over.

use crate::transfer::read::{MAX_RECORD, error::FileError, input::Input};

/// What `take` makes of the next record: of its line, and its text, unless that is too long. None: there is no more.
pub(in crate::transfer::read) fn next_line<T>(
    input: &mut Input,
    take: impl FnOnce(u64, Option<&[u8]>) -> T,
) -> Result<Option<T>, FileError> {
    loop {
        let line = input.line();
        let (mut length, mut is_too_long) = (0, false);
        let has_end = loop {
            let bytes = input.bytes();
            if let Some(end) = memchr::memchr(b'\n', &bytes[length..]) {
                length += end;
                break true;
            }
            length = bytes.len();
            if length > MAX_RECORD {
                is_too_long = true;
                input.advance(length);
                length = 0;
            }
            if !input.more()? {
                break false;
            }
        };
        let text = &input.bytes()[..length];
        let is_blank = !is_too_long && text.trim_ascii().is_empty();
        if is_blank && !has_end {
            return Ok(None);
        }
        if !is_blank {
            let is_held = !is_too_long && length <= MAX_RECORD;
            let taken = take(line, is_held.then_some(text));
            input.advance(length + usize::from(has_end));
            return Ok(Some(taken));
        }
        input.advance(length + 1);
    }
}
