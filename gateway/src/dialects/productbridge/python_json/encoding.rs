//! From the bytes of a body to text, as Python's `json.loads(bytes)` does it.
//!
//! The encoding is guessed from a byte order mark or from where the zero bytes stand
//! (`json.detect_encoding`), and decoded with the `surrogatepass` handler: an encoded lone surrogate is let
//! through, every other one is an error.

use std::borrow::Cow;
use std::ops::Range;

/// The bytes are in none of the encodings, or broken in the one they are in.
#[derive(Debug, PartialEq, Eq)]
pub struct NotText;

/// A decoded body. A lone surrogate, which Rust text cannot hold, stands in it as U+FFFD.
#[derive(Debug)]
pub struct Source<'a> {
    text: Cow<'a, str>,
    /// Byte offsets of those U+FFFD, ascending.
    lone: Vec<usize>,
}

impl<'a> Source<'a> {
    /// Decodes a body. UTF-8, the usual case, is borrowed.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, NotText> {
        match bytes {
            [0, 0, 0xFE, 0xFF, rest @ ..] => utf32(rest, u32::from_be_bytes),
            [0xFF, 0xFE, 0, 0, rest @ ..] => utf32(rest, u32::from_le_bytes),
            [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes),
            [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes),
            [0xEF, 0xBB, 0xBF, rest @ ..] => utf8(rest),
            [0, 0, _, _, ..] => utf32(bytes, u32::from_be_bytes),
            [0, _, _, _, ..] | [0, _] => utf16(bytes, u16::from_be_bytes),
            [_, 0, 0, 0, ..] => utf32(bytes, u32::from_le_bytes),
            [_, 0, _, _, ..] | [_, 0] => utf16(bytes, u16::from_le_bytes),
            _ => utf8(bytes),
        }
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// A part of the text, borrowed from the body wherever the body is UTF-8.
    pub fn part(&self, range: Range<usize>) -> Cow<'a, str> {
        match self.text {
            Cow::Borrowed(text) => Cow::Borrowed(&text[range]),
            Cow::Owned(ref text) => Cow::Owned(text[range].to_owned()),
        }
    }

    /// Whether that part held a lone surrogate. One written as an escape is not seen here.
    pub fn has_lone_surrogate(&self, range: &Range<usize>) -> bool {
        let next = self.lone.partition_point(|&offset| offset < range.start);
        self.lone.get(next).is_some_and(|&offset| offset < range.end)
    }

    fn owned() -> Self {
        Self {
            text: Cow::Owned(String::new()),
            lone: Vec::new(),
        }
    }

    fn push(&mut self, character: Option<char>) {
        let text = self.text.to_mut();
        if character.is_none() {
            self.lone.push(text.len());
        }
        text.push(character.unwrap_or(char::REPLACEMENT_CHARACTER));
    }
}

fn utf8(bytes: &[u8]) -> Result<Source<'_>, NotText> {
    if let Ok(text) = str::from_utf8(bytes) {
        return Ok(Source {
            text: Cow::Borrowed(text),
            lone: Vec::new(),
        });
    }
    let mut source = Source::owned();
    let mut rest = bytes;
    loop {
        let Err(error) = str::from_utf8(rest) else {
            source.text.to_mut().push_str(&String::from_utf8_lossy(rest));
            return Ok(source);
        };
        let (valid, broken) = rest.split_at(error.valid_up_to());
        source.text.to_mut().push_str(&String::from_utf8_lossy(valid));
        let [0xED, 0xA0..=0xBF, 0x80..=0xBF, after @ ..] = broken else {
            return Err(NotText);
        };
        source.push(None);
        rest = after;
    }
}

fn utf16<'a>(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<Source<'a>, NotText> {
    let (units, []) = bytes.as_chunks() else {
        return Err(NotText);
    };
    let mut source = Source::owned();
    for character in char::decode_utf16(units.iter().map(|&bytes| unit(bytes))) {
        source.push(character.ok());
    }
    Ok(source)
}

fn utf32<'a>(bytes: &[u8], unit: fn([u8; 4]) -> u32) -> Result<Source<'a>, NotText> {
    let (units, []) = bytes.as_chunks() else {
        return Err(NotText);
    };
    let mut source = Source::owned();
    for code in units.iter().map(|&bytes| unit(bytes)) {
        match char::from_u32(code) {
            None if !(0xD800..=0xDFFF).contains(&code) => return Err(NotText),
            character => source.push(character),
        }
    }
    Ok(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_decodes(bytes: &[u8], text: &str, lone: &[usize]) {
        let source = Source::decode(bytes).unwrap();
        assert_eq!((source.text(), &source.lone[..]), (text, lone), "{bytes:02x?}");
    }

    #[test]
    fn utf_8_is_borrowed_and_loses_one_byte_order_mark() {
        assert!(matches!(Source::decode(b"{}").unwrap().text, Cow::Borrowed("{}")));
        assert!(matches!(
            Source::decode(b"\xEF\xBB\xBF{}").unwrap().text,
            Cow::Borrowed("{}")
        ));
        assert_decodes(b"\xEF\xBB\xBF\xEF\xBB\xBF1", "\u{feff}1", &[]);
    }

    #[test]
    fn wide_encodings_are_known_by_their_mark_or_their_zeros() {
        for bytes in [
            b"\xFE\xFF\0[\0]".as_slice(),
            b"\xFF\xFE[\0]\0",
            b"\0[\0]",
            b"[\0]\0",
            b"\0\0\xFE\xFF\0\0\0[\0\0\0]",
            b"\xFF\xFE\0\0[\0\0\0]\0\0\0",
            b"\0\0\0[\0\0\0]",
            b"[\0\0\0]\0\0\0",
        ] {
            assert_decodes(bytes, "[]", &[]);
        }
        assert_decodes(b"\x001", "1", &[]);
        assert_decodes(b"1\0", "1", &[]);
    }

    #[test]
    fn an_encoded_lone_surrogate_is_let_through() {
        assert_decodes(b"a\xED\xA0\x80b\xED\xBF\xBF", "a\u{fffd}b\u{fffd}", &[1, 5]);
        assert_decodes(b"\xFE\xFF\xD8\0\0a", "\u{fffd}a", &[0]);
        assert_decodes(b"\xFF\xFE\x3D\xD8\x00\xDE", "\u{1f600}", &[]);
        assert_decodes(b"\0\0\xFE\xFF\0\0\xD8\x3D\0\0\xDE\0", "\u{fffd}\u{fffd}", &[0, 3]);
    }

    #[test]
    fn a_surrogate_belongs_to_the_parts_that_hold_it() {
        let source = Source::decode(b"a\xED\xA0\x80b").unwrap();
        assert!(source.has_lone_surrogate(&(0..5)) && source.has_lone_surrogate(&(1..4)));
        assert!(!source.has_lone_surrogate(&(0..1)) && !source.has_lone_surrogate(&(4..5)));
    }

    #[test]
    fn broken_bytes_are_not_text() {
        for bytes in [
            b"\xFF".as_slice(),
            b"\"\xC0\x80\"",
            b"\"\xED\xA0\"",
            b"\"\xF4\x90\x80\x80\"",
            b"\xFE\xFF\0[\0",
            b"[\0]\0\0",
            b"\0\0\0[\0\0\0",
            b"\0\0\0[\0\x11\0\0",
        ] {
            assert_eq!(Source::decode(bytes).unwrap_err(), NotText, "{bytes:02x?}");
        }
    }
}
