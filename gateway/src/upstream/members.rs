//! `MemberService`.

use prost_types::FieldMask;

use super::{Connection, Key, MAX_RESPONSE, Resource, Upstream, UpstreamError, call};
use crate::proto::directory_v1::{
    Association, BatchGetMembersRequest, CheckAccessRequest, CheckAccessResponse, GetMemberRequest,
    LinkMemberRequest, ListAssociationsRequest, ListMembersRequest, ListMembersResponse, Member,
    RestoreMemberRequest, RevokeMemberRequest, UpdateMemberRequest, get_member_request::By,
    member_service_client::MemberServiceClient,
};

impl Upstream {
    /// One page of the live members.
    pub(crate) async fn list_members(
        &self,
        key: &Key,
        request: ListMembersRequest,
    ) -> Result<ListMembersResponse, UpstreamError> {
        call(self.members().list_members(key.request(request))).await
    }

    /// A live member.
    pub(crate) async fn member(&self, key: &Key, by: By) -> Result<Member, UpstreamError> {
        let request = GetMemberRequest {
            by: Some(by),
            include_revoked: false,
        };
        let response = call(self.members().get_member(key.request(request))).await?;
        response.member.ok_or(UpstreamError::Internal)
    }

    /// A member, revoked or not.
    pub(crate) async fn any_member(&self, key: &Key, id: String) -> Result<Member, UpstreamError> {
        let request = GetMemberRequest {
            by: Some(By::Id(id)),
            include_revoked: true,
        };
        let response = call(self.members().get_member(key.request(request))).await?;
        response.member.ok_or(UpstreamError::Internal)
    }

    /// Those of these members that there are, revoked or not; at most 500.
    pub(crate) async fn any_members(
        &self,
        key: &Key,
        ids: Vec<String>,
    ) -> Result<Vec<Member>, UpstreamError> {
        let request = BatchGetMembersRequest {
            ids,
            include_revoked: true,
        };
        let response = call(self.members().batch_get_members(key.request(request))).await?;
        Ok(response.members)
    }

    /// Links a user to the key's organization.
    pub(crate) async fn link_member(
        &self,
        key: &Key,
        request: LinkMemberRequest,
    ) -> Result<Member, UpstreamError> {
        let response = call(self.members().link_member(key.request(request))).await?;
        response.member.ok_or(UpstreamError::Internal)
    }

    /// Changes the fields that `paths` name to those of `member`, if it has the etag of `member`; an empty one is any.
    pub(crate) async fn update_member(
        &self,
        key: &Key,
        member: Member,
        paths: &[&str],
    ) -> Result<Member, UpstreamError> {
        let request = UpdateMemberRequest {
            id: member.id.clone(),
            etag: member.etag.clone(),
            member: Some(member),
            update_mask: Some(FieldMask {
                paths: paths.iter().map(|&path| path.to_owned()).collect(),
            }),
        };
        let response = call(self.members().update_member(key.request(request))).await?;
        response.member.ok_or(UpstreamError::Internal)
    }

    /// Ends a member's link, if it is as it was read.
    pub(crate) async fn revoke_member(&self, key: &Key, member: Member) -> Result<(), UpstreamError> {
        let request = RevokeMemberRequest {
            id: member.id,
            etag: member.etag,
        };
        call(self.members().revoke_member(key.request(request))).await?;
        Ok(())
    }

    /// Makes a revoked member live again.
    pub(crate) async fn restore_member(&self, key: &Key, id: String) -> Result<(), UpstreamError> {
        call(
            self.members()
                .restore_member(key.request(RestoreMemberRequest { id })),
        )
        .await?;
        Ok(())
    }

    /// The live links of a user to organizations, as far as the key may see them.
    pub(crate) async fn associations(
        &self,
        key: &Key,
        user_id: String,
    ) -> Result<Vec<Association>, UpstreamError> {
        let request = key.request(ListAssociationsRequest { user_id });
        Ok(call(self.members().list_associations(request))
            .await?
            .associations)
    }

    /// That the key is one of the directory, whatever it may read.
    pub(crate) async fn check_key(&self, key: &Key) -> Result<(), UpstreamError> {
        self.access(key).await?;
        Ok(())
    }

    /// That the key may read an organization: the error is that of a call which reads.
    pub(crate) async fn check_read(&self, key: &Key) -> Result<(), UpstreamError> {
        in_organization(&self.access(key).await?)
    }

    /// That the key may change an organization: the error is that of a call which changes something.
    pub(crate) async fn check_write(&self, key: &Key) -> Result<(), UpstreamError> {
        let access = self.access(key).await?;
        if !access.may_write {
            return Err(UpstreamError::PermissionDenied);
        }
        in_organization(&access)
    }

    async fn access(&self, key: &Key) -> Result<CheckAccessResponse, UpstreamError> {
        call(self.members().check_access(key.request(CheckAccessRequest {}))).await
    }

    fn members(&self) -> MemberServiceClient<Connection> {
        MemberServiceClient::new(self.connection()).max_decoding_message_size(MAX_RESPONSE)
    }
}

/// That there is an organization that the key speaks for.
fn in_organization(access: &CheckAccessResponse) -> Result<(), UpstreamError> {
    if access.organization_id.is_empty() {
        return Err(UpstreamError::NotFound(Resource::Organization));
    }
    Ok(())
}
