//! Which bodies are parsed at all.

/// Whether a body of this content type is parsed: `application/json` and `application/*+json`, whatever the
/// parameters. As in Python's `email.message`, which decides it there: one slash, the case ignored, trimmed
/// only at the ends.
pub fn is_json(content_type: Option<&[u8]>) -> bool {
    // What `str.strip` takes away among the bytes of a header, read as Latin-1.
    let space = |byte: &u8| matches!(byte, b'\t'..=b'\r' | 0x1C..=b' ' | 0x85 | 0xA0);
    let Some(mut media) = content_type.and_then(|header| header.split(|&byte| byte == b';').next()) else {
        return false;
    };
    while let [first, rest @ ..] = media
        && space(first)
    {
        media = rest;
    }
    while let [rest @ .., last] = media
        && space(last)
    {
        media = rest;
    }
    let mut parts = media.split(|&byte| byte == b'/');
    let (Some(main), Some(sub), None) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let suffix = sub
        .last_chunk::<5>()
        .is_some_and(|suffix| suffix.eq_ignore_ascii_case(b"+json"));
    main.eq_ignore_ascii_case(b"application") && (suffix || sub.eq_ignore_ascii_case(b"json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_told_by_the_media_type_alone() {
        for json in [
            "application/json",
            " Application/JSON ;x=a/b",
            "application/json;",
            "application/vnd.api+JSON",
            "application/+json",
            "application/ +json",
            "application/json; charset=latin-1",
        ] {
            assert!(is_json(Some(json.as_bytes())), "{json}");
        }
        for other in [
            "",
            ";application/json",
            "application",
            "/json",
            "+json",
            "text/json",
            "application/json, text/plain",
            "application//json",
            "application/json/",
            "application /json",
            "application/ json",
            "application/x-json",
            "application/x+json+xml",
        ] {
            assert!(!is_json(Some(other.as_bytes())), "{other}");
        }
        assert!(is_json(Some(b"\x1Fapplication/json\x85\xA0")));
        assert!(!is_json(None));
    }
}
