//! JSON as V8's `JSON.parse` reads it (Node 20), with its words for what is none. Nothing nests on the stack.

use std::mem;

use super::{Fields, Value};

/// A body that is no JSON: the message, in UTF-16, because V8 may quote half of a pair.
type SyntaxError = Vec<u16>;

/// V8 shows so much on either side of an unexpected character.
const CONTEXT: usize = 10;

/// The fields of an object; an array has none. What is neither is refused, as by body-parser, which is strict.
pub(super) fn read(text: &str) -> Result<Fields, SyntaxError> {
    let text: Vec<u16> = text.encode_utf16().collect();
    let first = text.iter().position(|unit| !is_blank(*unit));
    match first.map(|at| (at, text[at])) {
        Some((_, unit)) if unit == unit_of('{') || unit == unit_of('[') => Parser::new(&text).read(),
        Some((at, _)) => Err(unexpected(&text, at)),
        None => Err(units("Unexpected end of JSON input")),
    }
}

/// Reads one text.
struct Parser<'t> {
    text: &'t [u16],
    at: usize,
    /// The arrays (true) and objects around the place.
    open: Vec<bool>,
    /// The name of the outermost object's field that is read.
    name: String,
    /// What the array has so far that is this field's value.
    items: Vec<Value>,
    fields: Fields,
}

impl<'t> Parser<'t> {
    fn new(text: &'t [u16]) -> Self {
        Self {
            text,
            at: 0,
            open: Vec::new(),
            name: String::new(),
            items: Vec::new(),
            fields: Fields::default(),
        }
    }

    fn read(mut self) -> Result<Fields, SyntaxError> {
        loop {
            let value = match self.peek() {
                Some('{') => {
                    self.at += 1;
                    self.open.push(false);
                    if self.peek() != Some('}') {
                        self.property(true)?;
                        continue;
                    }
                    self.close()
                }
                Some('[') => {
                    self.at += 1;
                    self.open.push(true);
                    if self.peek() != Some(']') {
                        continue;
                    }
                    self.close()
                }
                Some('"') => Value::Text(self.string()?),
                Some('-' | '0'..='9') => self.number()?,
                Some('t') => self.literal("true", Value::Bool(true))?,
                Some('f') => self.literal("false", Value::Bool(false))?,
                Some('n') => self.literal("null", Value::Null)?,
                _ => return Err(unexpected(self.text, self.at)),
            };
            if self.finished(value)? {
                return Ok(self.fields);
            }
        }
    }

    /// Puts a value where it belongs and goes on to the next one. True: there is none, the text has ended.
    fn finished(&mut self, mut value: Value) -> Result<bool, SyntaxError> {
        loop {
            let Some(array) = self.open.last().copied() else {
                return match self.peek() {
                    None if self.at == self.text.len() => Ok(true),
                    _ => Err(self.message("Unexpected non-whitespace character after JSON")),
                };
            };
            match self.open[..] {
                [false] => {
                    self.fields.insert(mem::take(&mut self.name), value);
                }
                [false, true] => self.items.push(value),
                _ => {}
            }
            match (self.peek(), array) {
                (Some(','), true) => {
                    self.at += 1;
                    return Ok(false);
                }
                (Some(','), false) => {
                    self.at += 1;
                    self.property(false)?;
                    return Ok(false);
                }
                (Some(']'), true) | (Some('}'), false) => value = self.close(),
                (_, true) => return Err(self.message("Expected ',' or ']' after array element")),
                (_, false) => return Err(self.message("Expected ',' or '}' after property value")),
            }
        }
    }

    /// Ends the innermost array or object, whose end is here. Only arrays in a field are kept.
    fn close(&mut self) -> Value {
        self.at += 1;
        match (self.open.pop(), &self.open[..]) {
            (Some(true), [false]) => Value::List(mem::take(&mut self.items)),
            _ => Value::Other,
        }
    }

    /// The name of a property, of an object's first or of another, and its colon.
    fn property(&mut self, is_first: bool) -> Result<(), SyntaxError> {
        if self.peek() != Some('"') {
            return Err(self.message(if is_first {
                "Expected property name or '}'"
            } else {
                "Expected double-quoted property name"
            }));
        }
        let name = self.string()?;
        if self.open.len() == 1 {
            self.name = name;
        }
        if self.peek() != Some(':') {
            // Behind the first name alone V8 says what it expects.
            return Err(if is_first {
                self.message("Expected ':' after property name")
            } else {
                unexpected(self.text, self.at)
            });
        }
        self.at += 1;
        Ok(())
    }

    /// A text, from its first quote to its last. Half of a surrogate pair becomes U+FFFD, as when Node writes it.
    fn string(&mut self) -> Result<String, SyntaxError> {
        let mut read = Vec::new();
        loop {
            self.at += 1;
            match self.here() {
                None => return Err(self.message("Unterminated string")),
                Some('"') => break,
                Some('\\') => read.push(self.escape()?),
                Some(control) if control < ' ' => {
                    return Err(self.message("Bad control character in string literal"));
                }
                Some(_) => read.push(self.text[self.at]),
            }
        }
        self.at += 1;
        Ok(String::from_utf16_lossy(&read))
    }

    fn escape(&mut self) -> Result<u16, SyntaxError> {
        self.at += 1;
        let letter = match self.here() {
            None | Some('\u{100}'..) => return Err(unexpected(self.text, self.at)),
            Some(same @ ('"' | '\\' | '/')) => same,
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => return self.unicode_escape(),
            Some(_) => return Err(self.message("Bad escaped character")),
        };
        Ok(unit_of(letter))
    }

    fn unicode_escape(&mut self) -> Result<u16, SyntaxError> {
        let mut unit = 0;
        for _ in 0..4 {
            self.at += 1;
            let digit = self.here().and_then(|letter| letter.to_digit(16));
            let digit = digit.and_then(|digit| u16::try_from(digit).ok());
            unit = unit << 4 | digit.ok_or_else(|| self.message("Bad Unicode escape"))?;
        }
        Ok(unit)
    }

    fn number(&mut self) -> Result<Value, SyntaxError> {
        if self.here() == Some('-') {
            self.at += 1;
            if !self.is_digit() {
                return Err(self.message("No number after minus sign"));
            }
        }
        if self.here() == Some('0') {
            self.at += 1;
            if self.is_digit() {
                return Err(self.message("Unexpected number"));
            }
        }
        self.digits();
        if self.here() == Some('.') {
            self.at += 1;
            if !self.is_digit() {
                return Err(self.message("Unterminated fractional number"));
            }
            self.digits();
        }
        if matches!(self.here(), Some('e' | 'E')) {
            self.at += 1;
            if matches!(self.here(), Some('+' | '-')) {
                self.at += 1;
            }
            if !self.is_digit() {
                return Err(self.message("Exponent part is missing a number"));
            }
            self.digits();
        }
        Ok(Value::Number)
    }

    fn digits(&mut self) {
        while self.is_digit() {
            self.at += 1;
        }
    }

    fn literal(&mut self, word: &str, value: Value) -> Result<Value, SyntaxError> {
        for letter in word.chars() {
            if self.here() != Some(letter) {
                return Err(unexpected(self.text, self.at));
            }
            self.at += 1;
        }
        Ok(value)
    }

    fn is_digit(&self) -> bool {
        self.here().is_some_and(|letter| letter.is_ascii_digit())
    }

    /// The next character that is no blank. Half of a pair is U+FFFD. None: there is none.
    fn peek(&mut self) -> Option<char> {
        let blanks = self.text[self.at..].iter().take_while(|unit| is_blank(**unit));
        self.at += blanks.count();
        self.here()
    }

    fn here(&self) -> Option<char> {
        let unit = self.text.get(self.at)?;
        Some(char::from_u32(u32::from(*unit)).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn message(&self, text: &str) -> SyntaxError {
        units(&format!("{text} in JSON at position {}", self.at).replace("after JSON in JSON", "after JSON"))
    }
}

/// What V8 says of a character, or of the end, where it has nothing better to say.
fn unexpected(text: &[u16], at: usize) -> SyntaxError {
    let Some(unit) = text.get(at) else {
        return units("Unexpected end of JSON input");
    };
    match u8::try_from(*unit) {
        Ok(b'"') if opens(text) => return units(&format!("Unexpected string in JSON at position {at}")),
        Ok(b'-' | b'0'..=b'9') if opens(text) => {
            return units(&format!("Unexpected number in JSON at position {at}"));
        }
        _ => {}
    }
    if text == units("[object Object]") {
        return units("\"[object Object]\" is not valid JSON");
    }
    let (before, shown, after) = if text.len() <= 2 * CONTEXT {
        ("", text, "")
    } else if at < CONTEXT {
        ("", &text[..at + CONTEXT], "...")
    } else if at < text.len() - CONTEXT {
        ("...", &text[at - CONTEXT..at + CONTEXT], "...")
    } else {
        ("...", &text[at - CONTEXT..], "")
    };
    let mut message = units("Unexpected token '");
    message.push(*unit);
    message.extend(units(&format!("', {before}\"")));
    message.extend(shown);
    message.extend(units(&format!("\"{after} is not valid JSON")));
    message
}

/// Whether a text begins as an object or array does: another first character is never read, only told.
fn opens(text: &[u16]) -> bool {
    let first = text.iter().find(|unit| !is_blank(**unit));
    first.is_some_and(|unit| *unit == unit_of('{') || *unit == unit_of('['))
}

fn is_blank(unit: u16) -> bool {
    matches!(u8::try_from(unit), Ok(b' ' | b'\t' | b'\n' | b'\r'))
}

/// Of a character of the basic plane.
fn unit_of(letter: char) -> u16 {
    u16::try_from(u32::from(letter)).unwrap_or_default()
}

fn units(text: &str) -> Vec<u16> {
    text.encode_utf16().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(json: &str) -> String {
        String::from_utf16_lossy(&read(json).unwrap_err())
    }

    fn field(json: &str) -> Value {
        read(json).unwrap().remove("a").unwrap()
    }

    #[test]
    fn what_is_no_json_is_told_in_v8s_words() {
        for case in include_str!("v8.txt").lines() {
            let (json, said) = case.split_once('\t').unwrap();
            let json: String = serde_json::from_str(json).unwrap();
            assert_eq!(message(&json), said, "{json}");
        }
    }

    #[test]
    fn fields_are_those_of_the_outermost_object() {
        for (json, value) in [
            (r#"{"a":null}"#, Value::Null),
            (r#"{"a":1,"a":true}"#, Value::Bool(true)),
            (r#"{"a":-0.5e+3}"#, Value::Number),
            (
                r#" { "a" : "\u00fc\ud83d\ude00\n" } "#,
                Value::Text("ü😀\n".to_owned()),
            ),
            (r#"{"a":"\ud800"}"#, Value::Text("\u{fffd}".to_owned())),
            (r#"{"a":{"a":1}}"#, Value::Other),
            (r#"{"a":[ ],"b":[1]}"#, Value::List(Vec::new())),
            (
                r#"{"b":[1],"a":["x",[["y"]],{"a":["z"]},null]}"#,
                Value::List(vec![
                    Value::Text("x".to_owned()),
                    Value::Other,
                    Value::Other,
                    Value::Null,
                ]),
            ),
        ] {
            assert_eq!(field(json), value, "{json}");
        }
        assert_eq!(read(r#"[{"a":1}]"#).unwrap(), Fields::default());
    }

    #[test]
    fn it_may_nest_as_deep_as_it_likes() {
        let (open, close) = ("[".repeat(50_000), "]".repeat(50_000));
        assert_eq!(
            read(&format!("{{\"a\":{open}{close}}}")).unwrap().len(),
            1,
            "a hundred thousand brackets"
        );
    }
}
