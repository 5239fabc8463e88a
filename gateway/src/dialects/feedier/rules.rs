//! What a request must look like, judged rule by rule as Laravel's validator does: all errors of all fields, each in its
//! words.

use serde::{Serialize, Serializer, ser::SerializeMap as _};

use super::{
    email::is_email,
    input::{Input, Value},
    user,
};
use crate::proto::directory_v1::{AuthMethod, Role};

/// The longest name and the longest address, in characters.
pub(super) const MAX_CHARS: usize = 255;

/// The most users of a page.
pub(super) const MAX_PER_PAGE: u32 = 100;

/// Fields of a new user, in the order in which their errors are told.
pub(super) const CREATE: &[&str] = &["email", "role", "auth_method", "name", "team_id"];

/// Fields of a change, in that order.
pub(super) const UPDATE: &[&str] = &["email", "name", "role", "auth_method"];

/// Error messages by field.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Errors {
    /// Fields that have an order. Others come behind them, as they are noted.
    order: &'static [&'static str],
    fields: Vec<(&'static str, Vec<String>)>,
}

impl Errors {
    fn of(order: &'static [&'static str]) -> Self {
        Self {
            order,
            fields: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, field: &'static str, message: String) {
        match self.fields.iter_mut().find(|(there, _)| *there == field) {
            Some((_, messages)) => messages.push(message),
            None => self.fields.push((field, vec![message])),
        }
        let order = self.order;
        let place = |field: &str| order.iter().position(|known| *known == field);
        self.fields
            .sort_by_key(|(field, _)| place(field).unwrap_or(order.len()));
    }

    /// Notes that a text has what no text may have.
    pub(super) fn add_format(&mut self, field: &'static str) {
        self.add(field, format!("The {field} field format is invalid."));
    }

    /// Notes that another user has the address.
    pub(super) fn email_taken(&mut self) {
        self.add("email", "The email has already been taken.".to_owned());
    }

    /// Notes that there is no such team.
    pub(super) fn no_team(&mut self) {
        self.add("team_id", selected("team_id"));
    }

    /// Whether there are none.
    pub(super) const fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The fields that have errors.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.fields.iter().map(|(field, _)| *field)
    }

    /// The first, and how many more there are.
    pub(super) fn summary(&self) -> String {
        let mut messages = self.fields.iter().flat_map(|(_, messages)| messages);
        let first = messages.next().map_or("", String::as_str);
        match messages.count() {
            0 => first.to_owned(),
            1 => format!("{first} (and 1 more error)"),
            more => format!("{first} (and {more} more errors)"),
        }
    }
}

impl Serialize for Errors {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.fields.len()))?;
        for (field, messages) in &self.fields {
            map.serialize_entry(field, messages)?;
        }
        map.end()
    }
}

/// The fields of a user that are given and good.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fields {
    pub(super) email: Option<String>,
    pub(super) name: Option<String>,
    pub(super) role: Option<Role>,
    pub(super) auth_method: Option<AuthMethod>,
    pub(super) team: Option<i64>,
}

/// `POST /v3/users`.
pub(super) fn create(input: &Input) -> (Fields, Errors) {
    let mut errors = Errors::of(CREATE);
    let fields = Fields {
        email: email(&mut errors, input.get("email")),
        role: required(&mut errors, "role", input.get("role")).and_then(|value| role(&mut errors, value)),
        auth_method: required(&mut errors, "auth_method", input.get("auth_method"))
            .and_then(|value| auth_method(&mut errors, value)),
        name: input.given("name").and_then(|value| name(&mut errors, value)),
        team: input.given("team_id").and_then(|value| team(&mut errors, value)),
    };
    (fields, errors)
}

/// `PUT /v3/users/:id`. What is there is judged as when a user is created, and null is not enough.
pub(super) fn update(input: &Input) -> (Fields, Errors) {
    let mut errors = Errors::of(UPDATE);
    let mut fields = Fields::default();
    if let there @ Some(_) = input.get("email") {
        fields.email = email(&mut errors, there);
    }
    if let there @ Some(_) = input.get("name") {
        fields.name = required(&mut errors, "name", there).and_then(|value| name(&mut errors, value));
    }
    if let there @ Some(_) = input.get("role") {
        fields.role = required(&mut errors, "role", there).and_then(|value| role(&mut errors, value));
    }
    if let there @ Some(_) = input.get("auth_method") {
        fields.auth_method =
            required(&mut errors, "auth_method", there).and_then(|value| auth_method(&mut errors, value));
    }
    (fields, errors)
}

/// A field that says how many users a page has: `integer|min:1|max:100`. None: it is not given, or not good.
pub(super) fn page_size(errors: &mut Errors, field: &'static str, input: &Input) -> Option<u32> {
    let value = input.given(field)?;
    let number = integer(value);
    if number.is_none() {
        errors.add(field, format!("The {} field must be an integer.", words(field)));
    }
    let size = size(value);
    if size < 1.0 {
        errors.add(field, format!("The {} field must be at least 1.", words(field)));
    }
    if size > f64::from(MAX_PER_PAGE) {
        errors.add(
            field,
            format!(
                "The {} field must not be greater than {MAX_PER_PAGE}.",
                words(field)
            ),
        );
    }
    number
        .and_then(|number| u32::try_from(number).ok())
        .filter(|number| (1..=MAX_PER_PAGE).contains(number))
}

/// An integer as PHP's `FILTER_VALIDATE_INT` reads it.
pub(super) fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Bool(true) => Some(1),
        Value::Text(text) => decimal(text),
        Value::Number(number) => match number.as_i64() {
            Some(number) => Some(number),
            // PHP writes a whole number without a point, and a large one with an exponent.
            None => number
                .as_f64()
                .filter(|float| float.fract() == 0.0 && float.abs() < 1e15)
                .and_then(|float| format!("{float:.0}").parse().ok()),
        },
        Value::Bool(false) | Value::Null | Value::NotUtf8 | Value::Array(_) | Value::Opaque => None,
    }
}

/// Digits without a zero in front, and a sign maybe.
pub(super) fn decimal(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let plain = digits == "0" || !digits.starts_with('0');
    if plain && digits.bytes().all(|digit| digit.is_ascii_digit()) {
        text.parse().ok()
    } else {
        None
    }
}

/// What `min` and `max` compare: a number's value, else how long it is.
fn size(value: &Value) -> f64 {
    let length = |length: usize| f64::from(u32::try_from(length).unwrap_or(u32::MAX));
    match value {
        Value::Text(text) => {
            let numeric = text
                .bytes()
                .all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
            let number = text.parse().ok().filter(|_| numeric);
            number.unwrap_or_else(|| length(text.chars().count()))
        }
        Value::Number(number) => number.as_f64().unwrap_or_default(),
        Value::Array(items) => length(items.len()),
        Value::Bool(_) | Value::NotUtf8 | Value::Opaque => 1.0,
        Value::Null => 0.0,
    }
}

fn email(errors: &mut Errors, value: Option<&Value>) -> Option<String> {
    let value = required(errors, "email", value)?;
    let not_valid = "The email field must be a valid email address.";
    let Value::Text(text) = value else {
        if *value != Value::NotUtf8 {
            errors.add("email", "The email field must be a string.".to_owned());
        }
        errors.add("email", not_valid.to_owned());
        return None;
    };
    let valid = is_email(text);
    if !valid {
        errors.add("email", not_valid.to_owned());
    }
    let short = is_short(errors, "email", text);
    (valid && short).then(|| text.clone())
}

fn name(errors: &mut Errors, value: &Value) -> Option<String> {
    let text = match value {
        Value::Text(text) => text,
        Value::NotUtf8 => {
            errors.add_format("name");
            return None;
        }
        _ => {
            errors.add("name", "The name field must be a string.".to_owned());
            return None;
        }
    };
    // The directory keeps no line feeds and the like.
    let printable = !text.chars().any(char::is_control);
    if !printable {
        errors.add_format("name");
    }
    let short = is_short(errors, "name", text);
    (printable && short).then(|| text.clone())
}

fn is_short(errors: &mut Errors, field: &'static str, text: &str) -> bool {
    let short = text.chars().nth(MAX_CHARS).is_none();
    if !short {
        errors.add(
            field,
            format!("The {field} field must not be greater than {MAX_CHARS} characters."),
        );
    }
    short
}

fn role(errors: &mut Errors, value: &Value) -> Option<Role> {
    one_of(errors, "role", value, user::role)
}

fn auth_method(errors: &mut Errors, value: &Value) -> Option<AuthMethod> {
    one_of(errors, "auth_method", value, user::auth_method)
}

fn one_of<T>(
    errors: &mut Errors,
    field: &'static str,
    value: &Value,
    read: impl FnOnce(&str) -> Option<T>,
) -> Option<T> {
    let read = match value {
        Value::Text(text) => read(text),
        _ => None,
    };
    if read.is_none() {
        errors.add(field, selected(field));
    }
    read
}

fn team(errors: &mut Errors, value: &Value) -> Option<i64> {
    let number = integer(value);
    if number.is_none() {
        errors.add("team_id", "The team id field must be an integer.".to_owned());
    }
    number
}

/// The value of a field that must be there, with something in it.
fn required<'v>(errors: &mut Errors, field: &'static str, value: Option<&'v Value>) -> Option<&'v Value> {
    let value = value.filter(|value| match value {
        Value::Null => false,
        Value::Array(items) => !items.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::NotUtf8 | Value::Opaque => true,
    });
    if value.is_none() {
        errors.add(field, format!("The {} field is required.", words(field)));
    }
    value
}

fn selected(field: &str) -> String {
    format!("The selected {} is invalid.", words(field))
}

fn words(field: &str) -> String {
    field.replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(query: &str) -> Input {
        Input::of_query(Some(query))
    }

    fn errors(query: &str, judge: fn(&Input) -> (Fields, Errors)) -> String {
        let (_, errors) = judge(&input(query));
        format!("{} {}", errors.summary(), serde_json::to_string(&errors).unwrap())
    }

    #[test]
    fn what_is_missing_is_told_in_order() {
        assert_eq!(
            errors("", create),
            r#"The email field is required. (and 2 more errors) {"email":["The email field is required."],"role":["The role field is required."],"auth_method":["The auth method field is required."]}"#
        );
        assert_eq!(
            errors("auth_method=oidc&name=x", create),
            r#"The email field is required. (and 1 more error) {"email":["The email field is required."],"role":["The role field is required."]}"#
        );
        assert_eq!(errors("", update), " {}");
        assert_eq!(
            errors("name=%20", update),
            r#"The name field is required. {"name":["The name field is required."]}"#
        );
    }

    #[test]
    fn every_rule_of_a_field_is_told() {
        let long = format!("{}@", "a".repeat(300));
        assert_eq!(
            errors(
                &format!("email={long}&role=owner&auth_method[]=oidc&team_id=2.5&name[]=x"),
                create
            ),
            r#"The email field must be a valid email address. (and 5 more errors) {"email":["The email field must be a valid email address.","The email field must not be greater than 255 characters."],"role":["The selected role is invalid."],"auth_method":["The selected auth method is invalid."],"name":["The name field must be a string."],"team_id":["The team id field must be an integer."]}"#
        );
        assert_eq!(
            errors("email[]=a", update),
            r#"The email field must be a string. (and 1 more error) {"email":["The email field must be a string.","The email field must be a valid email address."]}"#
        );
        assert_eq!(
            errors(
                "email=a%ff@b&role=viewer%ff&auth_method=%ff&team_id=1%ff&name=%ff",
                create
            ),
            r#"The email field must be a valid email address. (and 4 more errors) {"email":["The email field must be a valid email address."],"role":["The selected role is invalid."],"auth_method":["The selected auth method is invalid."],"name":["The name field format is invalid."],"team_id":["The team id field must be an integer."]}"#
        );
    }

    #[test]
    fn what_is_good_is_kept() {
        let (fields, errors) = create(&input(
            "email=+j@a.b+&role=viewer&auth_method=oidc&team_id=%2B2&name=",
        ));
        assert!(errors.is_empty());
        assert_eq!(
            fields,
            Fields {
                email: Some("j@a.b".to_owned()),
                name: None,
                role: Some(Role::Viewer),
                auth_method: Some(AuthMethod::Oidc),
                team: Some(2),
            }
        );
    }

    #[test]
    fn integers_are_those_of_php() {
        let number = |text: &str| integer(&Value::Number(text.parse().unwrap()));
        for (text, value) in [
            ("7", Some(7)),
            ("-7", Some(-7)),
            ("+7", Some(7)),
            ("0", Some(0)),
            ("9223372036854775807", Some(i64::MAX)),
            ("9223372036854775808", None),
            ("07", None),
            ("08", None),
            ("7.0", None),
            ("1e2", None),
            ("0x1", None),
            ("", None),
            ("+", None),
            ("++1", None),
            ("٣", None),
        ] {
            assert_eq!(decimal(text), value, "{text}");
        }
        assert_eq!(number("2.0"), Some(2));
        assert_eq!(number("2.5"), None);
        assert_eq!(number("1e300"), None);
        assert_eq!(number("18446744073709551615"), None);
    }

    #[test]
    fn page_sizes_are_bounded() {
        for (text, size, messages) in [
            ("1", Some(1), ""),
            ("100", Some(100), ""),
            ("", None, ""),
            ("0", None, "The per page field must be at least 1."),
            ("-3", None, "The per page field must be at least 1."),
            ("101", None, "The per page field must not be greater than 100."),
            ("abc", None, "The per page field must be an integer."),
            (
                "99999999999999999999",
                None,
                "The per page field must be an integer. (and 1 more error)",
            ),
            ("1.5", None, "The per page field must be an integer."),
            ("08", None, "The per page field must be an integer."),
            ("%ff", None, "The per page field must be an integer."),
        ] {
            let mut errors = Errors::default();
            let query = format!("per_page={text}");
            assert_eq!(page_size(&mut errors, "per_page", &input(&query)), size, "{text}");
            assert_eq!(errors.summary(), messages, "{text}");
        }
    }
}
