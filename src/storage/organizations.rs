//! Organizations.

use async_trait::async_trait;

use super::Result;
use crate::domain::{Organization, OrganizationId, PageRequest, Slug};

/// Reads of organizations.
#[async_trait]
pub trait OrganizationStore: Send + Sync {
    /// The live organization with this id.
    async fn organization(&self, organization: OrganizationId) -> Result<Option<Organization>>;

    /// The live organization with this slug.
    async fn organization_by_slug(&self, slug: &Slug) -> Result<Option<Organization>>;

    /// Live organizations in the order of their slugs.
    async fn organizations(&self, page: PageRequest<Slug>) -> Result<Vec<Organization>>;
}

/// Changes of organizations.
#[async_trait]
pub trait OrganizationWrites {
    /// The organization with this id, deleted ones too.
    async fn stored_organization(&mut self, organization: OrganizationId) -> Result<Option<Organization>>;

    /// Adds an organization, with counters that begin at 0.
    ///
    /// # Errors
    ///
    /// [`crate::domain::Conflict::Slug`]: a live organization has the slug.
    async fn insert_organization(&mut self, organization: &Organization) -> Result<()>;

    /// Replaces all but the id and the time when it was made.
    ///
    /// # Errors
    ///
    /// As [`Self::insert_organization`].
    async fn save_organization(&mut self, organization: &Organization) -> Result<()>;
}
