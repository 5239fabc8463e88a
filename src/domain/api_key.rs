//! API keys: secrets with scopes, each bound to one organization.

use std::{fmt, io, str::FromStr};

use sha2::{Digest as _, Sha256};

use super::{
    ApiKeyId, OrganizationId, Random, Timestamp, UnknownName, event::changed, names::names,
    random::secret_text,
};

names! {
    /// What a key may do. Sets of them are listed in this order.
    Scope, "unknown scope; there are public_api, directory.read, directory.write and admin",
    /// The published contract, for the key's own organization. At most one such key is current at a time.
    PublicApi = "public_api",
    /// Reading the directory.
    DirectoryRead = "directory.read",
    /// Changing the directory.
    DirectoryWrite = "directory.write",
    /// Managing organizations and keys.
    Admin = "admin",
}

/// A set of scopes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scopes {
    /// Whether the scope is one of them.
    #[must_use]
    pub const fn contains(self, scope: Scope) -> bool {
        self.0 & (1 << scope as u8) != 0
    }

    /// Those it has, in the order of [`Scope::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL
            .iter()
            .copied()
            .filter(move |scope| self.contains(*scope))
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | 1 << scope as u8))
    }
}

/// Names with single spaces between them, as OAuth writes scopes (RFC 6749 §3.3).
impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.iter().map(Scope::as_str).collect();
        f.write_str(&names.join(" "))
    }
}

impl FromStr for Scopes {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split_whitespace().map(str::parse).collect()
    }
}

/// The secret half of a key: a readable prefix and 32 random bytes in URL-safe base64, 46 characters in all.
///
/// It exists only while it is made and shown. What is kept is its [`KeyDigest`].
pub struct ApiKeySecret(String);

impl ApiKeySecret {
    /// Every key begins with this, so that people and secret scanners know one when they see it.
    const PREFIX: &'static str = "pb_";

    /// A new secret.
    ///
    /// # Errors
    ///
    /// There is no randomness to be had.
    pub fn generate(random: &dyn Random) -> io::Result<Self> {
        Ok(Self(secret_text(Self::PREFIX, random)?))
    }

    /// What is stored in its place.
    #[must_use]
    pub fn digest(&self) -> KeyDigest {
        KeyDigest::of(&self.0)
    }

    /// The secret itself, to be shown to its owner once.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The first characters, kept to tell keys apart in a list. They give away 30 of 256 random bits.
    #[must_use]
    pub fn hint(&self) -> &str {
        self.0.get(..Self::PREFIX.len() + 5).unwrap_or_default()
    }
}

impl fmt::Debug for ApiKeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKeySecret(..)")
    }
}

/// The SHA-256 digest by which a key or a token is found. A fast hash is right here: the secret has 256 random bits, so
/// there is nothing to guess.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyDigest([u8; 32]);

impl KeyDigest {
    /// The digest of what a caller presented, whatever it is.
    #[must_use]
    pub fn of(presented: &str) -> Self {
        Self(Sha256::digest(presented).into())
    }

    /// The digest that was stored.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyDigest(..)")
    }
}

/// A key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    pub id: ApiKeyId,
    /// The one organization it speaks for. None: it speaks for all, and each call names one.
    pub organization_id: Option<OrganizationId>,
    /// What it may do.
    pub scopes: Scopes,
    /// The first characters of the secret.
    pub hint: String,
    pub created_at: Timestamp,
    /// From then on it is dead.
    pub expires_at: Option<Timestamp>,
    /// When it got a successor, or gave up its place as the organization's public key because it had expired.
    pub superseded_at: Option<Timestamp>,
    /// When it was revoked; dead since.
    pub revoked_at: Option<Timestamp>,
    /// When it was last used, within an hour.
    pub last_used_at: Option<Timestamp>,
}

impl ApiKey {
    /// Whether it opens anything at this moment.
    #[must_use]
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }

    /// Names of the fields that have another value than before: what the event of a change says. That it was superseded
    /// is told by the event itself.
    #[must_use]
    pub fn changes(before: &Self, after: &Self) -> Vec<&'static str> {
        changed([
            ("expires_at", before.expires_at != after.expires_at),
            ("revoked_at", before.revoked_at != after.revoked_at),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::OsRandom;

    #[test]
    fn a_secret_is_pb_and_43_url_safe_characters() {
        let secret = ApiKeySecret::generate(&OsRandom).unwrap();
        let random = secret.reveal().strip_prefix("pb_").unwrap();
        assert_eq!(random.len(), 43);
        assert!(
            random
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        );
        assert_ne!(
            secret.reveal(),
            ApiKeySecret::generate(&OsRandom).unwrap().reveal()
        );
    }

    #[test]
    fn neither_a_secret_nor_its_digest_prints_itself() {
        let secret = ApiKeySecret::generate(&OsRandom).unwrap();
        assert_eq!(
            format!("{secret:?} {:?}", secret.digest()),
            "ApiKeySecret(..) KeyDigest(..)"
        );
    }

    #[test]
    fn scopes_read_what_they_print() {
        let scopes: Scopes = [Scope::Admin, Scope::PublicApi].into_iter().collect();
        assert_eq!(scopes.to_string(), "public_api admin");
        assert_eq!("public_api admin".parse(), Ok(scopes));
        assert!("public_api root".parse::<Scopes>().is_err());
        assert!(!scopes.contains(Scope::DirectoryRead));
    }
}
