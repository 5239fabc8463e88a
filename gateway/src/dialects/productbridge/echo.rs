//! Values as the vendor's framework writes them back into an error: `FastAPI`'s encoder, then `json.dumps`
//! without spaces and without ASCII escapes.
//!
//! Where that crashes, this answers: a lone surrogate is written as U+FFFD, NaN and the infinities as `null`.

use std::fmt::Write;

use super::python_json::Value;

/// Appends a value. Object members whose key begins with `_sa` are left out, since the framework takes them
/// for internals of an object mapper. Recursion ends at the decoder's depth.
pub fn value(value: &Value<'_>, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Int(digits) => out.push_str(digits),
        Value::Float(number) => float(*number, out),
        Value::Text(string) => text(&string.text, out),
        Value::List(items) => list(items, out),
        Value::Object(members) => object(members, out),
    }
}

fn list(items: &[Value<'_>], out: &mut String) {
    out.push('[');
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        value(item, out);
    }
    out.push(']');
}

fn object(members: &[super::python_json::Member<'_>], out: &mut String) {
    out.push('{');
    let mut separator = "";
    for (key, member) in members.iter().filter(|(key, _)| !key.text.starts_with("_sa")) {
        out.push_str(separator);
        separator = ",";
        text(&key.text, out);
        out.push(':');
        value(member, out);
    }
    out.push('}');
}

/// Appends a JSON string.
pub fn text(text: &str, out: &mut String) {
    out.push('"');
    if text.bytes().fold(true, |plain, byte| plain & is_plain(byte)) {
        out.push_str(text);
    } else {
        escaped(text, out);
    }
    out.push('"');
}

/// Whether a byte stands for itself in a string. To look at all of them without leaving early is what compilers make quick.
const fn is_plain(byte: u8) -> bool {
    byte >= b' ' && byte != b'"' && byte != b'\\'
}

fn escaped(text: &str, out: &mut String) {
    let mut plain = 0;
    for (i, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0x08 => "\\b",
            0x0C => "\\f",
            0..=0x1F => "\\u00",
            _ => continue,
        };
        out.push_str(&text[plain..i]);
        out.push_str(escape);
        if escape == "\\u00" {
            push(out, format_args!("{byte:02x}"));
        }
        plain = i + 1;
    }
    out.push_str(&text[plain..]);
}

/// Python's `repr`: the shortest digits that read back the same, with an exponent below 1e-4 and from 1e16
/// on. Of two as near it takes the even digit, as this crate does and the standard library does not.
fn float(number: f64, out: &mut String) {
    if !number.is_finite() {
        out.push_str("null");
        return;
    }
    let mut buffer = zmij::Buffer::new();
    let shortest = buffer.format_finite(number);
    let (sign, text) = shortest.split_at(usize::from(shortest.starts_with('-')));
    if let Some((digits, exponent)) = text.split_once('e') {
        let exponent = exponent.parse::<i32>().unwrap_or_default();
        let below_one = if exponent < 0 { '-' } else { '+' };
        push(
            out,
            format_args!("{sign}{digits}e{below_one}{:02}", exponent.unsigned_abs()),
        );
    } else if let Some(digits) = text.strip_prefix("0.0000") {
        // The crate's exponents begin one lower.
        let (first, others) = digits.split_at(1);
        let point = if others.is_empty() { "" } else { "." };
        push(out, format_args!("{sign}{first}{point}{others}e-05"));
    } else {
        out.push_str(shortest);
    }
}

/// Formats into the string, which cannot fail.
pub fn push(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    let _: std::fmt::Result = out.write_fmt(arguments);
}

#[cfg(test)]
mod tests {
    use super::super::python_json;
    use super::*;

    #[track_caller]
    fn assert_echo(json: &str, expected: &str) {
        let mut out = String::new();
        value(&python_json::decode(json.as_bytes()).unwrap(), &mut out);
        assert_eq!(out, expected, "{json}");
    }

    #[test]
    fn numbers_are_printed_as_python_prints_them() {
        for (number, expected) in [
            ("-0", "0"),
            (
                "10000000000000000000000000000000000000000",
                "10000000000000000000000000000000000000000",
            ),
            ("1.0", "1.0"),
            ("-0.0", "-0.0"),
            ("1e2", "100.0"),
            ("123456.789e3", "123456789.0"),
            ("1e15", "1000000000000000.0"),
            ("1e16", "1e+16"),
            ("123456789012345680.0", "1.2345678901234568e+17"),
            ("9007199254740993.0", "9007199254740992.0"),
            ("1e-4", "0.0001"),
            ("1e-5", "1e-05"),
            ("-1.25e-5", "-1.25e-05"),
            ("9.9e-5", "9.9e-05"),
            ("0.00012", "0.00012"),
            ("1e-6", "1e-06"),
            ("1.5e-100", "1.5e-100"),
            // Halfway between two.
            ("1234567895761371.25", "1234567895761371.2"),
            ("1801514316094494.25", "1801514316094494.2"),
            ("-673136162761606.25", "-673136162761606.2"),
            ("1234567895761371.75", "1234567895761371.8"),
            ("-2.5e-7", "-2.5e-07"),
            ("5e-324", "5e-324"),
            ("1.7976931348623157e308", "1.7976931348623157e+308"),
        ] {
            assert_echo(number, expected);
        }
    }

    #[test]
    fn numbers_json_cannot_say_are_null() {
        assert_echo("[NaN, Infinity, -Infinity, 1e400]", "[null,null,null,null]");
    }

    #[test]
    fn only_quotes_backslashes_and_control_characters_are_escaped() {
        assert_echo(
            r#""\u2028\u0000\u001f\u007f\"\\\/\b\f\n\r\t é\ud83d\ude00\ud800""#,
            "\"\u{2028}\\u0000\\u001f\u{7f}\\\"\\\\/\\b\\f\\n\\r\\t é😀\u{fffd}\"",
        );
    }

    #[test]
    fn members_beginning_with_sa_are_left_out() {
        assert_echo(
            r#"{"_sa":1,"a":{"_sab":[],"b":[{"\u005fsa":1}]},"_s":1}"#,
            r#"{"a":{"b":[{}]},"_s":1}"#,
        );
    }
}
