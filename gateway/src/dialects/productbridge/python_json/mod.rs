//! A JSON decoder that answers as Python 3.11's `json.loads(bytes)` does, because the published answers quote
//! it.
//!
//! No crate does this. `serde_json` and `jiter` have messages and positions of their own, where the contract
//! shows Python's messages and counts code points. Both refuse lone surrogates, which Python takes;
//! `serde_json` also refuses NaN and Infinity. Both read UTF-8 only, and both stop at a depth of their own.
//! `serde_json` keeps neither a big integer's digits nor the place of a repeated key without features that
//! would change it for the whole workspace.
//!
//! Decoding takes linear time and keeps its own stack, so that a body cannot overflow the thread's.

mod encoding;
mod lexer;

use std::borrow::Cow;
use std::collections::HashMap;
use std::mem;

use self::encoding::{NotText, Source};
use self::lexer::Lexer;

/// Containers open at once, at most. Python allows 1000 nested calls, and under its usual server the
/// framework takes 40 of them: it answers 961 brackets with 400.
pub const MAX_DEPTH: usize = 960;

/// Members up to which comparing every key with every other is cheaper than hashing them.
const FEW_MEMBERS: usize = 8;

/// A decoded value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    Null,
    Bool(bool),
    /// The digits as sent, `-0` as `0`.
    Int(Cow<'a, str>),
    /// Infinite for an overflow and for `Infinity`, NaN for `NaN`.
    Float(f64),
    Text(Text<'a>),
    List(Vec<Value<'a>>),
    /// Every key once: the last value, at the first one's place.
    Object(Vec<Member<'a>>),
}

/// A key and its value.
pub type Member<'a> = (Text<'a>, Value<'a>);

/// A string. A lone surrogate, which Rust text cannot hold, stands in it as U+FFFD.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text<'a> {
    pub text: Cow<'a, str>,
    pub lone_surrogate: bool,
}

/// Why a body could not be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonError {
    /// Python's `JSONDecodeError`: its `msg` and its `pos`, in code points without the byte order mark.
    Syntax { message: &'static str, position: usize },
    /// Any other exception there: no text, nested too deep, or an integer too long.
    Unreadable,
}

/// Decodes a body, borrowing from it where it can.
pub fn decode(bytes: &[u8]) -> Result<Value<'_>, JsonError> {
    let source = Source::decode(bytes).map_err(|NotText| JsonError::Unreadable)?;
    Decoder {
        tokens: Lexer::new(&source),
    }
    .document()
}

/// An open container, and in an object the key whose value comes next.
enum Frame<'a> {
    List(Vec<Value<'a>>),
    Object(Vec<Member<'a>>, Text<'a>),
}

struct Decoder<'s, 'a> {
    tokens: Lexer<'s, 'a>,
}

impl<'a> Decoder<'_, 'a> {
    fn document(&mut self) -> Result<Value<'a>, JsonError> {
        let mut open: Vec<Frame<'a>> = Vec::with_capacity(1);
        self.tokens.skip_whitespace();
        loop {
            // A value begins here.
            let value = match self.tokens.peek() {
                Some(bracket @ (b'[' | b'{')) => {
                    if open.len() == MAX_DEPTH {
                        return Err(JsonError::Unreadable);
                    }
                    self.tokens.advance();
                    self.tokens.skip_whitespace();
                    match (bracket, self.tokens.peek()) {
                        (b'[', Some(b']')) => {
                            self.tokens.advance();
                            Value::List(Vec::new())
                        }
                        (b'{', Some(b'}')) => {
                            self.tokens.advance();
                            Value::Object(Vec::new())
                        }
                        (b'[', _) => {
                            open.push(Frame::List(Vec::new()));
                            continue;
                        }
                        _ => {
                            let key = self.key()?;
                            open.push(Frame::Object(Vec::with_capacity(4), key));
                            continue;
                        }
                    }
                }
                _ => self.tokens.scalar()?,
            };
            self.tokens.skip_whitespace();
            if let Some(document) = self.place(value, &mut open)? {
                return if self.tokens.peek().is_none() {
                    Ok(document)
                } else {
                    Err(self.tokens.unexpected("Extra data"))
                };
            }
        }
    }

    /// Puts a finished value where it belongs and closes all that ends with it. Some for the outermost value,
    /// None when another value has to follow.
    fn place(
        &mut self,
        mut value: Value<'a>,
        open: &mut Vec<Frame<'a>>,
    ) -> Result<Option<Value<'a>>, JsonError> {
        while let Some(frame) = open.last_mut() {
            let close = match frame {
                Frame::List(items) => {
                    items.push(value);
                    b']'
                }
                Frame::Object(members, key) => {
                    members.push((mem::take(key), value));
                    b'}'
                }
            };
            match self.tokens.peek() {
                Some(b',') => {
                    self.tokens.advance();
                    self.tokens.skip_whitespace();
                    if let Frame::Object(_, key) = frame {
                        *key = self.key()?;
                    }
                    return Ok(None);
                }
                Some(byte) if byte == close => self.tokens.advance(),
                _ => return Err(self.tokens.unexpected("Expecting ',' delimiter")),
            }
            value = match frame {
                Frame::List(items) => Value::List(mem::take(items)),
                Frame::Object(members, _) => Value::Object(last_wins(mem::take(members))),
            };
            open.pop();
            self.tokens.skip_whitespace();
        }
        Ok(Some(value))
    }

    /// A key, its colon, and the whitespace up to its value.
    fn key(&mut self) -> Result<Text<'a>, JsonError> {
        if self.tokens.peek() != Some(b'"') {
            return Err(self
                .tokens
                .unexpected("Expecting property name enclosed in double quotes"));
        }
        let key = self.tokens.string()?;
        self.tokens.skip_whitespace();
        if self.tokens.peek() != Some(b':') {
            return Err(self.tokens.unexpected("Expecting ':' delimiter"));
        }
        self.tokens.advance();
        self.tokens.skip_whitespace();
        Ok(key)
    }
}

/// Leaves every key once, as a Python dict would.
fn last_wins(mut members: Vec<Member<'_>>) -> Vec<Member<'_>> {
    // For each member the place of the first with its key.
    let first: Vec<usize> = if members.len() <= FEW_MEMBERS {
        if !(1..members.len()).any(|i| members[..i].iter().any(|(key, _)| key.text == members[i].0.text)) {
            return members;
        }
        (0..members.len()).map(|i| first_with(&members, i)).collect()
    } else {
        let mut seen = HashMap::with_capacity(members.len());
        let first = members
            .iter()
            .enumerate()
            .map(|(i, (key, _))| *seen.entry(&*key.text).or_insert(i))
            .collect();
        if seen.len() == members.len() {
            return members;
        }
        first
    };
    for (i, &first) in first.iter().enumerate() {
        if first != i {
            members[first].1 = mem::replace(&mut members[i].1, Value::Null);
        }
    }
    let mut place = 0..;
    members.retain(|_| place.next().is_some_and(|i| first[i] == i));
    members
}

fn first_with(members: &[Member<'_>], i: usize) -> usize {
    members[..i]
        .iter()
        .position(|(key, _)| key.text == members[i].0.text)
        .unwrap_or(i)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::echo;
    use super::*;

    fn echoed(bytes: &[u8]) -> String {
        let mut out = String::new();
        echo::value(&decode(bytes).unwrap(), &mut out);
        out
    }

    #[test]
    fn syntax_errors_are_pythons_with_positions_in_code_points() {
        for (bytes, message, position) in [
            (b"  \n".as_slice(), "Expecting value", 3),
            (b"[", "Expecting value", 1),
            (b"[1,]", "Expecting value", 3),
            (b"[1 2]", "Expecting ',' delimiter", 3),
            (b"[1}", "Expecting ',' delimiter", 2),
            (b"{}{}", "Extra data", 2),
            (b"{}\0", "Extra data", 2),
            (b"{,}", "Expecting property name enclosed in double quotes", 1),
            (b"{a:1}", "Expecting property name enclosed in double quotes", 1),
            (
                br#"{"a":1,}"#,
                "Expecting property name enclosed in double quotes",
                7,
            ),
            (br#"{"a""#, "Expecting ':' delimiter", 4),
            (br#"{"a" 1}"#, "Expecting ':' delimiter", 5),
            (br#"{"a":}"#, "Expecting value", 5),
            (br#"{"a":1"#, "Expecting ',' delimiter", 6),
            (br#"{"a":1 "b":2}"#, "Expecting ',' delimiter", 7),
            (b"+1", "Expecting value", 0),
            (b"-", "Expecting value", 0),
            (b"-Inf", "Expecting value", 0),
            (b".5", "Expecting value", 0),
            (b"nul", "Expecting value", 0),
            (b"1.", "Extra data", 1),
            (b"1e", "Extra data", 1),
            (b"1e+", "Extra data", 1),
            (b"01", "Extra data", 1),
            (br#""a"#, "Unterminated string starting at", 0),
            (br#""\"#, "Unterminated string starting at", 0),
            (b"\"a\tb\"", "Invalid control character at", 2),
            (br#""\x""#, "Invalid \\escape", 1),
            (br#""\u12""#, "Invalid \\uXXXX escape", 2),
            (br#""\u12g4""#, "Invalid \\uXXXX escape", 2),
            (br#""\u0041"#, "Invalid \\uXXXX escape", 2),
            (br#""\ud83d\u""#, "Invalid \\uXXXX escape", 8),
            (br#""\ud83d\u0041"#, "Invalid \\uXXXX escape", 8),
            (
                "{\"😀\":1, x}".as_bytes(),
                "Expecting property name enclosed in double quotes",
                8,
            ),
            ("\u{feff}\u{feff}1".as_bytes(), "Expecting value", 0),
            ("\u{feff}[é]".as_bytes(), "Expecting value", 1),
            (b"\xFF\xFE[\0\"\0\xE9\0\"\0,\0 \0x\0]\0", "Expecting value", 6),
            (b"[\"\xED\xA0\x80\", x]", "Expecting value", 6),
        ] {
            let shown = String::from_utf8_lossy(bytes);
            assert_eq!(
                decode(bytes),
                Err(JsonError::Syntax { message, position }),
                "{shown}"
            );
        }
    }

    #[test]
    fn a_repeated_key_keeps_its_first_place_and_its_last_value() {
        assert_eq!(echoed(br#"{"a":1,"b":2,"a":3,"\u0061":4}"#), r#"{"a":4,"b":2}"#);
        let many = (0..30)
            .map(|i| format!("\"k{}\":{i}", i % 12))
            .collect::<Vec<_>>()
            .join(",");
        let last = (24..30)
            .chain(18..24)
            .map(|i| format!("\"k{}\":{i}", i % 12))
            .collect::<Vec<_>>()
            .join(",");
        assert_eq!(echoed(format!("{{{many}}}").as_bytes()), format!("{{{last}}}"));
    }

    #[test]
    fn a_lone_surrogate_is_marked_and_a_pair_is_one_character() {
        let text = |bytes| match decode(bytes) {
            Ok(Value::Text(Text { text, lone_surrogate })) => (text.into_owned(), lone_surrogate),
            other => panic!("{other:?}"),
        };
        assert_eq!(text(br#""\ud83d\ude00""#), ("😀".to_owned(), false));
        assert_eq!(text(br#""\ud800""#), ("\u{fffd}".to_owned(), true));
        assert_eq!(text(br#""\ude00\ud83d""#), ("\u{fffd}\u{fffd}".to_owned(), true));
        assert_eq!(text(br#""\ud83d\u0041""#), ("\u{fffd}A".to_owned(), true));
        assert_eq!(
            text(b"\"\xED\xA0\xBD\xED\xB8\x80\""),
            ("\u{fffd}\u{fffd}".to_owned(), true)
        );
        assert_eq!(text("\"\u{fffd}\"".as_bytes()), ("\u{fffd}".to_owned(), false));
    }

    #[test]
    fn plain_strings_and_digits_are_borrowed() {
        let Ok(Value::List(items)) = decode(br#"["a",12]"#) else {
            panic!("no list")
        };
        assert!(
            matches!(
                &items[0],
                Value::Text(Text {
                    text: Cow::Borrowed("a"),
                    ..
                })
            ),
            "{items:?}"
        );
        assert!(matches!(&items[1], Value::Int(Cow::Borrowed("12"))), "{items:?}");
    }

    #[test]
    fn an_integer_of_4301_digits_is_unreadable() {
        let digits = "9".repeat(4300);
        assert_eq!(
            decode(digits.as_bytes()),
            Ok(Value::Int(Cow::Borrowed(digits.as_str())))
        );
        assert!(decode(format!("-{digits}").as_bytes()).is_ok());
        assert!(decode(format!("{digits}9.0").as_bytes()).is_ok());
        assert_eq!(
            decode(format!("[{digits}9 !").as_bytes()),
            Err(JsonError::Unreadable)
        );
    }

    #[test]
    fn nesting_ends_at_960_and_needs_little_stack() {
        let answers = |open: &str, depth| {
            let (body, closed) = (open.repeat(depth), open.len() == 1);
            let body = if closed { body + &"]".repeat(depth) } else { body };
            let work = move || decode(body.as_bytes()).map(|value| echo::value(&value, &mut String::new()));
            std::thread::Builder::new()
                .stack_size(1 << 20)
                .spawn(work)
                .unwrap()
                .join()
                .unwrap()
        };
        assert_eq!(answers("[", MAX_DEPTH), Ok(()));
        assert_eq!(answers("[", MAX_DEPTH + 1), Err(JsonError::Unreadable));
        assert_eq!(answers("[", 32 * 1024), Err(JsonError::Unreadable));
        assert_eq!(answers("{\"a\":", MAX_DEPTH + 1), Err(JsonError::Unreadable));
        let message = "Expecting value";
        assert_eq!(
            answers("{\"a\":", MAX_DEPTH),
            Err(JsonError::Syntax {
                message,
                position: 5 * MAX_DEPTH
            })
        );
    }

    #[test]
    fn a_large_body_takes_linear_time() {
        // Quadratic work on any of these would take minutes in a debug build.
        let keys = (0..8_000)
            .map(|i| format!("\"{i}\":1"))
            .collect::<Vec<_>>()
            .join(",");
        for body in [
            format!("{{{keys}}}"),
            "[0.1e".repeat(900) + &"1".repeat(60_000),
            "\\u0041".repeat(10_000),
        ] {
            for body in [format!("\"{body}\""), body] {
                let _: Result<Value<'_>, JsonError> = decode(body.as_bytes());
            }
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _: Result<Value<'_>, JsonError> = decode(&bytes);
        }

        #[test]
        fn no_text_panics(text in r#"([\[\]{}",:\\ue0-9+.aé😀\x00 -]|null|\\ud83d|\\ude00|"a":){0,60}"#) {
            if let Ok(value) = decode(text.as_bytes()) {
                let mut out = String::new();
                echo::value(&value, &mut out);
                prop_assert!(serde_json::from_str::<serde_json::Value>(&out).is_ok(), "{out}");
            }
        }

        #[test]
        fn what_serde_json_writes_is_echoed_as_it_is(value in json(), pretty in any::<bool>()) {
            let sent = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            let out = echoed(sent.unwrap().as_bytes());
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&out).unwrap(), value);
        }
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<i32>().prop_map(|eighths| (f64::from(eighths) / 8.0).into()),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(5, 60, 12, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
                proptest::collection::hash_map("[a-zé\"]{0,3}", inner, 0..12)
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        })
    }
}
