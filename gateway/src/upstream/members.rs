//! `MemberService`.

use prost_types::FieldMask;

use super::{Connection, Key, MAX_RESPONSE, Upstream, answer};
use crate::{
    fault::Fault,
    proto::directory_v1::{
        GetMemberRequest, LinkMemberRequest, ListMembersRequest, ListMembersResponse, Member,
        RevokeMemberRequest, UpdateMemberRequest, get_member_request::By,
        member_service_client::MemberServiceClient,
    },
};

impl Upstream {
    /// One page of the live members.
    pub(crate) async fn list_members(
        &self,
        key: &Key,
        request: ListMembersRequest,
    ) -> Result<ListMembersResponse, Fault> {
        answer(self.members().list_members(key.request(request))).await
    }

    /// A live member.
    pub(crate) async fn member(&self, key: &Key, by: By) -> Result<Member, Fault> {
        let request = GetMemberRequest {
            by: Some(by),
            include_revoked: false,
        };
        let response = answer(self.members().get_member(key.request(request))).await?;
        response.member.ok_or(Fault::Internal)
    }

    /// Links a user to the key's organization.
    pub(crate) async fn link_member(&self, key: &Key, request: LinkMemberRequest) -> Result<Member, Fault> {
        let response = answer(self.members().link_member(key.request(request))).await?;
        response.member.ok_or(Fault::Internal)
    }

    /// Changes the fields that `paths` name to those of `member`, if it has the etag of `member`; an empty one is any.
    pub(crate) async fn update_member(
        &self,
        key: &Key,
        member: Member,
        paths: &[&str],
    ) -> Result<Member, Fault> {
        let request = UpdateMemberRequest {
            id: member.id.clone(),
            etag: member.etag.clone(),
            member: Some(member),
            update_mask: Some(FieldMask {
                paths: paths.iter().map(|&path| path.to_owned()).collect(),
            }),
        };
        let response = answer(self.members().update_member(key.request(request))).await?;
        response.member.ok_or(Fault::Internal)
    }

    /// Ends a member's link, if it is as it was read.
    pub(crate) async fn revoke_member(&self, key: &Key, member: Member) -> Result<(), Fault> {
        let request = RevokeMemberRequest {
            id: member.id,
            etag: member.etag,
        };
        answer(self.members().revoke_member(key.request(request))).await?;
        Ok(())
    }

    /// Whether the key may change members: the fault is that of the key. It asks for a link of nobody, which is refused
    /// after the key was judged.
    pub(crate) async fn may_write(&self, key: &Key) -> Result<(), Fault> {
        match self.link_member(key, LinkMemberRequest::default()).await {
            Ok(_) | Err(Fault::InvalidArgument) => Ok(()),
            Err(fault) => Err(fault),
        }
    }

    fn members(&self) -> MemberServiceClient<Connection> {
        MemberServiceClient::new(self.connection.clone()).max_decoding_message_size(MAX_RESPONSE)
    }
}
