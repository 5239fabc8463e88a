//! `application/x-www-form-urlencoded`, and queries, which are written alike.

use percent_encoding::percent_decode;

use super::{Value, variables::Variables};

/// Most pairs of one form or query; the rest is not looked at (PHP's `max_input_vars`).
pub(super) const MAX_PAIRS: usize = 1000;

/// What a form says. A percent sign that begins no escape stands for itself.
pub(super) fn read(form: &[u8]) -> Variables {
    let mut variables = Variables::default();
    let pairs = form.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
    for pair in pairs.take(MAX_PAIRS) {
        let mut sides = pair.splitn(2, |byte| *byte == b'=');
        let mut side = || decode(sides.next().unwrap_or_default());
        let name = String::from_utf8_lossy(&side()).into_owned();
        variables.set(&name, text(side()));
    }
    variables
}

/// The text of these bytes.
pub(super) fn text(bytes: Vec<u8>) -> Value {
    String::from_utf8(bytes).map_or(Value::NotUtf8, Value::Text)
}

fn decode(bytes: &[u8]) -> Vec<u8> {
    let spaced: Vec<_> = bytes
        .iter()
        .map(|byte| if *byte == b'+' { b' ' } else { *byte })
        .collect();
    percent_decode(&spaced).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_as_php_decodes_them() {
        for (form, a) in [
            ("a=1&a=2", "2"),
            ("a=b=c", "b=c"),
            ("%61=%31", "1"),
            ("&&a=1&", "1"),
            ("a=100%", "100%"),
            ("a=%zz%4%C3%BC+%2b", "%zz%4ü +"),
        ] {
            let variables = read(form.as_bytes());
            assert_eq!(variables.get("a"), Some(&Value::Text(a.to_owned())), "{form}");
        }
        assert_eq!(read(b"a=%C3").get("a"), Some(&Value::NotUtf8));
        assert_eq!(read(b"a=x\xff&b=1").get("a"), Some(&Value::NotUtf8));
        assert_eq!(read(b"a\xff=1").get("a"), None);
    }

    #[test]
    fn what_is_too_much_is_not_looked_at() {
        let many: Vec<_> = (0..2000).map(|index| format!("a{index}=1")).collect();
        let variables = read(many.join("&").as_bytes());
        assert!(variables.get("a999").is_some() && variables.get("a1000").is_none());
    }
}
