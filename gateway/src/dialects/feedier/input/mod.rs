//! What a client sent, as PHP and Laravel see it: nested names, texts trimmed, empty ones null.
//!
//! PHP's way with names (`filter[role][]=x`, the last of two counts, nothing is ever an error) is nobody else's, so it is
//! made here, in [`variables`]; each form of a request has its file: [`form`], [`json`], [`multipart`].

mod form;
mod json;
mod multipart;
mod trim;
mod variables;

use axum::http::{HeaderMap, Method, header, request::Parts};

use self::variables::Variables;

/// What a name stands for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    Text(String),
    /// A text whose bytes are no UTF-8.
    NotUtf8,
    /// A list or a map of a form or query: PHP has one type for both. In the order of arrival.
    Array(Vec<(String, Value)>),
    /// A file, or an array of JSON: it is there, and no rule takes it.
    Opaque,
}

/// All that a request says.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Input(Variables);

impl Input {
    /// Of the query alone.
    pub(super) fn of_query(query: Option<&str>) -> Self {
        let mut variables = form::read(query.unwrap_or_default().as_bytes());
        variables.values_mut().for_each(clean);
        Self(variables)
    }

    /// Of the body and, for what is not in it, of the query. A body that is neither JSON nor a form says nothing, and so
    /// does JSON that is malformed or no object, and `multipart/form-data` with another method than POST.
    pub(super) async fn of_request(parts: &Parts, body: Vec<u8>) -> Self {
        let content_type = content_type(&parts.headers);
        let kind = content_type.split([';', ',', ' ']).next().unwrap_or_default();
        let mut variables = if content_type.contains("/json") || content_type.contains("+json") {
            json::read(&body)
        } else if kind == "application/x-www-form-urlencoded" {
            form::read(&body)
        } else if kind == "multipart/form-data" && parts.method == Method::POST {
            multipart::read(&parts.headers, body).await
        } else {
            Variables::default()
        };
        variables.values_mut().for_each(clean);
        for (name, value) in Self::of_query(parts.uri.query()).0 {
            variables.entry(name).or_insert(value);
        }
        Self(variables)
    }

    /// What a name stands for, be it null. None: it is not there.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// What a name stands for. None: it is not there, or null.
    pub(super) fn given(&self, name: &str) -> Option<&Value> {
        self.get(name).filter(|value| **value != Value::Null)
    }
}

/// In lower case; empty if there is none.
fn content_type(headers: &HeaderMap) -> String {
    let value = headers
        .get(header::CONTENT_TYPE)
        .map_or(&[][..], |value| value.as_bytes());
    String::from_utf8_lossy(value).to_ascii_lowercase()
}

/// Trims texts, and makes empty ones null (Laravel's `TrimStrings` and `ConvertEmptyStringsToNull`).
fn clean(value: &mut Value) {
    match value {
        Value::Text(text) => {
            let trimmed = trim::trim(text);
            if trimmed.is_empty() {
                *value = Value::Null;
            } else if trimmed.len() < text.len() {
                *value = Value::Text(trimmed.to_owned());
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|(_, item)| clean(item)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::NotUtf8 | Value::Opaque => {}
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    async fn of(method: Method, content_type: &str, body: &[u8]) -> Input {
        let request = Request::builder()
            .method(method)
            .uri("/?a=query&b=query")
            .header(header::CONTENT_TYPE, content_type);
        let (parts, ()) = request.body(()).unwrap().into_parts();
        Input::of_request(&parts, body.to_vec()).await
    }

    #[tokio::test]
    async fn a_body_is_json_or_a_form_and_the_query_fills_in() {
        for (content_type, body, a) in [
            (
                "application/vnd.api+JSON; charset=utf-8",
                r#"{"a":" 1 "}"#,
                text("1"),
            ),
            ("application/x-www-form-urlencoded", "a=", Value::Null),
            (
                "Application/X-WWW-Form-URLEncoded;charset=utf-8",
                "a=1",
                text("1"),
            ),
            ("application/x-www-form-urlencoded2", "a=1", text("query")),
            (
                "multipart/form-data; boundary=x",
                "--x\r\nContent-Disposition: form-data; name=a\r\n\r\n 1 \r\n--x--\r\n",
                text("1"),
            ),
            ("application/json", "{\"a\":", text("query")),
            ("text/plain", "a=1", text("query")),
            ("", "a=1", text("query")),
        ] {
            let input = of(Method::POST, content_type, body.as_bytes()).await;
            assert_eq!(input.get("a"), Some(&a), "{content_type} {body}");
            assert_eq!(input.get("b"), Some(&text("query")));
        }
    }

    #[tokio::test]
    async fn php_reads_multipart_with_post_alone() {
        let body = b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--x--\r\n";
        let input = of(Method::PUT, "multipart/form-data; boundary=x", body).await;
        assert_eq!(input.get("a"), Some(&text("query")));
    }

    #[test]
    fn texts_are_trimmed_and_empty_ones_null() {
        for (query, a) in [
            ("a=+x+y+", text("x y")),
            ("a=%E2%80%8B%20%00", Value::Null),
            ("a", Value::Null),
            ("a=%ff", Value::NotUtf8),
            ("a[]=+", Value::Array(vec![("0".to_owned(), Value::Null)])),
        ] {
            assert_eq!(Input::of_query(Some(query)).get("a"), Some(&a), "{query}");
        }
        assert_eq!(Input::of_query(Some("a=")).given("a"), None);
    }
}
