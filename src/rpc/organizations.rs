//! `userbridge.admin.v1.OrganizationService`.

use prost::Message as _;
use prost_types::FieldMask;
use tonic::{Request, Response};

use super::{
    DirectoryCell, Reply, idempotency,
    members::{role, role_of},
    page::List,
    proto::userbridge::admin::v1 as pb,
    time::timestamp,
    violations::{Violations, valid},
};
use crate::domain::{
    Branding, Email, Idempotency, Locale, LogoUrl, Organization, OrganizationName, OrganizationPatch,
    OrganizationRef, Slug,
};

/// The longest retention time, in days.
const MAX_RETENTION_DAYS: u16 = 36_500;

/// The fields that a mask may name.
const MUTABLE: [&str; 8] = [
    "slug",
    "name",
    "default_role",
    "retention_days",
    "branding.name",
    "branding.logo_url",
    "branding.sender",
    "branding.locale",
];

#[tonic::async_trait]
impl pb::organization_service_server::OrganizationService for DirectoryCell {
    async fn create_organization(
        &self,
        request: Request<pb::CreateOrganizationRequest>,
    ) -> Reply<pb::CreateOrganizationResponse> {
        let (directory, grant) = self.admin(&request)?;
        let mut violations = Violations::default();
        let key = idempotency::key(&request, grant.actor(), "CreateOrganization", &mut violations);
        let pb::CreateOrganizationRequest { slug, name } = request.into_inner();
        let name = Some(name).filter(|name| !name.is_empty());
        let name = violations.check_optional("name", name, OrganizationName::new);
        let slug = violations.check("slug", Slug::new(slug));
        let (slug, name) = violations.finish(slug.zip(name))?;
        let name = name.unwrap_or_else(|| OrganizationName::from(&slug));
        let idempotency = Idempotency {
            key,
            encode: |value: &Organization| created(value.clone()).encode_to_vec(),
        };
        let outcome = directory
            .create_organization(grant, slug, name, idempotency)
            .await?;
        idempotency::response(outcome, created)
    }

    async fn get_organization(
        &self,
        request: Request<pb::GetOrganizationRequest>,
    ) -> Reply<pb::GetOrganizationResponse> {
        use pb::get_organization_request::By;
        let (directory, grant) = self.admin(&request)?;
        let by = valid(|violations| match request.into_inner().by {
            Some(By::Id(id)) => violations.id("id", &id).map(OrganizationRef::Id),
            Some(By::Slug(slug)) => violations
                .check("slug", Slug::new(slug))
                .map(OrganizationRef::Slug),
            None => violations.check("by", Err("one of id and slug is required")),
        })?;
        let found = directory.organization(grant, by).await?;
        Ok(Response::new(pb::GetOrganizationResponse {
            organization: Some(organization(found)),
        }))
    }

    async fn list_organizations(
        &self,
        request: Request<pb::ListOrganizationsRequest>,
    ) -> Reply<pb::ListOrganizationsResponse> {
        let (directory, grant) = self.admin(&request)?;
        let list = List::of(
            "ListOrganizations",
            grant.organization(),
            &mut request.into_inner(),
        );
        let page = valid(|violations| Some(list.page::<Slug>(violations)))?;
        let organizations = directory.organizations(grant, page).await?;
        Ok(Response::new(pb::ListOrganizationsResponse {
            next_page_token: list.next(organizations.end().map(|last| last.slug.as_str())),
            organizations: organizations.items.into_iter().map(organization).collect(),
        }))
    }

    async fn update_organization(
        &self,
        request: Request<pb::UpdateOrganizationRequest>,
    ) -> Reply<pb::UpdateOrganizationResponse> {
        let (directory, grant) = self.admin(&request)?;
        let request = request.into_inner();
        let (id, patch) = valid(|violations| {
            let id = violations.id("id", &request.id);
            let values = request.organization.unwrap_or_default();
            id.zip(Some(patch(values, request.update_mask, violations)))
        })?;
        let updated = directory.update_organization(grant, id, patch).await?;
        Ok(Response::new(pb::UpdateOrganizationResponse {
            organization: Some(organization(updated)),
        }))
    }

    async fn delete_organization(
        &self,
        request: Request<pb::DeleteOrganizationRequest>,
    ) -> Reply<pb::DeleteOrganizationResponse> {
        let (directory, grant) = self.admin(&request)?;
        let id = valid(|violations| violations.id("id", &request.get_ref().id))?;
        directory.delete_organization(grant, id).await?;
        Ok(Response::new(pb::DeleteOrganizationResponse {}))
    }
}

/// What a mask names, with the values of the message. Violations are noted; then the patch is not to be used.
fn patch(
    values: pb::Organization,
    mask: Option<FieldMask>,
    violations: &mut Violations,
) -> OrganizationPatch {
    let paths = violations.mask(mask, &MUTABLE);
    let named = |field: &str| paths.iter().any(|path| path == field);
    let mut patch = OrganizationPatch::default();
    if named("slug") {
        patch.slug = violations.check("organization.slug", Slug::new(values.slug));
    }
    if named("name") {
        patch.name = violations.check("organization.name", OrganizationName::new(values.name));
    }
    if named("default_role") {
        patch.default_role = role_of(violations, "organization.default_role", values.default_role);
        if values.default_role == 0 {
            violations.add("organization.default_role", "must be a role");
        }
    }
    if named("retention_days") {
        let days = values.retention_days;
        patch.retention_days = violations.check_optional("organization.retention_days", days, retention_days);
    }
    let branding = values.branding.unwrap_or_default();
    if named("branding.name") {
        let name = branding.name;
        patch.branding.name =
            violations.check_optional("organization.branding.name", name, OrganizationName::new);
    }
    if named("branding.logo_url") {
        let url = branding.logo_url;
        patch.branding.logo_url =
            violations.check_optional("organization.branding.logo_url", url, LogoUrl::new);
    }
    if named("branding.sender") {
        let sender = branding.sender;
        patch.branding.sender = violations.check_optional("organization.branding.sender", sender, Email::new);
    }
    if named("branding.locale") {
        let locale = branding.locale;
        patch.branding.locale =
            violations.check_optional("organization.branding.locale", locale, Locale::new);
    }
    patch
}

fn retention_days(days: i32) -> Result<u16, String> {
    u16::try_from(days)
        .ok()
        .filter(|days| (1..=MAX_RETENTION_DAYS).contains(days))
        .ok_or_else(|| format!("must be 1 to {MAX_RETENTION_DAYS}"))
}

fn created(value: Organization) -> pb::CreateOrganizationResponse {
    pb::CreateOrganizationResponse {
        organization: Some(organization(value)),
    }
}

fn organization(organization: Organization) -> pb::Organization {
    pb::Organization {
        id: organization.id.to_string(),
        slug: organization.slug.into(),
        name: organization.name.into(),
        default_role: role(Some(organization.default_role)).into(),
        retention_days: organization.retention_days.map(i32::from),
        created_at: Some(timestamp(organization.created_at)),
        branding: Some(branding(organization.branding)),
    }
}

fn branding(branding: Branding) -> pb::Branding {
    pb::Branding {
        name: branding.name.map(Into::into),
        logo_url: branding.logo_url.map(Into::into),
        sender: branding.sender.map(Into::into),
        locale: branding.locale.map(Into::into),
    }
}
