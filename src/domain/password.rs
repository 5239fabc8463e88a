//! Passwords, of which only a slow hash is kept.

use std::fmt;

use unicode_normalization::UnicodeNormalization as _;

use super::InvalidText;

/// A password in the form in which it is hashed: NFKC, so that it does not depend on the keyboard that it is typed on
/// (NIST SP 800-63B §5.1.1.2).
pub struct Password(String);

impl Password {
    /// The fewest characters of a new one.
    pub const MIN_CHARS: usize = 8;

    /// The most.
    pub const MAX_CHARS: usize = 256;

    /// A password that somebody wants to have. Any character is welcome.
    ///
    /// # Errors
    ///
    /// [`InvalidText::TooShort`], [`InvalidText::TooLong`]: counted in Unicode scalar values after normalization.
    pub fn new(text: &str) -> Result<Self, InvalidText> {
        let password = Self::typed(text);
        match password.0.chars().count() {
            0..Self::MIN_CHARS => Err(InvalidText::TooShort(Self::MIN_CHARS)),
            Self::MIN_CHARS..=Self::MAX_CHARS => Ok(password),
            _ => Err(InvalidText::TooLong(Self::MAX_CHARS)),
        }
    }

    /// What somebody says is a password, whatever it is.
    #[must_use]
    pub fn typed(text: &str) -> Self {
        Self(text.nfkc().collect())
    }

    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// An argon2id hash with its parameters and its salt, in the PHC string format.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// A hash as it is stored.
    #[must_use]
    pub const fn new(phc: String) -> Self {
        Self(phc)
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_has_8_to_256_characters_of_any_kind() {
        for good in [
            "12345678",
            "pass word",
            "\u{1F511}".repeat(256).as_str(),
            "\tä ö\u{7f}ü!?",
        ] {
            assert!(Password::new(good).is_ok(), "{good:?}");
        }
        assert_eq!(Password::new("1234567").unwrap_err(), InvalidText::TooShort(8));
        assert_eq!(
            Password::new(&"ä".repeat(257)).unwrap_err(),
            InvalidText::TooLong(256)
        );
    }

    #[test]
    fn characters_are_counted_and_compared_after_normalization() {
        // Four letters, each with a combining accent.
        let accents = "a\u{301}".repeat(4);
        assert_eq!(Password::new(&accents).unwrap_err(), InvalidText::TooShort(8));
        assert_eq!(
            Password::typed("cafe\u{301} \u{FB01}ne").reveal(),
            Password::typed("caf\u{e9} fine").reveal()
        );
    }

    #[test]
    fn neither_a_password_nor_its_hash_prints_itself() {
        let hash = PasswordHash::new("$argon2id$".to_owned());
        assert_eq!(
            format!("{:?} {hash:?}", Password::typed("opensesame")),
            "Password(..) PasswordHash(..)"
        );
    }
}
