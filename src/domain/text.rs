//! Bounded text: what every name and address has in common.

use thiserror::Error;

/// Why a text was refused. Says what is wrong with it, never what it was.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum InvalidText {
    /// It must have at least one character.
    #[error("must not be empty")]
    Empty,
    /// It has fewer characters than this.
    #[error("must have at least {0} characters")]
    TooShort(usize),
    /// It has more characters than this.
    #[error("must have at most {0} characters")]
    TooLong(usize),
    /// It has a control character (Unicode category Cc).
    #[error("must not have control characters")]
    ControlCharacter,
    /// It is no address of the form `local@domain`.
    #[error("must be an email address")]
    NotAnEmail,
    /// It is no language tag (BCP 47).
    #[error("must be a language tag such as en or pt-BR")]
    NotALanguageTag,
    /// It is no `https` URL.
    #[error("must be an https URL")]
    NotAnHttpsUrl,
    /// It is no slug: lower-case ASCII letters, digits and single hyphens between them.
    #[error("must be lower-case letters, digits and single hyphens between them")]
    NotASlug,
}

/// Checks the rules of every text: 1 to `max` characters (Unicode scalar values), none of them a control character.
pub(super) fn check(text: &str, max: usize) -> Result<(), InvalidText> {
    if text.is_empty() {
        return Err(InvalidText::Empty);
    }
    if text.len() > max && text.chars().nth(max).is_some() {
        return Err(InvalidText::TooLong(max));
    }
    let has_control = if text.is_ascii() {
        // To look at all of them without leaving early is what compilers make quick.
        text.bytes()
            .fold(false, |found, byte| found | byte.is_ascii_control())
    } else {
        text.chars().any(char::is_control)
    };
    if has_control {
        return Err(InvalidText::ControlCharacter);
    }
    Ok(())
}

/// Defines a text type with its largest length in characters and, if it has one, a check of its own.
macro_rules! text {
    ($(#[$doc:meta])* $name:ident, max $max:expr $(, $check:expr)?) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl $name {
            /// The most characters it can have.
            pub const MAX_CHARS: usize = $max;

            /// The text, if it keeps the rules of this type.
            ///
            /// # Errors
            ///
            /// The first rule that it breaks.
            pub fn new(text: impl Into<String>) -> Result<Self, $crate::domain::InvalidText> {
                let text = text.into();
                $crate::domain::text::check(&text, Self::MAX_CHARS)?;
                $($check(&text)?;)?
                Ok(Self(text))
            }

            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

        }

        impl TryFrom<String> for $name {
            type Error = $crate::domain::InvalidText;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::domain::InvalidText;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::new(text)
            }
        }
    };
}
pub(super) use text;
