//! PHP's variables: names that nest.

use std::collections::{HashMap, hash_map};

use super::Value;

/// Deepest name; a deeper one is not looked at (PHP's `max_input_nesting_level`).
const MAX_DEPTH: usize = 64;

/// What each name stands for.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Variables(HashMap<String, Value>);

impl Variables {
    /// Lets a name, which may nest, stand for a value. Of two values of the same name the last counts. What is no name is
    /// not looked at.
    pub(super) fn set(&mut self, name: &str, value: Value) {
        if let Some((name, path)) = split(name) {
            set(self.0.entry(name).or_insert(Value::Null), &path, value);
        }
    }

    /// Lets a name, which does not nest, stand for a value.
    pub(super) fn put(&mut self, name: String, value: Value) {
        self.0.insert(name, value);
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    pub(super) fn entry(&mut self, name: String) -> hash_map::Entry<'_, String, Value> {
        self.0.entry(name)
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut Value> {
        self.0.values_mut()
    }
}

impl IntoIterator for Variables {
    type Item = (String, Value);
    type IntoIter = hash_map::IntoIter<String, Value>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// A name and the keys in brackets behind it; a key that is None stands for the next number. None: it is no name.
///
/// Before the brackets, blanks and dots become `_`, and blanks in front go. Within, everything stays.
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
        // One blank alone is no key.
        let blank = inner.starts_with([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
        let found = inner
            .get(usize::from(blank)..)
            .and_then(|searched| searched.find(']'))
            .and_then(|end| inner.split_at_checked(end + usize::from(blank)));
        let Some((key, behind)) = found else {
            // A bracket that is never closed belongs to the name, if it comes first.
            if path.is_empty() {
                name.push_str(&rest.replace([' ', '.', '['], "_"));
            }
            break;
        };
        path.push(Some(key).filter(|key| key.len() > usize::from(blank)));
        rest = behind.get(1..).unwrap_or_default();
    }
    (path.len() <= MAX_DEPTH).then_some((name, path))
}

fn set(slot: &mut Value, path: &[Option<&str>], value: Value) {
    let Some((key, path)) = path.split_first() else {
        *slot = value;
        return;
    };
    if !matches!(slot, Value::Array(_)) {
        *slot = Value::Array(Vec::new());
    }
    let Value::Array(items) = slot else { return };
    let Some(key) = key.map(str::to_owned).or_else(|| next(items)) else {
        return;
    };
    let there = items.iter().position(|(there, _)| *there == key);
    let index = there.unwrap_or_else(|| {
        items.push((key, Value::Null));
        items.len() - 1
    });
    if let Some((_, slot)) = items.get_mut(index) {
        set(slot, path, value);
    }
}

/// One more than the largest number among the keys. None: there is no larger one.
fn next(items: &[(String, Value)]) -> Option<String> {
    let largest = items.iter().filter_map(|(key, _)| number(key)).max();
    largest
        .map_or(Some(0), |largest| largest.checked_add(1))
        .map(|next| next.to_string())
}

/// The number that PHP makes of a key: only `7` is 7; `07`, `+7` and `-0` are texts.
fn number(key: &str) -> Option<i64> {
    let number: i64 = key.parse().ok()?;
    let digits = key.strip_prefix('-').unwrap_or(key);
    let plain = key == "0" || digits.starts_with(|first: char| ('1'..='9').contains(&first));
    plain.then_some(number)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::{super::form, *};

    /// As PHP's `json_encode` shows it, but that an array is always an object.
    fn json(value: &Value) -> Json {
        match value {
            Value::Text(text) => text.as_str().into(),
            Value::Array(items) => items
                .iter()
                .map(|(key, item)| (key.clone(), json(item)))
                .collect::<serde_json::Map<_, _>>()
                .into(),
            other => panic!("{other:?}"),
        }
    }

    /// What PHP 8.2's `parse_str` made of each.
    #[test]
    fn names_nest_as_in_php() {
        for (form, recorded) in [
            ("a=1", json!({"a": "1"})),
            ("a[b]=1&a%5Bc%5D=2", json!({"a": {"b": "1", "c": "2"}})),
            ("a[b]=1&a[b]=2", json!({"a": {"b": "2"}})),
            ("a[]=1&a[7]=2&a[]=3", json!({"a": {"0": "1", "7": "2", "8": "3"}})),
            ("a[b][]=1", json!({"a": {"b": {"0": "1"}}})),
            (
                "a[][b]=1&a[][c]=2",
                json!({"a": {"0": {"b": "1"}, "1": {"c": "2"}}}),
            ),
            ("a[x]=1&a=&a[y]=2", json!({"a": {"y": "2"}})),
            ("a=1&a[]=2&a=", json!({"a": ""})),
            // Blanks and dots.
            ("a.b c=1", json!({"a_b_c": "1"})),
            ("  a=1", json!({"a": "1"})),
            ("%09a=1", json!({"\ta": "1"})),
            ("a b[c d]=1", json!({"a_b": {"c d": "1"}})),
            ("a.b[c.d]=1", json!({"a_b": {"c.d": "1"}})),
            ("a[ b]=1", json!({"a": {" b": "1"}})),
            ("a[%09b ]=1", json!({"a": {"\tb ": "1"}})),
            ("a[ ]=1&a[%0a]=2", json!({"a": {"0": "1", "1": "2"}})),
            ("a[  ]=1", json!({"a": {"  ": "1"}})),
            // Numbers.
            ("a[-5]=1&a[]=2", json!({"a": {"-5": "1", "-4": "2"}})),
            ("a[08]=1&a[]=2", json!({"a": {"08": "1", "0": "2"}})),
            ("a[1]=x&a[01]=y", json!({"a": {"1": "x", "01": "y"}})),
            ("a[%2B7]=1&a[]=2", json!({"a": {"+7": "1", "0": "2"}})),
            ("a[-0]=1&a[]=2", json!({"a": {"-0": "1", "0": "2"}})),
            (
                "a[99999999999]=1&a[]=2",
                json!({"a": {"99999999999": "1", "100000000000": "2"}}),
            ),
            (
                "a[9223372036854775807]=1&a[]=2&a[][x]=3",
                json!({"a": {"9223372036854775807": "1"}}),
            ),
            // Brackets.
            ("a]=1&]=2", json!({"a]": "1", "]": "2"})),
            ("a[b]c=1", json!({"a": {"b": "1"}})),
            ("a[b]]=1", json!({"a": {"b": "1"}})),
            ("a[[b]=1", json!({"a": {"[b": "1"}})),
            ("a[b=1", json!({"a_b": "1"})),
            ("a[b.c [d=1", json!({"a_b_c__d": "1"})),
            ("a[[[=1", json!({"a___": "1"})),
            ("a[b][c=1", json!({"a": {"b": "1"}})),
            // Nothing.
            ("", json!({})),
            ("&&", json!({})),
            ("=1&[a]=1&[=1&%00=1", json!({})),
            // NUL ends a name.
            ("a%00b=1", json!({"a": "1"})),
            ("a[b%00c]=1", json!({"a_b": "1"})),
            ("a[]%00=1", json!({"a": {"0": "1"}})),
        ] {
            let variables = form::read(form.as_bytes());
            let made: serde_json::Map<_, _> = variables
                .into_iter()
                .map(|(name, value)| (name, json(&value)))
                .collect();
            assert_eq!(Json::from(made), recorded, "{form}");
        }
    }

    #[test]
    fn a_name_that_nests_too_deep_is_not_looked_at() {
        let nested = |depth: usize| form::read(format!("a{}=1", "[b]".repeat(depth)).as_bytes());
        assert!(nested(64).get("a").is_some());
        assert_eq!(nested(65), Variables::default());
    }
}
