//! JSON bodies.

use std::{collections::HashMap, str};

use serde_json::{Number, value::RawValue};

use super::{Value, variables::Variables};

/// How deep arrays nest at most. PHP's limit is 512, and it counts what is in the innermost array as one more.
const MAX_DEPTH: usize = 511;

/// The fields of an object. There are none if the body is malformed, not UTF-8, too deep, or no object.
///
/// No rule asks what is in an array, so that is only passed over: deep JSON takes no stack.
pub(super) fn read(body: &[u8]) -> Variables {
    str::from_utf8(body)
        .ok()
        .filter(|text| depth(text) <= MAX_DEPTH)
        .and_then(|text| serde_json::from_str::<HashMap<String, &RawValue>>(text).ok())
        .and_then(|fields| {
            let mut fields = fields.into_iter();
            fields.try_fold(Variables::default(), |mut variables, (name, raw)| {
                variables.put(name, value(raw.get())?);
                Some(variables)
            })
        })
        .unwrap_or_default()
}

/// None: it is a text with half a surrogate pair.
fn value(json: &str) -> Option<Value> {
    let first = json.chars().next()?;
    Some(match first {
        'n' => Value::Null,
        't' => Value::Bool(true),
        'f' => Value::Bool(false),
        '"' => Value::Text(serde_json::from_str(json).ok()?),
        '[' | '{' => {
            let inner = json.trim_start_matches(['[', '{']).trim_ascii_start();
            if first == '[' && inner == "]" || first == '{' && inner == "}" {
                Value::Array(Vec::new())
            } else {
                Value::Opaque
            }
        }
        // A number that is too large is infinite in PHP: no rule takes it.
        _ => serde_json::from_str::<Number>(json).map_or(Value::Opaque, Value::Number),
    })
}

/// How deep arrays and objects nest.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut quoted, mut escaped) = (false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => depth += 1,
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_what_php_makes_of_them() {
        for (json, value) in [
            (r#"{"a":null}"#, Value::Null),
            (r#"{"a":true}"#, Value::Bool(true)),
            (r#"{"a":1,"a":2}"#, Value::Number(2.into())),
            (r#"{"a":1e999}"#, Value::Opaque),
            (
                r#" { "a" : "\u00fc\ud83d\ude00" } "#,
                Value::Text("ü😀".to_owned()),
            ),
            (r#"{"a":[ ]}"#, Value::Array(Vec::new())),
            (r#"{"a":{}}"#, Value::Array(Vec::new())),
            (r#"{"a":[null]}"#, Value::Opaque),
            (r#"{"a":[[]]}"#, Value::Opaque),
            (r#"{"a":{"b":[]}}"#, Value::Opaque),
        ] {
            assert_eq!(read(json.as_bytes()).get("a"), Some(&value), "{json}");
        }
    }

    #[test]
    fn malformed_json_says_nothing() {
        for json in [
            &b""[..],
            b"{",
            b"[1]",
            b"null",
            b"{\"a\":1}x",
            b"{\"a\":1,}",
            b"{\"a\":TRUE}",
            b"{\"a\":01}",
            b"\xef\xbb\xbf{\"a\":1}",
            b"{\"a\":\"\xff\"}",
            b"{\"a\":[\"\xff\"]}",
            b"{\"a\":\"\\ud800\"}",
            b"{\"a\":\"\n\"}",
            b"{\"a\":1}\0",
        ] {
            let text = String::from_utf8_lossy(json);
            assert_eq!(read(json), Variables::default(), "{text}");
        }
    }

    #[test]
    fn it_may_nest_as_deep_as_php_lets_it() {
        let nested = |depth: usize| {
            let (open, close) = ("[".repeat(depth - 1), "]".repeat(depth - 1));
            read(format!(r#"{{"x":{open}"[\"[{{"{close},"a":1}}"#).as_bytes())
        };
        assert!(nested(511).get("a").is_some());
        assert_eq!(nested(512), Variables::default());
        assert_eq!(nested(30_000), Variables::default());
    }
}
