//! Why the directory refuses to do something, in words that every layer shares.

use thiserror::Error;

/// A rule of uniqueness that a change would have broken.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Conflict {
    /// A live organization has the slug.
    #[error("an organization with this slug exists already")]
    Slug,
    /// The organization has a current key with the scope `public_api`.
    #[error("the organization has a public API key already; rotate or revoke it")]
    PublicKey,
    /// A live member of the organization has the user, the address or the external id.
    #[error("the user, the address or the external id belongs to another member already")]
    Member,
    /// A team of the organization has the slug.
    #[error("a team with this key exists already")]
    Team,
}

/// What can be missing.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Resource {
    #[error("organization not found")]
    Organization,
    /// A user, or a live member that is this user.
    #[error("user not found")]
    User,
    #[error("member not found")]
    Member,
    #[error("team not found")]
    Team,
    /// A key, or one that can still be used for this.
    #[error("API key not found")]
    ApiKey,
}

/// A state in which a change is not allowed.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Precondition {
    /// It is the last enabled owner of its organization.
    #[error("the last enabled owner of an organization stays")]
    LastOwner,
    /// It is an end user or staff, and would be neither.
    #[error("a live member has a portal role or a role")]
    LastFacet,
    /// It was revoked longer ago than the organization keeps.
    #[error("the time in which the member could be restored has passed")]
    RetentionPassed,
    /// Its personal data was removed.
    #[error("the member's data has been erased")]
    MemberErased,
    #[error("the member is not revoked")]
    MemberNotRevoked,
    /// The root team can't be removed.
    #[error("the root team can't be removed")]
    RootTeam,
    /// It is a password that is tried first, or what everybody knows of the member.
    #[error("the password is too common")]
    PasswordTooCommon,
    /// It has no address that a mail could go to.
    #[error("the member has no address")]
    NoEmail,
    /// The idempotency key was used for another request.
    #[error("the idempotency key was used for another request")]
    IdempotencyKeyReused,
}
