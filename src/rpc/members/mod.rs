//! `userbridge.directory.v1.MemberService`.

mod decode;
mod encode;

pub(super) use self::{decode::role as role_of, encode::role};

use prost::Message as _;
use tonic::{Request, Response, Status};

use self::{
    decode::{Window, link_request, list_query, member_key, patch, version},
    encode::{association, exported, linked, member},
};
use super::{
    DirectoryCell, auth,
    page::{self, List},
    proto::userbridge::directory::v1 as pb,
    time::timestamp,
    violations::Violations,
};
use crate::{
    domain::{Idempotency, Idempotent, Linked, MemberId, MemberOrder, UserId},
    service::ExportPlace,
};

/// Most ids of one `BatchGetMembers`.
const MAX_BATCH: usize = 500;

/// The directory of members.
pub(super) struct Members {
    directory: DirectoryCell,
}

impl Members {
    pub(super) const fn new(directory: DirectoryCell) -> Self {
        Self { directory }
    }
}

#[tonic::async_trait]
impl pb::member_service_server::MemberService for Members {
    async fn link_member(
        &self,
        request: Request<pb::LinkMemberRequest>,
    ) -> Result<Response<pb::LinkMemberResponse>, Status> {
        let directory = self.directory.get()?;
        let grant = auth::write(directory, &request).await?;
        let mut violations = Violations::default();
        let token = auth::token(
            request.metadata(),
            grant.actor(),
            "LinkMember",
            request.get_ref(),
            &mut violations,
        );
        let link = link_request(request.into_inner(), violations)?;
        let once = Idempotency {
            key: token,
            encode: |value: &Linked| linked(value.clone()).encode_to_vec(),
        };
        let response = match directory.link_member(grant, link, once).await? {
            Idempotent::Fresh(value) => linked(value),
            Idempotent::Replayed(answer) => auth::repeated(&answer)?,
        };
        Ok(Response::new(response))
    }

    async fn get_member(
        &self,
        request: Request<pb::GetMemberRequest>,
    ) -> Result<Response<pb::GetMemberResponse>, Status> {
        let directory = self.directory.get()?;
        let grant = auth::read(directory, &request).await?;
        let request = request.into_inner();
        let key = member_key(request.by)?;
        let entry = directory.member(grant, key, request.include_revoked).await?;
        Ok(Response::new(pb::GetMemberResponse {
            member: Some(member(entry)),
        }))
    }

    async fn batch_get_members(
        &self,
        request: Request<pb::BatchGetMembersRequest>,
    ) -> Result<Response<pb::BatchGetMembersResponse>, Status> {
        let directory = self.directory.get()?;
        let grant = auth::read(directory, &request).await?;
        let request = request.into_inner();
        let mut violations = Violations::default();
        if !(1..=MAX_BATCH).contains(&request.ids.len()) {
            violations.add("ids", format_args!("must be 1 to {MAX_BATCH} ids"));
        }
        let ids: Vec<_> = request
            .ids
            .iter()
            .enumerate()
            .filter_map(|(index, id)| violations.id::<MemberId>(&format!("ids[{index}]"), id))
            .collect();
        let ids = violations.finish(Some(ids))?;
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

    async fn list_members(
        &self,
        request: Request<pb::ListMembersRequest>,
    ) -> Result<Response<pb::ListMembersResponse>, Status> {
        let directory = self.directory.get()?;
        let grant = auth::read(directory, &request).await?;
        let mut request = request.into_inner();
        let window = Window::take(&mut request);
        let list = List::new("ListMembers", Some(grant.organization()), &request);
        let query = list_query(request, &window, &list)?;
        let order = query.order;
        let page = if window.with_total {
            directory.members_counted(grant, query).await?
        } else {
            directory.members(grant, query).await?
        };
        let mut members: Vec<_> = page.members.into_iter().map(member).collect();
        let mut next = page.next.map(|next| (next.number.0, next.name));
        let fitting = page::fitting(&members);
        if fitting < members.len() {
            members.truncate(fitting);
            let end = members.last();
            next = end.map(|end| {
                (
                    end.number,
                    end.name.clone().filter(|_| order == MemberOrder::Name),
                )
            });
        }
        Ok(Response::new(pb::ListMembersResponse {
            members,
            next_page_token: next.map(|next| list.token(&next)).unwrap_or_default(),
            total: page.total.map(|total| i64::try_from(total).unwrap_or(i64::MAX)),
        }))
    }

    async fn update_member(
        &self,
        request: Request<pb::UpdateMemberRequest>,
    ) -> Result<Response<pb::UpdateMemberResponse>, Status> {
        let directory = self.directory.get()?;
        let grant = auth::write(directory, &request).await?;
        let request = request.into_inner();
        let mut violations = Violations::default();
        let id = violations.id::<MemberId>("id", &request.id);
        let patch = patch(
            request.member.unwrap_or_default(),
            request.update_mask,
            &mut violations,
        );
        let version = version(&request.etag, &mut violations);
        let (id, patch, version) =
            violations.finish(id.zip(version).map(|(id, version)| (id, patch, version)))?;
        let entry = directory.update_member(grant, id, patch, version).await?;
        Ok(Response::new(pb::UpdateMemberResponse {
            member: Some(member(entry)),
        }))
    }

    async fn revoke_member(
        &self,
        request: Request<pb::RevokeMemberRequest>,
    ) -> Result<Response<pb::RevokeMemberResponse>, Status> {
        let directory = self.directory.get()?;
        let grant = auth::write(directory, &request).await?;
        let mut violations = Violations::default();
        let id = violations.id::<MemberId>("id", &request.get_ref().id);
        let version = version(&request.get_ref().etag, &mut violations);
        let (id, version) = violations.finish(id.zip(version))?;
        let entry = directory.revoke_member(grant, id, version).await?;
        Ok(Response::new(pb::RevokeMemberResponse {
            member: Some(member(entry)),
        }))
    }

    async fn restore_member(
        &self,
        request: Request<pb::RestoreMemberRequest>,
    ) -> Result<Response<pb::RestoreMemberResponse>, Status> {
        let directory = self.directory.get()?;
        let grant = auth::write(directory, &request).await?;
        let id = member_id(&request.get_ref().id)?;
        let entry = directory.restore_member(grant, id).await?;
        Ok(Response::new(pb::RestoreMemberResponse {
            member: Some(member(entry)),
        }))
    }

    async fn erase_member(
        &self,
        request: Request<pb::EraseMemberRequest>,
    ) -> Result<Response<pb::EraseMemberResponse>, Status> {
        let directory = self.directory.get()?;
        let grant = auth::write(directory, &request).await?;
        let id = member_id(&request.get_ref().id)?;
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
    ) -> Result<Response<pb::ExportMemberResponse>, Status> {
        let directory = self.directory.get()?;
        let grant = auth::read(directory, &request).await?;
        let mut request = request.into_inner();
        let mut violations = Violations::default();
        let limit = violations.page_size(std::mem::take(&mut request.page_size));
        let page_token = std::mem::take(&mut request.page_token);
        let list = List::new("ExportMember", Some(grant.organization()), &request);
        let after: Option<ExportPlace> = list.cursor(&page_token, &mut violations);
        let user = violations.id::<UserId>("user_id", &request.user_id);
        let user = violations.finish(user)?;
        let page = directory
            .export_user(grant, user, after.unwrap_or_default(), limit)
            .await?;
        Ok(Response::new(exported(page, &list)))
    }

    async fn list_associations(
        &self,
        request: Request<pb::ListAssociationsRequest>,
    ) -> Result<Response<pb::ListAssociationsResponse>, Status> {
        let directory = self.directory.get()?;
        let caller = auth::caller(&request)?;
        let user = user_id(&request.get_ref().user_id)?;
        let associations = directory.associations(caller, user).await?;
        let associations = associations.into_iter().map(association).collect();
        Ok(Response::new(pb::ListAssociationsResponse { associations }))
    }

    async fn record_seen(
        &self,
        request: Request<pb::RecordSeenRequest>,
    ) -> Result<Response<pb::RecordSeenResponse>, Status> {
        let directory = self.directory.get()?;
        let grant = auth::write(directory, &request).await?;
        directory
            .record_seen(grant, member_id(&request.get_ref().id)?)
            .await?;
        Ok(Response::new(pb::RecordSeenResponse {}))
    }

    async fn check_access(
        &self,
        request: Request<pb::CheckAccessRequest>,
    ) -> Result<Response<pb::CheckAccessResponse>, Status> {
        let access = auth::access(self.directory.get()?, &request).await?;
        Ok(Response::new(pb::CheckAccessResponse {
            organization_id: access.organization.map(|id| id.to_string()).unwrap_or_default(),
            may_write: access.may_write,
        }))
    }
}

fn member_id(text: &str) -> Result<MemberId, Status> {
    let mut violations = Violations::default();
    let id = violations.id("id", text);
    violations.finish(id)
}

fn user_id(text: &str) -> Result<UserId, Status> {
    let mut violations = Violations::default();
    let id = violations.id("user_id", text);
    violations.finish(id)
}
