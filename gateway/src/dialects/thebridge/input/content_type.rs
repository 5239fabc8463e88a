//! The content type of a request, as `type-is` reads it.

/// What a `content-type` names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ContentType {
    /// Type and subtype, in lower case.
    pub(super) kind: String,
    /// In lower case. An empty one is none.
    pub(super) charset: Option<String>,
}

/// None: it is malformed, and so names nothing.
pub(super) fn read(header: &str) -> Option<ContentType> {
    let (kind, mut rest) = header.split_at(header.find(';').unwrap_or(header.len()));
    let kind = kind.trim().to_ascii_lowercase();
    let mut charset = None;
    while let Some(parameter) = rest.strip_prefix(';') {
        let (name, value) = parameter.split_once('=')?;
        let value = value.trim_start();
        let (value, behind) = if let Some(quoted) = value.strip_prefix('"') {
            unquote(quoted)?
        } else {
            let (token, behind) = value.split_at(value.find([';', ' ']).unwrap_or(value.len()));
            is_token(token).then(|| (token.to_owned(), behind))?
        };
        let name = name.trim();
        if !is_token(name) {
            return None;
        }
        if name.eq_ignore_ascii_case("charset") {
            charset = Some(value.to_ascii_lowercase()).filter(|charset| !charset.is_empty());
        }
        rest = behind.trim();
    }
    rest.is_empty().then_some(ContentType { kind, charset })
}

/// What is said up to the quote, where a backslash stands before a character that is meant as it is, and what is behind.
fn unquote(quoted: &str) -> Option<(String, &str)> {
    let mut said = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((said, &quoted[at + 1..])),
            '\\' => said.push(letters.next()?.1),
            plain => said.push(plain),
        }
    }
    None
}

fn is_token(text: &str) -> bool {
    let is_mark = |byte| b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || is_mark(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_and_charset_are_read() {
        for (header, kind, charset) in [
            ("application/json", "application/json", None),
            (
                "Application/JSON ;charset=UTF-8",
                "application/json",
                Some("utf-8"),
            ),
            ("a/b; x=\"1\" ; Charset=\"Utf-8\"", "a/b", Some("utf-8")),
            ("a/b; charset=\"\"", "a/b", None),
            ("a/b; charset=utf-8; charset=\"\"", "a/b", None),
            ("a/b; charset=\"utf\\-8\"", "a/b", Some("utf-8")),
            ("a/b; charset=\"a\\\"b;\\\\\"", "a/b", Some("a\"b;\\")),
            (
                "application/json, text/plain",
                "application/json, text/plain",
                None,
            ),
        ] {
            let read = read(header).unwrap();
            assert_eq!((read.kind.as_str(), read.charset.as_deref()), (kind, charset));
        }
        for bad in [
            "a/b; x",
            "a/b;",
            "a/b; =y",
            "a/b; x=\"y",
            "a/b; x=\"y\\\"",
            "a/b; x=\"y\\",
            "a/b; x=y z",
            "a/b; charset=",
            "a/b; charset=u(f",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
