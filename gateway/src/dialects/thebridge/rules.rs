//! What a body must look like, judged as class-validator does: all messages of all fields, in the order of the fields.

use super::input::{Input, Value};

/// Messages about fields that are not valid.
pub(super) type Messages = Vec<String>;

/// `POST /account/tenant/user`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NewUser {
    pub(super) username: String,
    pub(super) role: Option<String>,
    pub(super) first_name: Option<String>,
    pub(super) last_name: Option<String>,
    pub(super) mute_notifications: bool,
}

/// `PUT /account/tenant/user/:id`. None: it stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) role: Option<String>,
    pub(super) enabled: Option<bool>,
    pub(super) teams: Option<Vec<String>>,
    pub(super) first_name: Option<String>,
    pub(super) last_name: Option<String>,
    pub(super) onboarded: Option<bool>,
}

pub(super) fn create(input: &Input) -> Result<NewUser, Messages> {
    let mut judge = Judge::of(input);
    let username = judge.required("username");
    let user = NewUser {
        username: username.unwrap_or_default(),
        role: judge.text("role"),
        first_name: judge.text("firstName"),
        last_name: judge.text("lastName"),
        mute_notifications: judge.truth("muteNotifications").unwrap_or_default(),
    };
    judge.end(user)
}

pub(super) fn update(input: &Input) -> Result<Change, Messages> {
    let mut judge = Judge::of(input);
    let change = Change {
        role: judge.text("role"),
        enabled: judge.truth("enabled"),
        teams: judge.texts("teams"),
        first_name: judge.text("firstName"),
        last_name: judge.text("lastName"),
        onboarded: judge.truth("onboarded"),
    };
    judge.end(change)
}

/// `POST /auth/handover/code/:APP_ID`: the access token.
pub(super) fn handover(input: &Input) -> Result<String, Messages> {
    let mut judge = Judge::of(input);
    let token = judge.required("accessToken").unwrap_or_default();
    judge.end(token)
}

struct Judge<'i> {
    input: &'i Input,
    messages: Messages,
}

impl<'i> Judge<'i> {
    const fn of(input: &'i Input) -> Self {
        Self {
            input,
            messages: Vec::new(),
        }
    }

    fn end<T>(self, good: T) -> Result<T, Messages> {
        if self.messages.is_empty() {
            Ok(good)
        } else {
            Err(self.messages)
        }
    }

    fn not(&mut self, name: &str, what: &str) {
        self.messages.push(format!("{name} must be {what}"));
    }

    /// `@IsString() @IsNotEmpty()`.
    fn required(&mut self, name: &str) -> Option<String> {
        let value = self.input.get(name);
        let text = match value {
            Some(Value::Text(text)) => Some(text.clone()),
            _ => None,
        };
        let nothing = matches!(value, None | Some(Value::Null)) || text.as_deref() == Some("");
        if nothing {
            self.messages.push(format!("{name} should not be empty"));
        }
        if text.is_none() {
            self.not(name, "a string");
        }
        text
    }

    /// `@IsOptional() @IsString()`.
    fn text(&mut self, name: &str) -> Option<String> {
        if let Value::Text(text) = self.input.given(name)? {
            return Some(text.clone());
        }
        self.not(name, "a string");
        None
    }

    /// `@IsOptional() @IsBoolean()`.
    fn truth(&mut self, name: &str) -> Option<bool> {
        if let Value::Bool(truth) = self.input.given(name)? {
            return Some(*truth);
        }
        self.not(name, "a boolean value");
        None
    }

    /// `@IsOptional() @IsArray() @IsString({ each: true })`.
    fn texts(&mut self, name: &str) -> Option<Vec<String>> {
        let value = self.input.given(name)?;
        let single = std::slice::from_ref(value);
        let items = match value {
            Value::List(items) => &items[..],
            _ => single,
        };
        let texts = items.iter().map(|item| match item {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        });
        let texts: Option<Vec<_>> = texts.collect();
        if texts.is_none() {
            self.messages
                .push(format!("each value in {name} must be a string"));
        }
        if !matches!(value, Value::List(_)) {
            self.not(name, "an array");
        }
        texts
    }
}
