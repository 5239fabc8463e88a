//! What a client sent, as Express with body-parser sees it; each form of a body has its file: [`form`], [`json`].

mod content_type;
mod form;
mod json;

use std::collections::HashMap;

use axum::{
    body::Body,
    http::{HeaderMap, header},
};

use crate::body::{self, BodyError};

/// The largest body, in bytes: 100 KiB.
const MAX_BODY: usize = 100 * 1024;

/// What a field is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Number,
    Text(String),
    List(Vec<Value>),
    /// An object, or something within a list that is neither text nor truth. No rule takes it.
    Other,
}

impl Value {
    /// Adds one more value of the same name.
    fn push(&mut self, item: Self) {
        match self {
            Self::List(items) => items.push(item),
            single => {
                let first = std::mem::replace(single, Self::Null);
                *single = Self::List(vec![first, item]);
            }
        }
    }

    /// Joins it with what another name says of the same field.
    fn merge(&mut self, other: Self) {
        match (&mut *self, other) {
            (Self::Other, _) => {}
            (Self::List(_), Self::Other) => *self = Self::Other,
            (Self::List(items), Self::List(more)) => items.extend(more),
            (single @ (Self::Null | Self::Bool(_) | Self::Number | Self::Text(_)), Self::List(more)) => {
                let first = std::mem::replace(single, Self::Null);
                *single = Self::List([vec![first], more].concat());
            }
            (_, item) => self.push(item),
        }
    }
}

/// By name.
type Fields = HashMap<String, Value>;

/// All that the body of a request says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Input(Fields);

/// Why a body is refused before anything else of the request is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BodyRefusal {
    /// It is no JSON: V8's message, in UTF-16.
    Syntax(Vec<u16>),
    /// In capitals.
    Charset(String),
    /// In small letters.
    Encoding(String),
    TooLarge,
    TooManyParameters,
    TooDeep,
    TooSlow,
    Overloaded,
    BrokenOff,
}

impl Input {
    /// Reads a body. One that is neither JSON nor a form says nothing.
    pub(super) async fn of_request(headers: &HeaderMap, body: Body) -> Result<Self, BodyRefusal> {
        let kind = Kind::of(headers)?;
        let bytes = match (body::read(body, MAX_BODY).await, kind) {
            (Ok(bytes), _) => bytes,
            // Express does not read it.
            (Err(BodyError::TooLarge), None) => Vec::new(),
            (Err(BodyError::TooLarge), Some(_)) => return Err(BodyRefusal::TooLarge),
            (Err(BodyError::TooSlow), _) => return Err(BodyRefusal::TooSlow),
            (Err(BodyError::Overloaded), _) => return Err(BodyRefusal::Overloaded),
            (Err(BodyError::BrokenOff), _) => return Err(BodyRefusal::BrokenOff),
        };
        let text = String::from_utf8_lossy(&bytes);
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        match kind {
            Some(Kind::Json) if !text.is_empty() => json::read(text).map(Self).map_err(BodyRefusal::Syntax),
            Some(Kind::Form) if !text.is_empty() => form::read(text).map(Self),
            _ => Ok(Self::default()),
        }
    }

    /// What a field is. None: it is not there.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// What a field is. None: it is not there, or null.
    pub(super) fn given(&self, name: &str) -> Option<&Value> {
        self.get(name).filter(|value| **value != Value::Null)
    }
}

/// How a body is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Json,
    Form,
}

impl Kind {
    /// None: not at all.
    fn of(headers: &HeaderMap) -> Result<Option<Self>, BodyRefusal> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let Some(content_type) = text(header::CONTENT_TYPE).and_then(content_type::read) else {
            return Ok(None);
        };
        let kind = match content_type.kind.as_str() {
            "application/json" => Self::Json,
            "application/x-www-form-urlencoded" => Self::Form,
            _ => return Ok(None),
        };
        if let Some(charset) = content_type.charset.filter(|charset| charset != "utf-8") {
            return Err(BodyRefusal::Charset(charset.to_ascii_uppercase()));
        }
        // An empty one names none.
        let encoding = text(header::CONTENT_ENCODING).filter(|encoding| !encoding.is_empty());
        match encoding.map(str::to_ascii_lowercase) {
            Some(encoding) if encoding != "identity" => Err(BodyRefusal::Encoding(encoding)),
            _ => Ok(Some(kind)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(content_type: &str, body: &str) -> Result<Input, BodyRefusal> {
        let headers = [(header::CONTENT_TYPE, content_type.parse().unwrap())];
        let body = Body::from(body.to_owned());
        Input::of_request(&headers.into_iter().collect(), body).await
    }

    fn a(value: &str) -> Input {
        let value = Value::Text(value.to_owned());
        Input([("a".to_owned(), value)].into())
    }

    #[tokio::test]
    async fn a_body_is_json_or_a_form_or_nothing() {
        let nothing = || Ok(Input::default());
        let syntax = |text: &str| Err(BodyRefusal::Syntax(text.encode_utf16().collect()));
        for (content_type, body, expected) in [
            ("application/json", r#"{"a":"1"}"#, Ok(a("1"))),
            ("Application/JSON; charset=UTF-8", r#"{"a":"1"}"#, Ok(a("1"))),
            ("application/json", "\u{feff}{\"a\":\"1\"}", Ok(a("1"))),
            ("application/json", "\u{feff}", nothing()),
            ("application/json", "", nothing()),
            ("application/json", " ", syntax("Unexpected end of JSON input")),
            (
                "application/json",
                "null",
                syntax("Unexpected token 'n', \"null\" is not valid JSON"),
            ),
            ("application/json; charset=\"\"", r#"{"a":"1"}"#, Ok(a("1"))),
            (
                "application/json; charset=\"utf\\-8\"",
                r#"{"a":"1"}"#,
                Ok(a("1")),
            ),
            ("application/x-www-form-urlencoded", "a=1", Ok(a("1"))),
            ("application/vnd.api+json", r#"{"a":"1"}"#, nothing()),
            ("text/plain", "null", nothing()),
            (
                "application/json; charset=latin1",
                "{}",
                Err(BodyRefusal::Charset("LATIN1".to_owned())),
            ),
        ] {
            assert_eq!(read(content_type, body).await, expected, "{content_type} {body}");
        }
    }

    #[test]
    fn only_what_is_not_encoded_is_read() {
        let kind = |encoding: &'static str| {
            let headers = [
                (header::CONTENT_TYPE, "application/json"),
                (header::CONTENT_ENCODING, encoding),
            ];
            let headers = headers.map(|(name, value)| (name, value.parse().unwrap()));
            Kind::of(&headers.into_iter().collect())
        };
        for encoding in ["", "identity", "Identity"] {
            assert_eq!(kind(encoding), Ok(Some(Kind::Json)), "{encoding}");
        }
        assert_eq!(kind("GZIP"), Err(BodyRefusal::Encoding("gzip".to_owned())));
    }

    #[tokio::test]
    async fn a_body_has_a_hundred_kibibytes() {
        let body = |length: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(length - 8));
        assert!(read("application/json", &body(MAX_BODY)).await.is_ok());
        let larger = body(MAX_BODY + 1);
        let refused = read("application/json", &larger).await;
        assert_eq!(refused, Err(BodyRefusal::TooLarge));
        assert_eq!(read("text/plain", &larger).await, Ok(Input::default()));
    }
}
