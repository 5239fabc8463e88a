//! Tokens: secrets of one member, for one purpose and a short time.

use std::{fmt, io, time::Duration};

use super::{KeyDigest, MemberNumber, Random, Timestamp, names::names, random::secret_text};

/// How long a session lasts after its last call.
pub const SESSION_IDLE: Duration = Duration::from_mins(30);

names! {
    /// What a token is for.
    TokenKind, "password_link, handover_code, access_token, session",
    /// Setting a password, once: it is mailed. A member has one at a time.
    PasswordLink = "password_link",
    /// Opening a session, once.
    HandoverCode = "handover_code",
    /// Getting handover codes, for the member whose password was right.
    AccessToken = "access_token",
    /// Acting as an OWNER or ADMIN on the hosted pages.
    Session = "session",
}

impl TokenKind {
    /// What every token of the kind begins with. No API key does.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::PasswordLink => "ubp_",
            Self::HandoverCode => "ubh_",
            Self::AccessToken => "uba_",
            Self::Session => "ubs_",
        }
    }

    /// How long a token works, if nothing ends it before.
    #[must_use]
    pub const fn lifetime(self) -> Duration {
        match self {
            Self::PasswordLink => Duration::from_hours(24),
            Self::HandoverCode => Duration::from_secs(60),
            Self::AccessToken => Duration::from_mins(15),
            Self::Session => Duration::from_hours(12),
        }
    }

    /// The kind of what a caller presented. None: it is no token.
    fn of(presented: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|kind| presented.starts_with(kind.prefix()))
    }
}

/// What a caller presented, without its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presented {
    pub digest: KeyDigest,
    /// None: it is no token, so it may be an API key.
    pub token: Option<TokenKind>,
}

impl Presented {
    /// Of this text, whatever it is.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self {
            digest: KeyDigest::of(text),
            token: TokenKind::of(text),
        }
    }
}

/// A token itself: the prefix of its kind and 32 random bytes in URL-safe base64, 47 characters in all.
///
/// It exists only while it is made and handed over. What is kept is its [`KeyDigest`].
pub struct TokenSecret {
    kind: TokenKind,
    text: String,
}

impl TokenSecret {
    /// A new one.
    ///
    /// # Errors
    ///
    /// There is no randomness to be had.
    pub fn generate(kind: TokenKind, random: &dyn Random) -> io::Result<Self> {
        let text = secret_text(kind.prefix(), random)?;
        Ok(Self { kind, text })
    }

    /// What is stored of it, from now until its lifetime is over.
    #[must_use]
    pub fn stored(&self, member: MemberNumber, now: Timestamp) -> StoredToken {
        StoredToken {
            digest: KeyDigest::of(&self.text),
            kind: self.kind,
            member,
            created_at: now,
            expires_at: now.saturating_add(self.kind.lifetime()),
            last_used_at: None,
        }
    }

    /// The token, to be handed to its owner once.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for TokenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSecret(..)")
    }
}

/// A token, without its secret. One that is used up is not stored any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredToken {
    /// What it is found by.
    pub digest: KeyDigest,
    pub kind: TokenKind,
    /// Whose it is.
    pub member: MemberNumber,
    pub created_at: Timestamp,
    /// From then on it does not work.
    pub expires_at: Timestamp,
    /// When a session was last used, within a minute. None: not after it began, and for other kinds.
    pub last_used_at: Option<Timestamp>,
}

impl StoredToken {
    /// When it ends if it is not used until then: a session that nobody uses ends early.
    #[must_use]
    pub fn end(&self) -> Timestamp {
        match self.kind {
            TokenKind::Session => {
                let last = self.last_used_at.unwrap_or(self.created_at);
                self.expires_at.min(last.saturating_add(SESSION_IDLE))
            }
            TokenKind::PasswordLink | TokenKind::HandoverCode | TokenKind::AccessToken => self.expires_at,
        }
    }

    /// Whether it works at this moment. One that was made or used by a clock that was ahead does not: it would outlive its time.
    #[must_use]
    pub fn is_active(&self, now: Timestamp) -> bool {
        let last = self.last_used_at.unwrap_or(self.created_at);
        now < self.end() && !self.created_at.is_ahead_of(now) && !last.is_ahead_of(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ApiKeySecret, OsRandom};

    const NOW: Timestamp = Timestamp::from_millis(1_775_030_400_000);

    fn stored(kind: TokenKind) -> StoredToken {
        let secret = TokenSecret::generate(kind, &OsRandom).unwrap();
        secret.stored(MemberNumber(1), NOW)
    }

    #[test]
    fn a_token_tells_its_kind_and_no_api_key_looks_like_one() {
        for kind in TokenKind::ALL.iter().copied() {
            let secret = TokenSecret::generate(kind, &OsRandom).unwrap();
            assert_eq!(secret.reveal().len(), 47);
            assert_eq!(TokenKind::of(secret.reveal()), Some(kind));
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        let key = ApiKeySecret::generate(&OsRandom).unwrap();
        assert_eq!(TokenKind::of(key.reveal()), None);
    }

    #[test]
    fn neither_a_token_nor_what_is_stored_of_it_prints_the_secret() {
        let secret = TokenSecret::generate(TokenKind::Session, &OsRandom).unwrap();
        assert_eq!(format!("{secret:?}"), "TokenSecret(..)");
        let stored = format!("{:?}", secret.stored(MemberNumber(1), NOW));
        assert!(stored.contains("KeyDigest(..)"), "{stored}");
    }

    #[test]
    fn each_kind_works_for_its_time() {
        for (kind, millis) in [
            (TokenKind::PasswordLink, 24 * 3_600_000),
            (TokenKind::HandoverCode, 60_000),
            (TokenKind::AccessToken, 15 * 60_000),
            // Nobody has used it.
            (TokenKind::Session, 30 * 60_000),
        ] {
            let token = stored(kind);
            let end = NOW.as_millis() + millis;
            assert!(token.is_active(Timestamp::from_millis(end - 1)), "{kind}");
            assert!(!token.is_active(Timestamp::from_millis(end)), "{kind}");
        }
    }

    #[test]
    fn a_session_that_is_used_lasts_twelve_hours() {
        let begin = NOW.as_millis();
        let used = StoredToken {
            last_used_at: Some(Timestamp::from_millis(begin + 12 * 3_600_000 - 60_000)),
            ..stored(TokenKind::Session)
        };
        assert_eq!(used.end(), Timestamp::from_millis(begin + 12 * 3_600_000));
    }
}
