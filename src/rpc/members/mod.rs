//! `userbridge.directory.v1.MemberService`.

mod decode;
mod encode;
mod lists;

pub(super) use self::{
    decode::{import_row, received, role as role_of},
    encode::{auth_method, member, role},
};

use prost::Message as _;
use tonic::{Request, Response};

use self::{
    decode::{link_request, member_ref, patch, version},
    encode::{association, exported, linked},
    lists::list_members,
};
use super::{
    DirectoryCell, Reply, auth, idempotency,
    page::{self, List},
    proto::userbridge::directory::v1 as pb,
    time::timestamp,
    violations::{Violations, valid},
};
use crate::domain::{Idempotency, Linked};

/// Most ids of one `BatchGetMembers`.
const MAX_BATCH: usize = 500;

#[tonic::async_trait]
impl pb::member_service_server::MemberService for DirectoryCell {
    async fn link_member(&self, request: Request<pb::LinkMemberRequest>) -> Reply<pb::LinkMemberResponse> {
        let (directory, grant) = self.write(&request).await?;
        let mut violations = Violations::default();
        let key = idempotency::key(&request, grant.actor(), "LinkMember", &mut violations);
        let link = link_request(request.into_inner(), violations)?;
        let idempotency = Idempotency {
            key,
            encode: |value: &Linked| linked(value.clone()).encode_to_vec(),
        };
        idempotency::response(directory.link_member(grant, link, idempotency).await?, linked)
    }

    async fn get_member(&self, request: Request<pb::GetMemberRequest>) -> Reply<pb::GetMemberResponse> {
        let (directory, grant) = self.read(&request).await?;
        let request = request.into_inner();
        let by = valid(|violations| member_ref(request.by, violations))?;
        let found = directory.member(grant, by, request.include_revoked).await?;
        Ok(Response::new(pb::GetMemberResponse {
            member: Some(member(found)),
        }))
    }

    async fn batch_get_members(
        &self,
        request: Request<pb::BatchGetMembersRequest>,
    ) -> Reply<pb::BatchGetMembersResponse> {
        let (directory, grant) = self.read(&request).await?;
        let request = request.into_inner();
        let mut violations = Violations::default();
        if !(1..=MAX_BATCH).contains(&request.ids.len()) {
            violations.add("ids", format_args!("must be 1 to {MAX_BATCH} ids"));
        }
        let ids = Some(violations.ids("ids", &request.ids));
        let ids = violations.finish(ids)?;
        let batch = directory
            .members_by_id(grant, ids, request.include_revoked)
            .await?;
        let mut members: Vec<_> = batch.found.into_iter().map(member).collect();
        let rest = members.split_off(page::fitting(&members).min(members.len()));
        Ok(Response::new(pb::BatchGetMembersResponse {
            members,
            not_found: batch.not_found.iter().map(ToString::to_string).collect(),
            unprocessed: rest.into_iter().map(|member| member.id).collect(),
        }))
    }

    async fn list_members(&self, request: Request<pb::ListMembersRequest>) -> Reply<pb::ListMembersResponse> {
        let (directory, grant) = self.read(&request).await?;
        list_members(directory, grant, request.into_inner()).await
    }

    async fn update_member(
        &self,
        request: Request<pb::UpdateMemberRequest>,
    ) -> Reply<pb::UpdateMemberResponse> {
        let (directory, grant) = self.write(&request).await?;
        let request = request.into_inner();
        let (id, (patch, version)) = valid(|violations| {
            let id = violations.id("id", &request.id);
            let patch = patch(
                request.member.unwrap_or_default(),
                request.update_mask,
                violations,
            );
            id.zip(Some(patch).zip(version(&request.etag, violations)))
        })?;
        let changed = directory.update_member(grant, id, patch, version).await?;
        Ok(Response::new(pb::UpdateMemberResponse {
            member: Some(member(changed)),
        }))
    }

    async fn revoke_member(
        &self,
        request: Request<pb::RevokeMemberRequest>,
    ) -> Reply<pb::RevokeMemberResponse> {
        let (directory, grant) = self.write(&request).await?;
        let pb::RevokeMemberRequest { id, etag } = request.get_ref();
        let (id, version) = valid(|violations| violations.id("id", id).zip(version(etag, violations)))?;
        let changed = directory.revoke_member(grant, id, version).await?;
        Ok(Response::new(pb::RevokeMemberResponse {
            member: Some(member(changed)),
        }))
    }

    async fn restore_member(
        &self,
        request: Request<pb::RestoreMemberRequest>,
    ) -> Reply<pb::RestoreMemberResponse> {
        let (directory, grant) = self.write(&request).await?;
        let id = valid(|violations| violations.id("id", &request.get_ref().id))?;
        let changed = directory.restore_member(grant, id).await?;
        Ok(Response::new(pb::RestoreMemberResponse {
            member: Some(member(changed)),
        }))
    }

    async fn erase_member(&self, request: Request<pb::EraseMemberRequest>) -> Reply<pb::EraseMemberResponse> {
        let (directory, grant) = self.write(&request).await?;
        let id = valid(|violations| violations.id("id", &request.get_ref().id))?;
        let erasure = directory.erase_member(grant, id).await?;
        Ok(Response::new(pb::EraseMemberResponse {
            id: id.to_string(),
            erased_at: Some(timestamp(erasure.at)),
            event_sequence: erasure.sequence,
        }))
    }

    async fn export_member(
        &self,
        request: Request<pb::ExportMemberRequest>,
    ) -> Reply<pb::ExportMemberResponse> {
        let (directory, grant) = self.read(&request).await?;
        let mut request = request.into_inner();
        let list = List::of("ExportMember", Some(grant.organization()), &mut request);
        let (page, user) = valid(|violations| {
            let page = list.page(violations);
            Some(page).zip(violations.id("user_id", &request.user_id))
        })?;
        let page = directory
            .export_user(grant, user, page.after.unwrap_or_default(), page.limit)
            .await?;
        Ok(Response::new(exported(page, &list)))
    }

    async fn list_associations(
        &self,
        request: Request<pb::ListAssociationsRequest>,
    ) -> Reply<pb::ListAssociationsResponse> {
        let directory = self.get()?;
        let caller = auth::caller(&request)?;
        let user = valid(|violations| violations.id("user_id", &request.get_ref().user_id))?;
        let associations = directory.associations(caller, user).await?;
        let associations = associations.into_iter().map(association).collect();
        Ok(Response::new(pb::ListAssociationsResponse { associations }))
    }

    async fn record_seen(&self, request: Request<pb::RecordSeenRequest>) -> Reply<pb::RecordSeenResponse> {
        let (directory, grant) = self.write(&request).await?;
        let id = valid(|violations| violations.id("id", &request.get_ref().id))?;
        directory.record_seen(grant, id).await?;
        Ok(Response::new(pb::RecordSeenResponse {}))
    }

    async fn check_access(&self, request: Request<pb::CheckAccessRequest>) -> Reply<pb::CheckAccessResponse> {
        let access = self.access(&request).await?;
        Ok(Response::new(pb::CheckAccessResponse {
            organization_id: access.organization.map(|id| id.to_string()).unwrap_or_default(),
            may_write: access.may_write,
        }))
    }
}
