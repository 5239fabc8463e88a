//! Forms, as body-parser reads them with `qs`: names that nest, and lists.

use std::borrow::Cow;

use percent_encoding::percent_decode;

use super::{BodyRefusal, Fields, Value};

/// Most pairs of one form.
const MAX_PAIRS: usize = 1000;

/// Deepest name, in brackets.
const MAX_DEPTH: usize = 32;

/// A list has fewer numbered places than this. What is beyond makes it an object.
const MAX_ITEMS: usize = 100;

/// What a form says.
pub(super) fn read(form: &str) -> Result<Fields, BodyRefusal> {
    // Escaped brackets are brackets even where another escape is bad.
    let form = form.replace("%5B", "[").replace("%5b", "[");
    let form = form.replace("%5D", "]").replace("%5d", "]");
    let pairs = form.split('&');
    let count = pairs.clone().count();
    if count > MAX_PAIRS {
        return Err(BodyRefusal::TooManyParameters);
    }
    let mut values: Vec<(Cow<'_, str>, Value)> = Vec::new();
    for pair in pairs.filter(|pair| !pair.is_empty()) {
        // A name may have a `=` in brackets.
        let end = pair.find("]=").map(|at| at + 1).or_else(|| pair.find('='));
        let (name, text) = end.map_or((pair, ""), |end| (&pair[..end], &pair[end + 1..]));
        let (name, text) = (decode(name), Value::Text(decode(text).into_owned()));
        match values.iter_mut().find(|(there, _)| *there == name) {
            Some((_, value)) => value.push(text),
            None => values.push((name, text)),
        }
    }
    let mut fields = Fields::default();
    for (name, value) in values {
        let Some((root, keys)) = split(&name)? else {
            continue;
        };
        let nested = nested(value, &keys, MAX_ITEMS.max(count));
        match fields.get_mut(root) {
            Some(there) => there.merge(nested),
            None => {
                fields.insert(root.to_owned(), nested);
            }
        }
    }
    Ok(fields)
}

/// A name, and what is in the brackets behind it. What is between or behind these is not looked at. None: it is no name.
fn split(name: &str) -> Result<Option<(&str, Vec<&str>)>, BodyRefusal> {
    let mut keys = Vec::new();
    let mut rest = name;
    let mut root = None;
    while let Some((start, end)) = bracket(rest) {
        root.get_or_insert(&rest[..start]);
        if keys.len() == MAX_DEPTH {
            return Err(BodyRefusal::TooDeep);
        }
        keys.push(&rest[start + 1..end]);
        rest = &rest[end + 1..];
    }
    let root = root.unwrap_or(name);
    if !root.is_empty() {
        return Ok(Some((root, keys)));
    }
    // `[name]` is `name`.
    Ok((!keys.is_empty())
        .then(|| (keys.remove(0), keys))
        .filter(|(root, _)| !root.is_empty()))
}

/// Where the first pair of brackets without others inside begins and ends.
fn bracket(text: &str) -> Option<(usize, usize)> {
    let mut start = None;
    for (at, letter) in text.char_indices() {
        match (letter, start) {
            ('[', _) => start = Some(at),
            (']', Some(start)) => return Some((start, at)),
            _ => {}
        }
    }
    None
}

/// A value below the keys of its name. A list below `[]` becomes that list.
fn nested(value: Value, keys: &[&str], max_items: usize) -> Value {
    keys.iter().rev().fold(value, |value, key| match value {
        _ if !is_place(key, max_items) => Value::Other,
        Value::List(items) if key.is_empty() => Value::List(items),
        Value::List(_) => Value::List(vec![Value::Other]),
        item => Value::List(vec![item]),
    })
}

/// Whether a key is one of a list: nothing, or a number that is not too large.
fn is_place(key: &str, max_items: usize) -> bool {
    let number = key
        .parse::<usize>()
        .ok()
        .filter(|number| number.to_string() == key);
    key.is_empty() || number.is_some_and(|number| number < max_items)
}

/// As JavaScript decodes it: a text that has a bad escape anywhere stays as it is.
fn decode(text: &str) -> Cow<'_, str> {
    let spaced = text.replace('+', " ");
    let escapes = spaced.match_indices('%').all(|(at, _)| {
        let digits = spaced.as_bytes().get(at + 1..at + 3);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    let decoded = percent_decode(spaced.as_bytes()).decode_utf8().ok();
    match decoded.filter(|_| escapes).map(Cow::into_owned) {
        Some(decoded) => Cow::Owned(decoded),
        None => Cow::Owned(spaced),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    fn list(items: &[&str]) -> Value {
        Value::List(items.iter().map(|item| text(item)).collect())
    }

    /// What body-parser 1.20 made of each.
    #[test]
    fn values_are_those_of_qs() {
        for (form, value) in [
            ("a=1", text("1")),
            ("a", text("")),
            ("%61=%31", text("1")),
            ("a=b+c%20d", text("b c d")),
            ("a=1;b=2", text("1;b=2")),
            ("a=%ff%zz+", text("%ff%zz ")),
            ("a=%41%zz", text("%41%zz")),
            ("a=1&a=2", list(&["1", "2"])),
            ("a[]=1", list(&["1"])),
            ("a%5B%5D=1&a[]=2", list(&["1", "2"])),
            ("a[]", list(&[""])),
            ("a[0]=1&a[1]=2", list(&["1", "2"])),
            ("a=1&a[]=2", list(&["1", "2"])),
            ("a[]=1&a=2", list(&["1", "2"])),
            ("[a]=1", text("1")),
            ("a[100]=1", Value::Other),
            ("a[b]=1", Value::Other),
            ("a[01]=1", Value::Other),
            ("a[]=1&a[b]=2", Value::Other),
            ("a[][b]=1", Value::List(vec![Value::Other])),
            ("a[][]=1", list(&["1"])),
            ("a[][0]=1", list(&["1"])),
            ("a[0][]=1", Value::List(vec![Value::Other])),
            ("a[][]=1&a[][]=2", list(&["1", "2"])),
            ("a[][]=1&a[]=2", list(&["1", "2"])),
            ("a=1&a[][]=2", list(&["1", "2"])),
            ("a[][][b]=1", Value::List(vec![Value::Other])),
            ("a%5B0%5D%zz", list(&[""])),
            ("a%5b0%5d%zz=1", list(&["1"])),
            ("a%5B=%5D=1", Value::Other),
            ("a=%5B%zz%5d", text("[%zz]")),
        ] {
            assert_eq!(read(form).unwrap().get("a"), Some(&value), "{form}");
        }
        for form in ["", "=1", "&&", "a.b=1", "[]=1"] {
            assert_eq!(read(form).unwrap().get("a"), None, "{form}");
        }
    }

    #[test]
    fn what_is_too_much_is_refused() {
        let pairs = |count: usize| vec!["a=1"; count].join("&");
        assert!(read(&pairs(1000)).is_ok());
        assert_eq!(read(&pairs(1001)), Err(BodyRefusal::TooManyParameters));
        let deep = |depth: usize| format!("a{}=1", "[b]".repeat(depth));
        assert!(read(&deep(32)).is_ok());
        assert_eq!(read(&deep(33)), Err(BodyRefusal::TooDeep));
    }
}
