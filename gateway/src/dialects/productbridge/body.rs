//! From a request body to a typed request, or to the answer `FastAPI` and Pydantic give for a bad one
//! (wire/productbridge.md, Errors).
//!
//! To add an endpoint: a request type, and a function that takes the object, reads each field in declaration
//! order and ends with `violations.finish()`. A field's reader reports what is wrong with it and returns None.

use std::borrow::Cow;

use uuid::Uuid;

use super::items::{At, Context, Item, Items, Kind};
use super::python_json::{self, JsonError, Text, Value};
use super::uuid_text;

/// The fields of requests.
pub const API_KEY: &str = "api_key";
pub const USER_ID: &str = "user_id";
pub const EMAIL: &str = "email";

/// Why a body is no request.
#[derive(Debug, PartialEq, Eq)]
pub enum Rejection {
    /// 400, `There was an error parsing the body`.
    Unparsable,
    /// 422. The text is the JSON array that belongs under `detail`.
    Invalid(String),
    /// 401: nothing is wrong but that `api_key` is missing or null.
    MissingKey,
}

/// A string to look up. None for one that no stored string equals: it holds a NUL or a lone surrogate.
pub type LookupText<'a> = Option<Cow<'a, str>>;

/// `POST /users/retrieve`.
#[derive(Debug, PartialEq, Eq)]
pub struct Retrieve<'a> {
    pub api_key: LookupText<'a>,
    pub by: By<'a>,
}

/// How a user is named.
#[derive(Debug, PartialEq, Eq)]
pub enum By<'a> {
    UserId(Uuid),
    Email(LookupText<'a>),
}

/// `POST /users/delete`.
#[derive(Debug, PartialEq, Eq)]
pub struct Delete<'a> {
    pub api_key: LookupText<'a>,
    pub user_id: Uuid,
}

/// `POST /ping`.
#[derive(Debug, PartialEq, Eq)]
pub struct Ping<'a> {
    pub api_key: LookupText<'a>,
}

/// Reads the body of `/users/retrieve`; `is_json` tells whether its content type is parsed.
pub fn retrieve(body: &[u8], is_json: bool) -> Result<Retrieve<'_>, Rejection> {
    let object = object(body, is_json)?;
    let mut violations = Violations::of(&object);
    let api_key = violations.api_key();
    let user_id = object.given(USER_ID).map(|value| violations.uuid(USER_ID, value));
    let email = object.given(EMAIL).map(|value| violations.string(EMAIL, value));
    // This is told only where no field failed by itself. An address or id that did is Some(None) here.
    let by = match (user_id, email) {
        (Some(Some(_)), Some(Some(_))) | (None, None) => {
            // A missing key is no failure of its field, as in the vendor's sample.
            if api_key.is_some() || violations.no_key {
                violations.not_exactly_one();
            }
            None
        }
        (Some(Some(user_id)), None) => Some(By::UserId(user_id)),
        (None, Some(Some(email))) => Some(By::Email(email)),
        _ => None,
    };
    violations.finish(api_key.zip(by).map(|(api_key, by)| Retrieve { api_key, by }))
}

/// Reads the body of `/users/delete`; `is_json` tells whether its content type is parsed.
pub fn delete(body: &[u8], is_json: bool) -> Result<Delete<'_>, Rejection> {
    let object = object(body, is_json)?;
    let mut violations = Violations::of(&object);
    let api_key = violations.api_key();
    let user_id = match object.get(USER_ID) {
        Some(value) => violations.uuid(USER_ID, value),
        None => violations.missing(USER_ID),
    };
    violations.finish(
        api_key
            .zip(user_id)
            .map(|(api_key, user_id)| Delete { api_key, user_id }),
    )
}

/// Reads the body of `/ping`; `is_json` tells whether its content type is parsed.
pub fn ping(body: &[u8], is_json: bool) -> Result<Ping<'_>, Rejection> {
    let object = object(body, is_json)?;
    let mut violations = Violations::of(&object);
    let api_key = violations.api_key();
    violations.finish(api_key.map(|api_key| Ping { api_key }))
}

/// A decoded JSON object.
struct Object<'a>(Value<'a>);

impl<'a> Object<'a> {
    fn get(&self, name: &str) -> Option<&Value<'a>> {
        let Value::Object(members) = &self.0 else {
            return None;
        };
        members
            .iter()
            .find(|(key, _)| key.text == name)
            .map(|(_, value)| value)
    }

    /// A field's value, unless it is null.
    fn given(&self, name: &str) -> Option<&Value<'a>> {
        self.get(name).filter(|value| **value != Value::Null)
    }
}

fn object(body: &[u8], is_json: bool) -> Result<Object<'_>, Rejection> {
    if body.is_empty() {
        return Err(no_body());
    }
    if !is_json {
        // The framework crashes on what is not UTF-8; here U+FFFD stands for it.
        let text = String::from_utf8_lossy(body);
        return Err(no_object(&Value::Text(Text {
            text,
            lone_surrogate: false,
        })));
    }
    match python_json::decode(body) {
        Ok(value @ Value::Object(_)) => Ok(Object(value)),
        Ok(Value::Null) => Err(no_body()),
        Ok(value) => Err(no_object(&value)),
        Err(JsonError::Unreadable) => Err(Rejection::Unparsable),
        Err(JsonError::Syntax { message, position }) => Err(only(&Item {
            kind: Kind::JsonInvalid,
            at: At::Position(position),
            message: "JSON decode error",
            input: &Value::Object(Vec::new()),
            context: Context::Error(message),
        })),
    }
}

fn no_body() -> Rejection {
    only(&Item {
        kind: Kind::Missing,
        at: At::Body,
        message: "Field required",
        input: &Value::Null,
        context: Context::None,
    })
}

fn no_object(input: &Value<'_>) -> Rejection {
    only(&Item {
        kind: Kind::ModelAttributesType,
        at: At::Body,
        message: "Input should be a valid dictionary or object to extract fields from",
        input,
        context: Context::None,
    })
}

fn only(item: &Item<'_>) -> Rejection {
    let mut items = Items::default();
    items.push(item);
    Rejection::Invalid(items.finish())
}

/// The violations found in an object so far.
struct Violations<'o, 'a> {
    object: &'o Object<'a>,
    items: Items,
    no_key: bool,
}

impl<'o, 'a> Violations<'o, 'a> {
    fn of(object: &'o Object<'a>) -> Self {
        Self {
            object,
            items: Items::default(),
            no_key: false,
        }
    }

    /// The key. A null one is told as missing, too: the contract counts null as not given, although the
    /// framework on its own would call it a wrong type.
    fn api_key(&mut self) -> Option<LookupText<'a>> {
        if let Some(value) = self.object.given(API_KEY) {
            return self.string(API_KEY, value);
        }
        self.no_key = true;
        self.missing(API_KEY)
    }

    fn string(&mut self, name: &'static str, value: &'o Value<'a>) -> Option<LookupText<'a>> {
        let Value::Text(Text { text, lone_surrogate }) = value else {
            return self.wrong(name, Kind::StringType, "Input should be a valid string", value);
        };
        Some(if *lone_surrogate || text.contains('\0') {
            None
        } else {
            Some(text.clone())
        })
    }

    fn uuid(&mut self, name: &'static str, value: &'o Value<'a>) -> Option<Uuid> {
        let Value::Text(Text { text, lone_surrogate }) = value else {
            return self.wrong(
                name,
                Kind::UuidType,
                "UUID input should be a string, bytes or UUID object",
                value,
            );
        };
        if *lone_surrogate {
            let message = "Input should be a valid string, unable to parse raw data as a unicode string";
            return self.wrong(name, Kind::StringUnicode, message, value);
        }
        let error = match uuid_text::parse(text) {
            Ok(uuid) => return Some(uuid),
            Err(error) => error,
        };
        self.items.push(&Item {
            kind: Kind::UuidParsing,
            at: At::Field(name),
            message: &format!("Input should be a valid UUID, {error}"),
            input: value,
            context: Context::Error(&error),
        });
        None
    }

    fn missing<T>(&mut self, name: &'static str) -> Option<T> {
        self.wrong(name, Kind::Missing, "Field required", &self.object.0)
    }

    fn wrong<T>(&mut self, name: &'static str, kind: Kind, message: &str, input: &Value<'_>) -> Option<T> {
        self.items.push(&Item {
            kind,
            at: At::Field(name),
            message,
            input,
            context: Context::None,
        });
        None
    }

    fn not_exactly_one(&mut self) {
        self.items.push(&Item {
            kind: Kind::ValueError,
            at: At::Body,
            message: "Value error, Exactly one of user_id or email is required",
            input: &self.object.0,
            context: Context::Exception,
        });
    }

    /// The request, or why there is none: a reader that returned None has left its item here.
    fn finish<T>(self, request: Option<T>) -> Result<T, Rejection> {
        match request {
            Some(request) => Ok(request),
            None if self.no_key && self.items.len() == 1 => Err(Rejection::MissingKey),
            None => Err(Rejection::Invalid(self.items.finish())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER_ID: Uuid = Uuid::from_u128(0xbb3c_3ef8_b8cd_4d15_81ba_0000_0000_0001);

    #[expect(
        clippy::unnecessary_wraps,
        reason = "it stands where a request has its strings"
    )]
    fn sought(text: &str) -> LookupText<'_> {
        Some(Cow::Borrowed(text))
    }

    #[track_caller]
    fn assert_invalid<T: std::fmt::Debug>(answer: Result<T, Rejection>, items: &str) {
        assert_eq!(answer.unwrap_err(), Rejection::Invalid(items.to_owned()));
    }

    #[test]
    fn a_user_is_named_by_id_or_by_email() {
        let by_id =
            br#"{"api_key": "k", "user_id": "{bb3c3ef8-b8cd-4d15-81ba-000000000001}", "email": null}"#;
        let by = By::UserId(USER_ID);
        assert_eq!(
            retrieve(by_id, true),
            Ok(Retrieve {
                api_key: sought("k"),
                by
            })
        );
        let by_email = br#"{"x": [1], "email": " S@a.example", "api_key": "old", "api_key": ""}"#;
        let by = By::Email(sought(" S@a.example"));
        assert_eq!(
            retrieve(by_email, true),
            Ok(Retrieve {
                api_key: sought(""),
                by
            })
        );
    }

    #[test]
    fn delete_and_ping_read_their_fields() {
        let body = br#"{"api_key":"k","user_id":"BB3C3EF8B8CD4D1581BA000000000001","email":1}"#;
        assert_eq!(
            delete(body, true),
            Ok(Delete {
                api_key: sought("k"),
                user_id: USER_ID
            })
        );
        assert_eq!(ping(body, true), Ok(Ping { api_key: sought("k") }));
    }

    #[test]
    fn a_body_in_utf_16_is_read_too() {
        let body: Vec<u8> = r#"{"api_key":"k"}"#.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(ping(&body, true), Ok(Ping { api_key: sought("k") }));
    }

    #[test]
    fn a_string_nobody_can_have_is_sought_as_none() {
        let body = br#"{"api_key":"\ud800","email":"a\u0000b"}"#;
        assert_eq!(
            retrieve(body, true),
            Ok(Retrieve {
                api_key: None,
                by: By::Email(None)
            })
        );
    }

    #[test]
    fn a_missing_or_null_key_alone_is_told_apart() {
        for body in [
            r#"{"email":"a"}"#,
            r#"{"api_key":null,"email":"a"}"#,
            r#"{"x":NaN,"email":"a"}"#,
        ] {
            assert_eq!(
                retrieve(body.as_bytes(), true),
                Err(Rejection::MissingKey),
                "{body}"
            );
        }
        assert_eq!(ping(b"{}", true), Err(Rejection::MissingKey));
    }

    #[test]
    fn a_missing_key_comes_first_among_other_violations() {
        assert_invalid(
            retrieve(b"{}", true),
            r#"[{"type":"missing","loc":["body","api_key"],"msg":"Field required","input":{}},{"type":"value_error","loc":["body"],"msg":"Value error, Exactly one of user_id or email is required","input":{},"ctx":{"error":{}}}]"#,
        );
        assert_invalid(
            delete(br#"{"api_key":null}"#, true),
            r#"[{"type":"missing","loc":["body","api_key"],"msg":"Field required","input":{"api_key":null}},{"type":"missing","loc":["body","user_id"],"msg":"Field required","input":{"api_key":null}}]"#,
        );
        assert_invalid(
            retrieve(br#"{"email": 5, "user_id": 7}"#, true),
            r#"[{"type":"missing","loc":["body","api_key"],"msg":"Field required","input":{"email":5,"user_id":7}},{"type":"uuid_type","loc":["body","user_id"],"msg":"UUID input should be a string, bytes or UUID object","input":7},{"type":"string_type","loc":["body","email"],"msg":"Input should be a valid string","input":5}]"#,
        );
    }

    #[test]
    fn a_key_of_another_type_is_invalid_even_alone() {
        assert_invalid(
            ping(br#"{"api_key": [1.50]}"#, true),
            r#"[{"type":"string_type","loc":["body","api_key"],"msg":"Input should be a valid string","input":[1.5]}]"#,
        );
    }

    #[test]
    fn both_or_neither_of_id_and_email_is_one_violation_of_the_body() {
        for object in [
            r#"{"api_key":"k"}"#,
            r#"{"api_key":"k","user_id":null,"email":null}"#,
            r#"{"api_key":"k","user_id":"bb3c3ef8-b8cd-4d15-81ba-000000000001","email":""}"#,
        ] {
            assert_invalid(
                retrieve(object.as_bytes(), true),
                &format!(
                    r#"[{{"type":"value_error","loc":["body"],"msg":"Value error, Exactly one of user_id or email is required","input":{object},"ctx":{{"error":{{}}}}}}]"#
                ),
            );
        }
    }

    #[test]
    fn a_field_that_failed_by_itself_silences_both_or_neither() {
        assert_invalid(
            retrieve(br#"{"api_key":"k","user_id":"abc","email":"a"}"#, true),
            r#"[{"type":"uuid_parsing","loc":["body","user_id"],"msg":"Input should be a valid UUID, invalid length: expected length 32 for simple format, found 3","input":"abc","ctx":{"error":"invalid length: expected length 32 for simple format, found 3"}}]"#,
        );
        assert_invalid(
            retrieve(br#"{"api_key":"k","email":false}"#, true),
            r#"[{"type":"string_type","loc":["body","email"],"msg":"Input should be a valid string","input":false}]"#,
        );
    }

    #[test]
    fn a_key_of_another_type_silences_both_or_neither() {
        for object in [
            r#"{"api_key":5}"#,
            r#"{"api_key":5,"user_id":null}"#,
            r#"{"api_key":5,"user_id":"bb3c3ef8-b8cd-4d15-81ba-000000000001","email":"a"}"#,
        ] {
            assert_invalid(
                retrieve(object.as_bytes(), true),
                r#"[{"type":"string_type","loc":["body","api_key"],"msg":"Input should be a valid string","input":5}]"#,
            );
        }
        // What another field is missing is told all the same.
        assert_invalid(
            delete(br#"{"api_key":5}"#, true),
            r#"[{"type":"string_type","loc":["body","api_key"],"msg":"Input should be a valid string","input":5},{"type":"missing","loc":["body","user_id"],"msg":"Field required","input":{"api_key":5}}]"#,
        );
    }

    #[test]
    fn delete_takes_no_null_id() {
        assert_invalid(
            delete(br#"{"api_key":"k","user_id":null}"#, true),
            r#"[{"type":"uuid_type","loc":["body","user_id"],"msg":"UUID input should be a string, bytes or UUID object","input":null}]"#,
        );
    }

    #[test]
    fn what_crashes_the_framework_is_invalid() {
        assert_invalid(
            delete(br#"{"api_key":"k","user_id":"\udfff"}"#, true),
            "[{\"type\":\"string_unicode\",\"loc\":[\"body\",\"user_id\"],\"msg\":\"Input should be a valid string, unable to parse raw data as a unicode string\",\"input\":\"\u{fffd}\"}]",
        );
        assert_invalid(
            ping(b"NaN", true),
            r#"[{"type":"model_attributes_type","loc":["body"],"msg":"Input should be a valid dictionary or object to extract fields from","input":null}]"#,
        );
        assert_invalid(
            ping(b"{\xFF", false),
            "[{\"type\":\"model_attributes_type\",\"loc\":[\"body\"],\"msg\":\"Input should be a valid dictionary or object to extract fields from\",\"input\":\"{\u{fffd}\"}]",
        );
    }

    #[test]
    fn no_body_is_missing_whatever_its_type() {
        for (body, is_json) in [("", true), ("", false), ("null", true)] {
            assert_invalid(
                ping(body.as_bytes(), is_json),
                r#"[{"type":"missing","loc":["body"],"msg":"Field required","input":null}]"#,
            );
        }
    }

    #[test]
    fn bad_json_is_invalid_and_unreadable_bytes_are_unparsable() {
        assert_invalid(
            ping(br#"{"api_key":"\x"}"#, true),
            r#"[{"type":"json_invalid","loc":["body",12],"msg":"JSON decode error","input":{},"ctx":{"error":"Invalid \\escape"}}]"#,
        );
        assert_eq!(ping(b"\xFF", true), Err(Rejection::Unparsable));
    }

    #[test]
    fn a_body_of_another_type_is_echoed_as_text() {
        assert_invalid(
            ping(br#"{"api_key": "k"}"#, false),
            r#"[{"type":"model_attributes_type","loc":["body"],"msg":"Input should be a valid dictionary or object to extract fields from","input":"{\"api_key\": \"k\"}"}]"#,
        );
    }
}
