//! Strings, numbers and literals as Python's `json` scanner reads them, errors included.

use std::borrow::Cow;

use super::encoding::Source;
use super::{JsonError, Text, Value};

/// Digits in an integer, at most (Python's `sys.int_info.default_max_str_digits`).
const MAX_INT_DIGITS: usize = 4300;

/// Walks over a decoded body.
pub struct Lexer<'s, 'a> {
    source: &'s Source<'a>,
    text: &'s str,
    /// Byte offset of the next character.
    at: usize,
}

impl<'s, 'a> Lexer<'s, 'a> {
    pub fn new(source: &'s Source<'a>) -> Self {
        Self {
            source,
            text: source.text(),
            at: 0,
        }
    }

    /// A string, a number or a literal.
    pub fn scalar(&mut self) -> Result<Value<'a>, JsonError> {
        let literal = match self.peek() {
            Some(b'"') => return self.string().map(Value::Text),
            Some(b'n') => ("null", Value::Null),
            Some(b't') => ("true", Value::Bool(true)),
            Some(b'f') => ("false", Value::Bool(false)),
            Some(b'N') => ("NaN", Value::Float(f64::NAN)),
            Some(b'I') => ("Infinity", Value::Float(f64::INFINITY)),
            Some(b'-') => ("-Infinity", Value::Float(f64::NEG_INFINITY)),
            _ => return self.number(),
        };
        if self.rest().starts_with(literal.0.as_bytes()) {
            self.at += literal.0.len();
            return Ok(literal.1);
        }
        self.number()
    }

    /// As much of a number as can be one: after `1.` or `1e` the rest is left to be found superfluous.
    fn number(&mut self) -> Result<Value<'a>, JsonError> {
        let start = self.at;
        let digits = start + usize::from(self.peek() == Some(b'-'));
        let mut end = match self.byte(digits) {
            Some(b'0') => digits + 1,
            Some(b'1'..=b'9') => self.digits_end(digits),
            _ => return Err(self.syntax("Expecting value", start)),
        };
        let int_end = end;
        if self.byte(end) == Some(b'.') && self.digits_end(end + 1) > end + 1 {
            end = self.digits_end(end + 1);
        }
        if matches!(self.byte(end), Some(b'e' | b'E')) {
            let exponent = end + 1 + usize::from(matches!(self.byte(end + 1), Some(b'+' | b'-')));
            if self.digits_end(exponent) > exponent {
                end = self.digits_end(exponent);
            }
        }
        self.at = end;
        if end > int_end {
            return Ok(Value::Float(self.text[start..end].parse().unwrap_or(f64::NAN)));
        }
        match &self.text[start..end] {
            "-0" => Ok(Value::Int(Cow::Borrowed("0"))),
            _ if end - digits > MAX_INT_DIGITS => Err(JsonError::Unreadable),
            _ => Ok(Value::Int(self.source.part(start..end))),
        }
    }

    fn digits_end(&self, start: usize) -> usize {
        let digits = self
            .text
            .as_bytes()
            .iter()
            .skip(start)
            .take_while(|byte| byte.is_ascii_digit());
        start + digits.count()
    }

    /// A string, from its opening quote on.
    pub fn string(&mut self) -> Result<Text<'a>, JsonError> {
        let quote = self.at;
        let mut part = quote + 1;
        self.at = part;
        let mut unescaped: Option<String> = None;
        let mut lone_surrogate = false;
        loop {
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    let text = unescaped.get_or_insert_default();
                    text.push_str(&self.text[part..self.at]);
                    let character = self.escape(quote)?;
                    text.push(character.unwrap_or(char::REPLACEMENT_CHARACTER));
                    lone_surrogate |= character.is_none();
                    part = self.at;
                }
                Some(..=0x1F) => return Err(self.syntax("Invalid control character at", self.at)),
                Some(_) => self.at += self.plain(),
                None => return Err(self.syntax("Unterminated string starting at", quote)),
            }
        }
        lone_surrogate |= self.source.has_lone_surrogate(&(quote..self.at));
        let text = match unescaped {
            Some(mut text) => {
                text.push_str(&self.text[part..self.at]);
                Cow::Owned(text)
            }
            None => self.source.part(part..self.at),
        };
        self.at += 1;
        Ok(Text { text, lone_surrogate })
    }

    /// How many bytes from here on stand for themselves in a string.
    fn plain(&self) -> usize {
        let rest = self.rest();
        let end = rest
            .iter()
            .position(|byte| matches!(byte, b'"' | b'\\' | ..=0x1F));
        end.unwrap_or(rest.len())
    }

    /// One escape, from its backslash on. None for a lone surrogate; `quote` is where the string began.
    fn escape(&mut self, quote: usize) -> Result<Option<char>, JsonError> {
        let backslash = self.at;
        let character = match self.byte(backslash + 1) {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(),
            Some(_) => return Err(self.syntax("Invalid \\escape", backslash)),
            None => return Err(self.syntax("Unterminated string starting at", quote)),
        };
        self.at += 2;
        Ok(Some(character))
    }

    /// `\uXXXX`, and the one after it where both are a surrogate pair.
    fn unicode_escape(&mut self) -> Result<Option<char>, JsonError> {
        let high = self.four_digits()?;
        if !(0xD800..=0xDBFF).contains(&high) || !self.rest().starts_with(b"\\u") {
            return Ok(char::from_u32(high));
        }
        let next = self.at;
        let low = self.four_digits()?;
        if (0xDC00..=0xDFFF).contains(&low) {
            return Ok(char::from_u32(
                0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00),
            ));
        }
        self.at = next;
        Ok(None)
    }

    /// The digits of a `\uXXXX`. Like Python it wants a character after them, since the string has to end.
    fn four_digits(&mut self) -> Result<u32, JsonError> {
        let letter = self.at + 1;
        let digits = self
            .text
            .as_bytes()
            .get(letter + 1..letter + 5)
            .unwrap_or_default();
        let code = digits.iter().try_fold(0, |code, &digit| {
            Some(code << 4 | char::from(digit).to_digit(16)?)
        });
        match code {
            Some(code) if digits.len() == 4 && self.byte(letter + 5).is_some() => {
                self.at = letter + 5;
                Ok(code)
            }
            _ => Err(self.syntax("Invalid \\uXXXX escape", letter)),
        }
    }

    pub fn skip_whitespace(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// The next byte.
    pub fn peek(&self) -> Option<u8> {
        self.byte(self.at)
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    fn rest(&self) -> &[u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// Steps over the byte just peeked at, which is ASCII.
    pub fn advance(&mut self) {
        self.at += 1;
    }

    /// The error that names the place reached.
    pub fn unexpected(&self, message: &'static str) -> JsonError {
        self.syntax(message, self.at)
    }

    fn syntax(&self, message: &'static str, at: usize) -> JsonError {
        JsonError::Syntax {
            message,
            position: self.text[..at].chars().count(),
        }
    }
}
