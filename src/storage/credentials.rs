//! Passwords and tokens of members.

use async_trait::async_trait;

use super::Result;
use crate::domain::{
    KeyDigest, Member, MemberNumber, MemberRef, OrganizationId, PasswordHash, StoredToken, Timestamp,
    TokenKind,
};

/// A token, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenHolder {
    pub organization: OrganizationId,
    pub token: StoredToken,
    /// Live, as it is now.
    pub member: Member,
}

/// Reads of passwords and tokens.
#[async_trait]
pub trait CredentialStore: Send + Sync {
    /// The token with this digest, over or not, of a live member of a live organization. It takes no organization, because
    /// it is what tells whose token it is.
    async fn token_by_digest(&self, digest: KeyDigest) -> Result<Option<TokenHolder>>;

    /// The live member that a reference names, and its password if it has one. One statement, whatever there is.
    async fn member_and_password(
        &self,
        organization: OrganizationId,
        member: &MemberRef,
    ) -> Result<Option<(Member, Option<PasswordHash>)>>;

    /// When the first of all tokens is over.
    async fn first_token_end(&self) -> Result<Option<Timestamp>>;
}

/// Changes of passwords and tokens.
#[async_trait]
pub trait CredentialWrites {
    /// The organization's token with this digest, over or not.
    async fn stored_token(
        &mut self,
        organization: OrganizationId,
        digest: KeyDigest,
    ) -> Result<Option<StoredToken>>;

    /// Adds a token.
    async fn insert_token(&mut self, organization: OrganizationId, token: &StoredToken) -> Result<()>;

    /// Removes a token. One that is gone is passed over.
    async fn remove_token(&mut self, organization: OrganizationId, digest: KeyDigest) -> Result<()>;

    /// Removes all tokens of a kind that a member has.
    async fn remove_tokens(
        &mut self,
        organization: OrganizationId,
        member: MemberNumber,
        kind: TokenKind,
    ) -> Result<()>;

    /// Removes those that were made before a moment.
    async fn remove_tokens_before(
        &mut self,
        organization: OrganizationId,
        member: MemberNumber,
        kind: TokenKind,
        before: Timestamp,
    ) -> Result<()>;

    /// Notes that a token was used, unless it was used later. One that is gone is passed over.
    async fn record_token_use(
        &mut self,
        organization: OrganizationId,
        digest: KeyDigest,
        at: Timestamp,
    ) -> Result<()>;

    /// Removes tokens that are over at this moment, of all organizations, at most `limit`, and returns how many.
    async fn remove_tokens_over(&mut self, now: Timestamp, limit: u32) -> Result<u64>;

    /// The password of a member.
    async fn stored_password(
        &mut self,
        organization: OrganizationId,
        member: MemberNumber,
    ) -> Result<Option<PasswordHash>>;

    /// Gives a member a password, in the place of the one it has.
    async fn save_password(
        &mut self,
        organization: OrganizationId,
        member: MemberNumber,
        hash: &PasswordHash,
        at: Timestamp,
    ) -> Result<()>;

    /// Removes the password of a member, if it has one.
    async fn remove_password(&mut self, organization: OrganizationId, member: MemberNumber) -> Result<()>;
}
