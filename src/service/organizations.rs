//! Organizations, for operators.

use super::{
    Admin, Directory, Result,
    rules::{Transaction, live_organization, write_once},
};
use crate::domain::{
    Branding, Change, EventKind, Idempotency, Idempotent, Organization, OrganizationId, OrganizationName,
    OrganizationPatch, OrganizationRef, Page, PageRequest, Resource, Role, Slug, Subject, Team,
};

/// The role that staff get without one in an organization that has not said which.
const DEFAULT_ROLE: Role = Role::Viewer;

impl Directory {
    /// Makes an organization with its root team. Responses are kept with those of the deployment.
    ///
    /// # Errors
    ///
    /// [`crate::service::ServiceError::DeploymentKeyRequired`]. [`crate::domain::Conflict::Slug`]: a live organization has the slug.
    /// [`crate::domain::Precondition::IdempotencyKeyReused`].
    pub async fn create_organization(
        &self,
        grant: Admin,
        slug: Slug,
        name: OrganizationName,
        idempotency: Idempotency<Organization>,
    ) -> Result<Idempotent<Organization>> {
        grant.covers_all()?;
        let change = self.change(grant.author);
        let organization = Organization {
            id: OrganizationId::new(change.at, &*self.random)?,
            slug,
            name,
            default_role: DEFAULT_ROLE,
            retention_days: None,
            branding: Branding::default(),
            created_at: change.at,
            deleted_at: None,
        };
        let (at, input) = (change.at, (organization, change));
        write_once(
            &*self.storage,
            None,
            idempotency,
            at,
            input,
            |tx, (organization, change)| Box::pin(create_organization(tx, organization, change)),
        )
        .await
    }

    /// A live organization.
    ///
    /// # Errors
    ///
    /// [`Resource::Organization`].
    pub async fn organization(&self, grant: Admin, organization: OrganizationRef) -> Result<Organization> {
        let found = match organization {
            OrganizationRef::Id(id) => self.storage.organization(id).await?,
            OrganizationRef::Slug(slug) => self.storage.organization_by_slug(&slug).await?,
        };
        let found = found.filter(|found| grant.covers(found.id).is_ok());
        found.ok_or(Resource::Organization.into())
    }

    /// Live organizations in the order of their slugs, as far as the grant is about them.
    ///
    /// # Errors
    ///
    /// Only those of the storage.
    pub async fn organizations(&self, grant: Admin, page: PageRequest<Slug>) -> Result<Page<Organization>> {
        let limit = page.limit;
        let Some(own) = grant.organization else {
            let all = self.storage.organizations(page.and_one_more());
            return Ok(Page::of(all.await?, limit));
        };
        let own = self.storage.organization(own).await?;
        let is_on_page = |own: &Organization| page.after.as_ref().is_none_or(|after| own.slug > *after);
        Ok(Page::of(own.filter(is_on_page).into_iter().collect(), limit))
    }

    /// Changes an organization and returns it. A patch that changes nothing has no event.
    ///
    /// # Errors
    ///
    /// [`Resource::Organization`]. [`crate::domain::Conflict::Slug`].
    pub async fn update_organization(
        &self,
        grant: Admin,
        organization: OrganizationId,
        patch: OrganizationPatch,
    ) -> Result<Organization> {
        grant.covers(organization)?;
        let input = (organization, patch, self.change(grant.author));
        self.storage
            .write(organization, input, |tx, (organization, patch, change)| {
                Box::pin(update_organization(tx, *organization, patch, change))
            })
            .await
    }

    /// Ends an organization: its keys are dead at once, its slug is free, its rows stay.
    ///
    /// # Errors
    ///
    /// [`Resource::Organization`].
    pub async fn delete_organization(&self, grant: Admin, organization: OrganizationId) -> Result<()> {
        grant.covers(organization)?;
        let input = (organization, self.change(grant.author));
        self.storage
            .write(organization, input, |tx, (organization, change)| {
                Box::pin(delete_organization(tx, *organization, change))
            })
            .await
    }
}

/// The rule of [`Directory::create_organization`].
///
/// # Errors
///
/// As there.
pub async fn create_organization(
    tx: &mut dyn Transaction,
    organization: &Organization,
    change: &Change,
) -> Result<Organization> {
    let id = organization.id;
    tx.insert_organization(organization).await?;
    let root = Team::root(tx.next_team_number(id).await?, change.at);
    tx.insert_team(id, &root).await?;
    let (kind, fields) = (EventKind::OrganizationCreated, ["slug", "name"]);
    tx.append_event(Some(id), kind, Subject::Organization, &fields, change)
        .await?;
    Ok(organization.clone())
}

/// The rule of [`Directory::update_organization`].
///
/// # Errors
///
/// As there.
pub async fn update_organization(
    tx: &mut dyn Transaction,
    organization: OrganizationId,
    patch: &OrganizationPatch,
    change: &Change,
) -> Result<Organization> {
    let before = live_organization(tx, organization).await?;
    let after = patch.clone().apply(before.clone());
    save(tx, before, after, EventKind::OrganizationUpdated, change).await
}

/// The rule of [`Directory::delete_organization`].
///
/// # Errors
///
/// As there.
pub async fn delete_organization(
    tx: &mut dyn Transaction,
    organization: OrganizationId,
    change: &Change,
) -> Result<()> {
    let before = live_organization(tx, organization).await?;
    let after = Organization {
        deleted_at: Some(change.at),
        ..before.clone()
    };
    // A dead organization has no live key: so nothing else need ask whether it lives.
    tx.revoke_api_keys(organization, change.at).await?;
    save(tx, before, after, EventKind::OrganizationDeleted, change).await?;
    Ok(())
}

async fn save(
    tx: &mut dyn Transaction,
    before: Organization,
    after: Organization,
    kind: EventKind,
    change: &Change,
) -> Result<Organization> {
    let fields = Organization::changes(&before, &after);
    if !fields.is_empty() {
        tx.save_organization(&after).await?;
        tx.append_event(Some(after.id), kind, Subject::Organization, &fields, change)
            .await?;
    }
    Ok(after)
}
