//! `userbridge.admin.v1.OrganizationService`.

use prost::Message as _;
use prost_types::FieldMask;
use tonic::{Request, Response, Status};

use super::{
    DirectoryCell, auth,
    members::{role, role_of},
    page::List,
    proto::userbridge::admin::v1 as pb,
    time::timestamp,
    violations::Violations,
};
use crate::domain::{
    Idempotency, Idempotent, Organization, OrganizationId, OrganizationName, OrganizationPatch,
    OrganizationRef, PageRequest, Slug,
};

/// The longest retention time, in days.
const MAX_RETENTION_DAYS: u16 = 36_500;

/// The fields that a mask may name.
const MUTABLE: [&str; 4] = ["slug", "name", "default_role", "retention_days"];

/// The tenants.
pub(super) struct Organizations {
    directory: DirectoryCell,
}

impl Organizations {
    pub(super) const fn new(directory: DirectoryCell) -> Self {
        Self { directory }
    }
}

#[tonic::async_trait]
impl pb::organization_service_server::OrganizationService for Organizations {
    async fn create_organization(
        &self,
        request: Request<pb::CreateOrganizationRequest>,
    ) -> Result<Response<pb::CreateOrganizationResponse>, Status> {
        let directory = self.directory.get()?;
        let grant = auth::admin(directory, &request)?;
        let mut violations = Violations::default();
        let token = auth::token(
            request.metadata(),
            grant.actor(),
            "CreateOrganization",
            request.get_ref(),
            &mut violations,
        );
        let pb::CreateOrganizationRequest { slug, name } = request.into_inner();
        // A slug keeps all the rules of a name, and is named where it does not.
        let name = if name.is_empty() {
            OrganizationName::new(slug.clone()).ok()
        } else {
            violations.check("name", OrganizationName::new(name))
        };
        let slug = violations.check("slug", Slug::new(slug));
        let (slug, name) = violations.finish(slug.zip(name))?;
        let once = Idempotency {
            key: token,
            encode: |value: &Organization| created(value.clone()).encode_to_vec(),
        };
        let response = match directory.create_organization(grant, slug, name, once).await? {
            Idempotent::Fresh(value) => created(value),
            Idempotent::Replayed(answer) => auth::repeated(&answer)?,
        };
        Ok(Response::new(response))
    }

    async fn get_organization(
        &self,
        request: Request<pb::GetOrganizationRequest>,
    ) -> Result<Response<pb::GetOrganizationResponse>, Status> {
        use pb::get_organization_request::By;
        let directory = self.directory.get()?;
        let grant = auth::admin(directory, &request)?;
        let mut violations = Violations::default();
        let key = match request.into_inner().by {
            Some(By::Id(id)) => violations.id("id", &id).map(OrganizationRef::Id),
            Some(By::Slug(slug)) => violations
                .check("slug", Slug::new(slug))
                .map(OrganizationRef::Slug),
            None => {
                violations.add("by", "one of id and slug is required");
                None
            }
        };
        let found = directory.organization(grant, violations.finish(key)?).await?;
        Ok(Response::new(pb::GetOrganizationResponse {
            organization: Some(organization(found)),
        }))
    }

    async fn list_organizations(
        &self,
        request: Request<pb::ListOrganizationsRequest>,
    ) -> Result<Response<pb::ListOrganizationsResponse>, Status> {
        let directory = self.directory.get()?;
        let grant = auth::admin(directory, &request)?;
        let pb::ListOrganizationsRequest {
            page_size,
            page_token,
        } = request.into_inner();
        let list = List::new(
            "ListOrganizations",
            grant.organization(),
            &pb::ListOrganizationsRequest::default(),
        );
        let mut violations = Violations::default();
        let limit = violations.page_size(page_size);
        let after: Option<String> = list.cursor(&page_token, &mut violations);
        let after = violations.check_optional("page_token", after, Slug::new);
        let after = violations.finish(after)?;
        let organizations = directory
            .organizations(grant, PageRequest { after, limit })
            .await?;
        let next = organizations.end().map(|last| list.token(&last.slug.as_str()));
        Ok(Response::new(pb::ListOrganizationsResponse {
            organizations: organizations.items.into_iter().map(organization).collect(),
            next_page_token: next.unwrap_or_default(),
        }))
    }

    async fn update_organization(
        &self,
        request: Request<pb::UpdateOrganizationRequest>,
    ) -> Result<Response<pb::UpdateOrganizationResponse>, Status> {
        let directory = self.directory.get()?;
        let grant = auth::admin(directory, &request)?;
        let request = request.into_inner();
        let mut violations = Violations::default();
        let id = violations.id::<OrganizationId>("id", &request.id);
        let patch = patch(
            request.organization.unwrap_or_default(),
            request.update_mask,
            &mut violations,
        );
        let (id, patch) = violations.finish(id.map(|id| (id, patch)))?;
        let updated = directory.update_organization(grant, id, patch).await?;
        Ok(Response::new(pb::UpdateOrganizationResponse {
            organization: Some(organization(updated)),
        }))
    }

    async fn delete_organization(
        &self,
        request: Request<pb::DeleteOrganizationRequest>,
    ) -> Result<Response<pb::DeleteOrganizationResponse>, Status> {
        let directory = self.directory.get()?;
        let grant = auth::admin(directory, &request)?;
        let mut violations = Violations::default();
        let id = violations.id("id", &request.get_ref().id);
        directory
            .delete_organization(grant, violations.finish(id)?)
            .await?;
        Ok(Response::new(pb::DeleteOrganizationResponse {}))
    }
}

/// What a mask names, with the values of the message. Violations are noted; then the patch is not to be used.
fn patch(
    values: pb::Organization,
    mask: Option<FieldMask>,
    violations: &mut Violations,
) -> OrganizationPatch {
    let paths = mask.map(|mask| mask.paths).unwrap_or_default();
    if paths.is_empty() {
        violations.add("update_mask", "must name at least one field");
    }
    if paths.iter().any(|path| !MUTABLE.contains(&path.as_str())) {
        violations.add(
            "update_mask",
            format_args!("must name none but {}", MUTABLE.join(", ")),
        );
    }
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
    }
}
