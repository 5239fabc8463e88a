//! API keys.

use async_trait::async_trait;

use super::Result;
use crate::domain::{ApiKey, ApiKeyId, KeyDigest, OrganizationId, PageRequest, Timestamp};

/// Reads of API keys. Where the organization is None, keys that are bound to none.
#[async_trait]
pub trait ApiKeyStore: Send + Sync {
    /// One key, dead or alive.
    async fn api_key(&self, organization: Option<OrganizationId>, key: ApiKeyId) -> Result<Option<ApiKey>>;

    /// Keys in the order they were made, dead ones too.
    async fn api_keys(
        &self,
        organization: Option<OrganizationId>,
        page: PageRequest<ApiKeyId>,
    ) -> Result<Vec<ApiKey>>;

    /// The key with this digest, dead or alive; a key of a deleted organization is revoked. It takes no organization,
    /// because it is what tells whose key it is.
    async fn api_key_by_digest(&self, digest: KeyDigest) -> Result<Option<ApiKey>>;
}

/// Changes of API keys. Where the organization is None, of keys that are bound to none.
#[async_trait]
pub trait ApiKeyWrites {
    /// One key, dead or alive.
    async fn stored_api_key(
        &mut self,
        organization: Option<OrganizationId>,
        key: ApiKeyId,
    ) -> Result<Option<ApiKey>>;

    /// The key with the scope `public_api` that is neither revoked nor superseded. It may have expired.
    async fn current_public_key(&mut self, organization: OrganizationId) -> Result<Option<ApiKey>>;

    /// Adds a key to its organization.
    ///
    /// # Errors
    ///
    /// [`crate::domain::Conflict::PublicKey`]: the organization would have two current ones.
    async fn insert_api_key(&mut self, key: &ApiKey, digest: KeyDigest) -> Result<()>;

    /// Replaces the times of a key's end.
    async fn save_api_key(&mut self, key: &ApiKey) -> Result<()>;

    /// Revokes every key of an organization that is not revoked.
    async fn revoke_api_keys(&mut self, organization: OrganizationId, at: Timestamp) -> Result<()>;

    /// Notes that a key was used, unless a later time is noted that is not ahead of now. A key that is gone is passed over.
    async fn record_key_use(
        &mut self,
        organization: Option<OrganizationId>,
        key: ApiKeyId,
        at: Timestamp,
        now: Timestamp,
    ) -> Result<()>;
}
