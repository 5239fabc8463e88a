//! `multipart/form-data` (RFC 7578).

use std::str;

use axum::{
    body::Body,
    http::{HeaderMap, header},
};
use multer::{Field, Multipart};

use super::{
    Value,
    form::{self, MAX_PAIRS},
    variables::Variables,
};

/// Most files; the rest is not looked at (PHP's `max_file_uploads`).
const MAX_FILES: usize = 20;

/// What the parts say. Where they stop making sense, the rest says nothing.
///
/// Files are no fields, but Laravel's validator sees them behind the fields: one that has a field's name takes its place.
pub(super) async fn read(headers: &HeaderMap, body: Vec<u8>) -> Variables {
    let mut variables = Variables::default();
    let Some(boundary) = boundary(headers) else {
        return variables;
    };
    let mut parts = Multipart::new(Body::from(body).into_data_stream(), boundary);
    let (mut fields, mut files) = (0, Vec::new());
    while let Ok(Some(part)) = parts.next_field().await {
        let Some(name) = part.name().map(str::to_owned) else {
            continue;
        };
        match file_name(&part) {
            // A browser's way to say that no file was chosen.
            Some("") => {}
            Some(_) => files.push(name),
            None if fields < MAX_PAIRS => {
                fields += 1;
                let Ok(bytes) = part.bytes().await else { break };
                variables.set(&name, form::text(bytes.into()));
            }
            None => {}
        }
    }
    for name in files.iter().take(MAX_FILES) {
        variables.set(name, Value::Opaque);
    }
    variables
}

/// What is between the parts, found as PHP finds it. None: there is nothing to find.
fn boundary(headers: &HeaderMap) -> Option<String> {
    let content_type = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let at = content_type.to_ascii_lowercase().find("boundary")?;
    let (_, boundary) = content_type.get(at..)?.split_once('=')?;
    let boundary = match boundary.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"')?.0,
        None => boundary.split([',', ';']).next()?,
    };
    Some(boundary.to_owned()).filter(|boundary| !boundary.is_empty())
}

/// The name of a part's file, or something in place of one that is no UTF-8. None: the part is a field.
fn file_name<'p>(part: &'p Field<'_>) -> Option<&'p str> {
    let disposition = part.headers().get(header::CONTENT_DISPOSITION)?;
    let garbled = str::from_utf8(disposition.as_bytes()).is_err();
    part.file_name().or(garbled.then_some("\u{fffd}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read of a body with the boundary `x`.
    async fn of(parts: &[u8]) -> Variables {
        of_type("multipart/form-data; boundary=x", parts).await
    }

    async fn of_type(content_type: &str, parts: &[u8]) -> Variables {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, content_type.parse().unwrap());
        read(&headers, parts.to_vec()).await
    }

    fn part(disposition: &str, value: &str) -> String {
        format!("--x\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{value}\r\n")
    }

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[tokio::test]
    async fn parts_are_fields_whose_names_nest() {
        let body = [
            part("name=\"a\"", "1"),
            part("name=a", " ü\r\n--y"),
            part("name=\"b[c][]\"", "2"),
            part("name=\"d e.f\"", ""),
            part("filename*=utf-8''x; name=g", "3"),
            "--x\r\nCONTENT-TYPE: text/plain; charset=utf-8\r\ncontent-disposition: form-data; name=h\r\n\r\n4\r\n"
                .to_owned(),
            "--x--\r\nbehind".to_owned(),
        ];
        let variables = of(format!("before\r\n{}", body.concat()).as_bytes()).await;
        let inner = Value::Array(vec![("0".to_owned(), text("2"))]);
        for (name, value) in [
            ("a", text(" ü\r\n--y")),
            ("b", Value::Array(vec![("c".to_owned(), inner)])),
            ("d_e_f", text("")),
            ("g", text("3")),
            ("h", text("4")),
        ] {
            assert_eq!(variables.get(name), Some(&value), "{name}");
        }
        let garbled = of(b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\n\xff\r\n--x--").await;
        assert_eq!(garbled.get("a"), Some(&Value::NotUtf8));
    }

    #[tokio::test]
    async fn files_are_no_fields() {
        let body = [
            part("name=a; filename=f.txt", "1"),
            part("name=a", "2"),
            part("name=b; filename=\"\"", ""),
            part("name=c", "3"),
            part("name=c; filename=\"\"", ""),
            part("name=d; filename=\"f\u{fc}.txt\"", "4"),
            part("filename=f.txt", "5"),
            "--x--".to_owned(),
        ];
        // Latin-1, as old clients write it.
        let body: Vec<u8> = body
            .concat()
            .chars()
            .map(|letter| u8::try_from(letter).unwrap())
            .collect();
        let variables = of(&body).await;
        assert_eq!(variables.get("a"), Some(&Value::Opaque));
        assert_eq!(variables.get("b"), None);
        assert_eq!(variables.get("c"), Some(&text("3")));
        assert_eq!(variables.get("d"), Some(&Value::Opaque));
    }

    #[tokio::test]
    async fn what_makes_no_sense_says_nothing() {
        let good = part("name=a", "1");
        for (rest, b) in [
            (part("name=b", "2") + "--x--", Some(text("2"))),
            // Cut off.
            (part("name=b", "2"), None),
            (
                "--x\r\nContent-Disposition: form-data; name=b\r\n".to_owned(),
                None,
            ),
            ("--x\r\n\u{1}: 1\r\n\r\n2\r\n--x--".to_owned(), None),
            (part("", "2") + "--x--", None),
            (String::new(), None),
        ] {
            let variables = of(format!("{good}{rest}").as_bytes()).await;
            assert_eq!(variables.get("b"), b.as_ref(), "{rest}");
            assert_eq!(variables.get("a").is_some(), !rest.is_empty(), "{rest}");
        }
        for nothing in ["", "--x", "--x--", "--x\r\n\r\n", "a=1"] {
            assert_eq!(of(nothing.as_bytes()).await, Variables::default(), "{nothing}");
        }
    }

    #[tokio::test]
    async fn boundaries_are_found_as_php_finds_them() {
        let body = part("name=a", "1") + "--x--";
        for (content_type, found) in [
            ("multipart/form-data; boundary=x", true),
            ("multipart/form-data;BOUNDARY=\"x\"", true),
            ("multipart/form-data; charset=utf-8; boundary=x; more", true),
            ("multipart/form-data; boundary=x, more", true),
            ("multipart/form-data; boundary=y", false),
            ("multipart/form-data; boundary=\"x", false),
            ("multipart/form-data; boundary=", false),
            ("multipart/form-data", false),
        ] {
            let variables = of_type(content_type, body.as_bytes()).await;
            assert_eq!(variables.get("a").is_some(), found, "{content_type}");
        }
        let body = body.replace("--x", "------=_Part_1:2/3");
        let content_type = "multipart/form-data; boundary=----=_Part_1:2/3";
        assert!(of_type(content_type, body.as_bytes()).await.get("a").is_some());
    }

    #[tokio::test]
    async fn what_is_too_much_is_not_looked_at() {
        let many: String = (0..1010)
            .map(|index| part(&format!("name=a{index}"), ""))
            .collect();
        let files: String = (0..30)
            .map(|index| part(&format!("name=f{index}; filename=f"), ""))
            .collect();
        let variables = of(format!("{files}{many}--x--").as_bytes()).await;
        assert!(variables.get("a999").is_some() && variables.get("a1000").is_none());
        assert!(variables.get("f19").is_some() && variables.get("f20").is_none());
    }
}
