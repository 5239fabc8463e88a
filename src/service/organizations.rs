//! Organizations, for operators.

use super::{Directory, ServiceError};
use crate::domain::{Actor, Organization, OrganizationId, OrganizationName, Page, Slug};

impl Directory {
    /// Makes an organization.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Conflict`]: the slug is taken.
    pub async fn create_organization(
        &self,
        slug: Slug,
        name: OrganizationName,
        actor: Actor,
    ) -> Result<Organization, ServiceError> {
        let change = self.change(actor);
        let id = OrganizationId::new(change.at, &*self.random)?;
        let organization = Organization {
            id,
            slug,
            name,
            created_at: change.at,
        };
        self.storage
            .create_organization(organization.clone(), change)
            .await?;
        Ok(organization)
    }

    /// The live organization with this slug.
    ///
    /// # Errors
    ///
    /// [`ServiceError::OrganizationNotFound`].
    pub async fn organization(&self, slug: &Slug) -> Result<Organization, ServiceError> {
        self.storage
            .organization_by_slug(slug)
            .await?
            .ok_or(ServiceError::OrganizationNotFound)
    }

    /// Live organizations in the order of their slugs.
    ///
    /// # Errors
    ///
    /// Only those of the storage.
    pub async fn organizations(&self, page: Page<Slug>) -> Result<Vec<Organization>, ServiceError> {
        Ok(self.storage.organizations(page).await?)
    }

    /// Ends an organization. Its keys are dead at once; its rows stay.
    ///
    /// # Errors
    ///
    /// [`ServiceError::OrganizationNotFound`].
    pub async fn delete_organization(&self, slug: &Slug, actor: Actor) -> Result<Organization, ServiceError> {
        let organization = self.organization(slug).await?;
        if self
            .storage
            .delete_organization(organization.id, self.change(actor))
            .await?
        {
            Ok(organization)
        } else {
            Err(ServiceError::OrganizationNotFound)
        }
    }
}
