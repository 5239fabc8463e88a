//! The content type of a request, as `type-is` reads it.

/// What a `content-type` names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ContentType {
    /// Type and subtype, in lower case.
    pub(super) kind: String,
    /// In lower case.
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
        let (value, behind) = match value.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => value.split_at(value.find([';', ' ']).unwrap_or(value.len())),
        };
        let name = name.trim();
        if !is_token(name) {
            return None;
        }
        if name.eq_ignore_ascii_case("charset") {
            charset = Some(value.to_ascii_lowercase());
        }
        rest = behind.trim();
    }
    rest.is_empty().then_some(ContentType { kind, charset })
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
            (
                "application/json, text/plain",
                "application/json, text/plain",
                None,
            ),
        ] {
            let read = read(header).unwrap();
            assert_eq!((read.kind.as_str(), read.charset.as_deref()), (kind, charset));
        }
        for bad in ["a/b; x", "a/b;", "a/b; =y", "a/b; x=\"y", "a/b; x=y z"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
