//! `MemberService`.

use prost_types::FieldMask;

use super::{Connection, Key, MAX_RESPONSE, Upstream, UpstreamError, call};
use crate::proto::directory_v1::{
    GetMemberRequest, LinkMemberRequest, ListMembersRequest, ListMembersResponse, Member,
    RevokeMemberRequest, UpdateMemberRequest, get_member_request::By,
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

    /// Whether the key may change members: the error is the key's. It asks for a link of nobody, which is refused
    /// after the key was judged.
    pub(crate) async fn may_write(&self, key: &Key) -> Result<(), UpstreamError> {
        match self.link_member(key, LinkMemberRequest::default()).await {
            Ok(_) | Err(UpstreamError::InvalidArgument) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn members(&self) -> MemberServiceClient<Connection> {
        MemberServiceClient::new(self.connection.clone()).max_decoding_message_size(MAX_RESPONSE)
    }
}
