//! Organizations, for operators.

use super::{Admin, Directory, ServiceError};
use crate::{
    domain::{Organization, OrganizationId, OrganizationName, Page, Role, Slug},
    storage::{Answer, Missing, Once, OrganizationPatch},
};

/// The role that staff get without one in an organization that has not said which.
const DEFAULT_ROLE: Role = Role::Viewer;

/// One way to name an organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrganizationKey {
    /// Its id.
    Id(OrganizationId),
    /// Its handle.
    Slug(Slug),
}

impl Directory {
    /// Makes an organization.
    ///
    /// # Errors
    ///
    /// [`ServiceError::DeploymentKeyRequired`]. As [`crate::storage::OrganizationStore::create_organization`] says.
    pub async fn create_organization(
        &self,
        grant: Admin,
        slug: Slug,
        name: OrganizationName,
        once: Once<Organization>,
    ) -> Result<Answer<Organization>, ServiceError> {
        grant.covers_all()?;
        let change = self.change(grant.actor);
        let organization = Organization {
            id: OrganizationId::new(change.at, &*self.random)?,
            slug,
            name,
            default_role: DEFAULT_ROLE,
            retention_days: None,
            created_at: change.at,
        };
        Ok(self
            .storage
            .create_organization(organization, once, change)
            .await?)
    }

    /// A live organization.
    ///
    /// # Errors
    ///
    /// [`Missing::Organization`].
    pub async fn organization(
        &self,
        grant: Admin,
        key: OrganizationKey,
    ) -> Result<Organization, ServiceError> {
        let found = match key {
            OrganizationKey::Id(id) => self.storage.organization(id).await?,
            OrganizationKey::Slug(slug) => self.storage.organization_by_slug(&slug).await?,
        };
        found
            .filter(|found| grant.covers(found.id).is_ok())
            .ok_or(ServiceError::NotFound(Missing::Organization))
    }

    /// Live organizations in the order of their slugs, as far as the grant is about them.
    ///
    /// # Errors
    ///
    /// Only those of the storage.
    pub async fn organizations(
        &self,
        grant: Admin,
        page: Page<Slug>,
    ) -> Result<Vec<Organization>, ServiceError> {
        let Some(own) = grant.organization else {
            return Ok(self.storage.organizations(page).await?);
        };
        let own = self.storage.organization(own).await?;
        let is_on_page = |own: &Organization| page.after.as_ref().is_none_or(|after| own.slug > *after);
        Ok(own.filter(is_on_page).into_iter().collect())
    }

    /// Changes an organization.
    ///
    /// # Errors
    ///
    /// As [`crate::storage::OrganizationStore::update_organization`] says.
    pub async fn update_organization(
        &self,
        grant: Admin,
        organization: OrganizationId,
        patch: OrganizationPatch,
    ) -> Result<Organization, ServiceError> {
        grant.covers(organization)?;
        let change = self.change(grant.actor);
        Ok(self
            .storage
            .update_organization(organization, patch, change)
            .await?)
    }

    /// Ends an organization. Its keys are dead at once; its rows stay.
    ///
    /// # Errors
    ///
    /// [`Missing::Organization`].
    pub async fn delete_organization(
        &self,
        grant: Admin,
        organization: OrganizationId,
    ) -> Result<(), ServiceError> {
        grant.covers(organization)?;
        if self
            .storage
            .delete_organization(organization, self.change(grant.actor))
            .await?
        {
            Ok(())
        } else {
            Err(ServiceError::NotFound(Missing::Organization))
        }
    }
}
