//! Responses that are kept for repeated requests.

use async_trait::async_trait;

use super::Result;
use crate::domain::{IdempotencyKey, KeptResponse, OrganizationId, Timestamp};

/// Reads of kept responses.
#[async_trait]
pub trait IdempotencyStore: Send + Sync {
    /// When the oldest one was given, of all organizations.
    async fn oldest_response(&self) -> Result<Option<Timestamp>>;
}

/// Changes of kept responses. Where the organization is None, those to requests about what belongs to none.
#[async_trait]
pub trait IdempotencyWrites {
    /// What is kept for the key, however old, and whatever the request was.
    async fn kept_response(
        &mut self,
        organization: Option<OrganizationId>,
        key: &IdempotencyKey,
    ) -> Result<Option<KeptResponse>>;

    /// Keeps a response in the place of what is kept for the key.
    async fn keep_response(
        &mut self,
        organization: Option<OrganizationId>,
        key: &IdempotencyKey,
        response: &[u8],
        at: Timestamp,
    ) -> Result<()>;

    /// Empties every response of an organization that has this text in it, with the digest of its request: who knows a
    /// person could find out by it that the request was about them. Reads all of the organization's kept responses.
    async fn erase_responses(&mut self, organization: OrganizationId, text: &str) -> Result<()>;

    /// Removes responses of this moment and before, of all organizations, the oldest first and at most `limit`, and
    /// returns how many.
    async fn remove_responses(&mut self, until: Timestamp, limit: u32) -> Result<u64>;
}
