//! API keys.

use async_trait::async_trait;

use super::{Answer, Change, Once, StoreError};
use crate::domain::{ApiKey, ApiKeyId, KeyDigest, OrganizationId, Page, Timestamp};

/// A key to be stored.
#[derive(Clone, Debug)]
pub struct NewApiKey {
    /// All but the secret. The organization of the method's first argument counts, not this one's.
    pub key: ApiKey,
    /// What it is found by.
    pub digest: KeyDigest,
}

/// API keys. Where the organization is None, keys that are bound to none.
#[async_trait]
pub trait ApiKeyStore: Send + Sync {
    /// Adds a key. One that has expired by the time of the change no longer counts as the current public key.
    ///
    /// # Errors
    ///
    /// [`super::Conflict::PublicKey`]: it has the scope `public_api`, and the organization has a current key that has
    /// it. [`super::Missing::Organization`]. [`super::Precondition::IdempotencyKeyReused`].
    async fn create_api_key(
        &self,
        organization: Option<OrganizationId>,
        key: NewApiKey,
        once: Once<ApiKey>,
        change: Change,
    ) -> Result<Answer<ApiKey>, StoreError>;

    /// Puts a new key in the place of an old one, which lives on until `old_expires_at` and no longer than it would
    /// have, and returns the new one.
    ///
    /// # Errors
    ///
    /// [`super::Missing::ApiKey`]: there is no such key, or it is revoked, expired, or has a successor already.
    /// [`super::Precondition::IdempotencyKeyReused`].
    async fn rotate_api_key(
        &self,
        organization: Option<OrganizationId>,
        old: ApiKeyId,
        old_expires_at: Timestamp,
        new: NewApiKey,
        once: Once<ApiKey>,
        change: Change,
    ) -> Result<Answer<ApiKey>, StoreError>;

    /// Kills a key at once. False: there is no such key, or it was revoked before.
    async fn revoke_api_key(
        &self,
        organization: Option<OrganizationId>,
        key: ApiKeyId,
        change: Change,
    ) -> Result<bool, StoreError>;

    /// One key, dead or alive.
    async fn api_key(
        &self,
        organization: Option<OrganizationId>,
        key: ApiKeyId,
    ) -> Result<Option<ApiKey>, StoreError>;

    /// Keys in the order they were made, dead ones too.
    async fn api_keys(
        &self,
        organization: Option<OrganizationId>,
        page: Page<ApiKeyId>,
    ) -> Result<Vec<ApiKey>, StoreError>;

    /// The key with this digest, dead or alive; a key of a deleted organization is revoked. It takes no organization,
    /// because it is what tells whose key it is.
    async fn api_key_by_digest(&self, digest: KeyDigest) -> Result<Option<ApiKey>, StoreError>;

    /// Notes when keys were last used. It is no change: it has no event. Keys that are gone are passed over.
    async fn record_key_use(
        &self,
        uses: Vec<(Option<OrganizationId>, ApiKeyId, Timestamp)>,
    ) -> Result<(), StoreError>;
}
