//! What a client sent, as PHP and Laravel see it: nested names, texts trimmed, empty ones null.
//!
//! PHP's way with names (`filter[role][]=x`, the last of two counts, nothing is ever an error) is nobody else's, so the
//! pairs come from `form_urlencoded`, which like PHP leaves a bad percent sign alone, and the nesting is made here.

use axum::http::{HeaderMap, header};

/// Most pairs of one form or query; the rest is not looked at (PHP's `max_input_vars`).
const MAX_PAIRS: usize = 1000;

/// Deepest name; a deeper one is not looked at (PHP's `max_input_nesting_level`).
const MAX_DEPTH: usize = 64;

/// What a name stands for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    Text(String),
    /// A list or a map: PHP has one type for both. In the order of arrival.
    Array(Vec<(String, Value)>),
}

/// All that a request says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Input(Vec<(String, Value)>);

impl Input {
    /// Of the query alone.
    pub(super) fn of_query(query: Option<&str>) -> Self {
        let mut pairs = form(query.unwrap_or_default().as_bytes());
        clean_all(&mut pairs);
        Self(pairs)
    }

    /// Of the body and, for what is not in it, of the query. A body that is neither JSON nor a form says nothing, and so
    /// does JSON that is malformed or no object.
    pub(super) fn of_body(headers: &HeaderMap, body: &[u8], query: Option<&str>) -> Self {
        let content_type = headers
            .get(header::CONTENT_TYPE)
            .map(|value| value.as_bytes().to_ascii_lowercase())
            .unwrap_or_default();
        let content_type = String::from_utf8_lossy(&content_type);
        let mut pairs = if content_type.contains("/json") || content_type.contains("+json") {
            json(body)
        } else if content_type.starts_with("application/x-www-form-urlencoded") {
            form(body)
        } else {
            Vec::new()
        };
        clean_all(&mut pairs);
        for (name, value) in Self::of_query(query).0 {
            if pairs.iter().all(|(there, _)| *there != name) {
                pairs.push((name, value));
            }
        }
        Self(pairs)
    }

    /// What a name stands for, be it null. None: it is not there.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0
            .iter()
            .find(|(there, _)| there == name)
            .map(|(_, value)| value)
    }

    /// What a name stands for. None: it is not there, or null.
    pub(super) fn given(&self, name: &str) -> Option<&Value> {
        self.get(name).filter(|value| **value != Value::Null)
    }
}

fn json(body: &[u8]) -> Vec<(String, Value)> {
    match serde_json::from_slice(body) {
        Ok(serde_json::Value::Object(fields)) => fields
            .into_iter()
            .map(|(name, value)| (name, from_json(value)))
            .collect(),
        _ => Vec::new(),
    }
}

fn from_json(value: serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(value) => Value::Bool(value),
        serde_json::Value::Number(value) => Value::Number(value),
        serde_json::Value::String(value) => Value::Text(value),
        serde_json::Value::Array(items) => Value::Array(
            items
                .into_iter()
                .enumerate()
                .map(|(index, item)| (index.to_string(), from_json(item)))
                .collect(),
        ),
        serde_json::Value::Object(fields) => Value::Array(
            fields
                .into_iter()
                .map(|(name, value)| (name, from_json(value)))
                .collect(),
        ),
    }
}

fn form(text: &[u8]) -> Vec<(String, Value)> {
    let mut pairs = Vec::new();
    for (name, value) in form_urlencoded::parse(text).take(MAX_PAIRS) {
        if let Some((name, path)) = split(&name) {
            put(&mut pairs, Some(&name), &path, value.into_owned());
        }
    }
    pairs
}

/// A name and the keys in brackets behind it; a key that is None stands for the next number. None: it is no name.
fn split(text: &str) -> Option<(String, Vec<Option<&str>>)> {
    let text = text.trim_start_matches(' ');
    let text = text.split('\0').next().unwrap_or_default();
    let end = text.find('[').unwrap_or(text.len());
    let (name, mut rest) = text.split_at(end);
    if name.is_empty() {
        return None;
    }
    let mut name = name.replace([' ', '.'], "_");
    let mut path = Vec::new();
    while let Some(inner) = rest.strip_prefix('[') {
        let Some((key, behind)) = inner.split_once(']') else {
            // A bracket that is never closed belongs to the name, if it comes first.
            if path.is_empty() {
                name.push('_');
                name.push_str(inner);
            }
            break;
        };
        let key = key.trim_start_matches([' ', '\t', '\r', '\n']);
        path.push(Some(key).filter(|key| !key.is_empty()));
        rest = behind;
    }
    (path.len() <= MAX_DEPTH).then_some((name, path))
}

fn put(array: &mut Vec<(String, Value)>, key: Option<&str>, path: &[Option<&str>], value: String) {
    let key = key.map_or_else(|| next(array), str::to_owned);
    let there = array.iter().position(|(there, _)| *there == key);
    let index = there.unwrap_or_else(|| {
        array.push((key, Value::Null));
        array.len() - 1
    });
    let Some((_, slot)) = array.get_mut(index) else {
        return;
    };
    match path.split_first() {
        None => *slot = Value::Text(value),
        Some((key, path)) => {
            if !matches!(slot, Value::Array(_)) {
                *slot = Value::Array(Vec::new());
            }
            if let Value::Array(inner) = slot {
                put(inner, *key, path, value);
            }
        }
    }
}

/// One more than the largest number among the keys.
fn next(array: &[(String, Value)]) -> String {
    array
        .iter()
        .filter_map(|(key, _)| key.parse::<u32>().ok())
        .max()
        .map_or(0, |largest| u64::from(largest) + 1)
        .to_string()
}

/// Trims texts, and makes empty ones null (Laravel's `TrimStrings` and `ConvertEmptyStringsToNull`).
fn clean(value: &mut Value) {
    match value {
        Value::Text(text) => {
            let trimmed = text.trim_matches(is_space);
            if trimmed.is_empty() {
                *value = Value::Null;
            } else if trimmed.len() < text.len() {
                *value = Value::Text(trimmed.to_owned());
            }
        }
        Value::Array(items) => clean_all(items),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn clean_all(items: &mut [(String, Value)]) {
    for (_, item) in items {
        clean(item);
    }
}

fn is_space(letter: char) -> bool {
    letter.is_whitespace() || matches!(letter, '\0' | '\u{feff}' | '\u{200b}' | '\u{200e}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    fn array(items: &[(&str, Value)]) -> Value {
        Value::Array(
            items
                .iter()
                .map(|(key, value)| ((*key).to_owned(), value.clone()))
                .collect(),
        )
    }

    #[test]
    fn names_nest_as_in_php() {
        for (query, name, value) in [
            ("a=1", "a", text("1")),
            ("a=1&a=2", "a", text("2")),
            ("a", "a", Value::Null),
            ("a=+x+", "a", text("x")),
            ("a=%E2%80%8B%20", "a", Value::Null),
            ("a.b c=1", "a_b_c", text("1")),
            ("  a=1", "a", text("1")),
            (
                "a[b]=1&a%5Bc%5D=2",
                "a",
                array(&[("b", text("1")), ("c", text("2"))]),
            ),
            ("a[b]=1&a[b]=2", "a", array(&[("b", text("2"))])),
            (
                "a[]=1&a[7]=2&a[]=3",
                "a",
                array(&[("0", text("1")), ("7", text("2")), ("8", text("3"))]),
            ),
            ("a[b][]=1", "a", array(&[("b", array(&[("0", text("1"))]))])),
            ("a=1&a[b]=2", "a", array(&[("b", text("2"))])),
            ("a[b]=1&a=2", "a", text("2")),
            ("a[b]c=1", "a", array(&[("b", text("1"))])),
            ("a[b=1", "a_b", text("1")),
            ("a[b][c=1", "a", array(&[("b", text("1"))])),
            ("a=100%&b=%zz", "a", text("100%")),
            ("b=%zz%4", "b", text("%zz%4")),
        ] {
            assert_eq!(Input::of_query(Some(query)).get(name), Some(&value), "{query}");
        }
        for nothing in ["", "&&", "=1", "[a]=1"] {
            assert_eq!(Input::of_query(Some(nothing)), Input::default(), "{nothing}");
        }
    }

    #[test]
    fn what_is_too_much_is_not_looked_at() {
        let many: Vec<_> = (0..2000).map(|index| format!("a{index}=1")).collect();
        let input = Input::of_query(Some(&many.join("&")));
        assert!(input.get("a999").is_some() && input.get("a1000").is_none());
        assert_eq!(
            Input::of_query(Some(&format!("a{}=1", "[]".repeat(65)))).get("a"),
            None
        );
    }

    #[test]
    fn a_body_is_json_or_a_form_and_the_query_fills_in() {
        let of = |content_type: &str, body: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, content_type.parse().unwrap());
            Input::of_body(&headers, body.as_bytes(), Some("a=query&b=query"))
        };
        let json = of(
            "application/vnd.api+JSON; charset=utf-8",
            r#"{"a":" 1 ","n":[1,""]}"#,
        );
        assert_eq!(json.get("a"), Some(&text("1")));
        assert_eq!(json.get("b"), Some(&text("query")));
        assert_eq!(
            json.get("n"),
            Some(&array(&[("0", Value::Number(1.into())), ("1", Value::Null)]))
        );
        assert_eq!(
            of("application/x-www-form-urlencoded", "a=").get("a"),
            Some(&Value::Null)
        );
        for (content_type, body) in [
            ("application/json", "{\"a\":"),
            ("application/json", "[1]"),
            ("application/json", "{\"a\":\"\\ud800\"}"),
            ("text/plain", "a=1"),
        ] {
            assert_eq!(of(content_type, body).get("a"), Some(&text("query")), "{body}");
        }
    }
}
