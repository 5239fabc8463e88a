//! Organizations.

use async_trait::async_trait;

use super::{Answer, Change, Once, StoreError};
use crate::domain::{Organization, OrganizationId, OrganizationName, Page, Role, Slug};

/// New values for some fields of an organization. None leaves a field as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrganizationPatch {
    /// Handle.
    pub slug: Option<Slug>,
    /// Name.
    pub name: Option<OrganizationName>,
    /// The role that somebody gets who is linked as staff without one.
    pub default_role: Option<Role>,
    /// `Some(None)`: never erase.
    pub retention_days: Option<Option<u16>>,
}

impl OrganizationPatch {
    /// Changes the organization and returns the names of the fields that have another value now.
    pub fn apply(self, organization: &mut Organization) -> Vec<&'static str> {
        let mut changed = Vec::new();
        set(&mut organization.slug, self.slug, "slug", &mut changed);
        set(&mut organization.name, self.name, "name", &mut changed);
        set(
            &mut organization.default_role,
            self.default_role,
            "default_role",
            &mut changed,
        );
        set(
            &mut organization.retention_days,
            self.retention_days,
            "retention_days",
            &mut changed,
        );
        changed
    }
}

fn set<T: PartialEq>(field: &mut T, value: Option<T>, name: &'static str, changed: &mut Vec<&'static str>) {
    if let Some(value) = value.filter(|value| value != field) {
        *field = value;
        changed.push(name);
    }
}

/// Organizations.
#[async_trait]
pub trait OrganizationStore: Send + Sync {
    /// Adds an organization and its root team. A token's answers are kept with those of the deployment.
    ///
    /// # Errors
    ///
    /// [`super::Conflict::Slug`]: a live organization has the slug. [`super::Precondition::IdempotencyKeyReused`].
    async fn create_organization(
        &self,
        organization: Organization,
        once: Once<Organization>,
        change: Change,
    ) -> Result<Answer<Organization>, StoreError>;

    /// The live organization with this id.
    async fn organization(&self, organization: OrganizationId) -> Result<Option<Organization>, StoreError>;

    /// The live organization with this slug.
    async fn organization_by_slug(&self, slug: &Slug) -> Result<Option<Organization>, StoreError>;

    /// Live organizations in the order of their slugs.
    async fn organizations(&self, page: Page<Slug>) -> Result<Vec<Organization>, StoreError>;

    /// Changes an organization and returns it. A patch that changes nothing has no event.
    ///
    /// # Errors
    ///
    /// [`super::Missing::Organization`]. [`super::Conflict::Slug`].
    async fn update_organization(
        &self,
        organization: OrganizationId,
        patch: OrganizationPatch,
        change: Change,
    ) -> Result<Organization, StoreError>;

    /// Ends an organization: its keys are dead at once, its slug is free, its rows stay. False: there was none.
    async fn delete_organization(
        &self,
        organization: OrganizationId,
        change: Change,
    ) -> Result<bool, StoreError>;
}
