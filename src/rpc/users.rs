//! `userbridge.users.v1.UserService`.

use tonic::{Request, Response, Status};
use userbridge_wire::users_v1::{
    DeleteRequest, DeleteResponse, PingRequest, PingResponse, RetrieveRequest, RetrieveResponse, User,
    retrieve_request::By, user_service_server::UserService,
};

use super::{
    DirectoryCell, Reply, auth,
    time::timestamp,
    violations::{Violations, valid},
};
use crate::{
    domain::{KeyDigest, MemberLookup, PublicMember},
    service::Directory,
};

#[tonic::async_trait]
impl UserService for DirectoryCell {
    async fn retrieve(&self, request: Request<RetrieveRequest>) -> Reply<RetrieveResponse> {
        let directory = self.get()?;
        let key = auth::unjudged(&request)?;
        let by = request.into_inner().by;
        let lookup = read(directory, key, |violations| lookup(by, violations)).await?;
        let member = directory.retrieve_user(key, lookup).await?;
        Ok(Response::new(RetrieveResponse {
            user: Some(user(member)),
        }))
    }

    async fn delete(&self, request: Request<DeleteRequest>) -> Reply<DeleteResponse> {
        let directory = self.get()?;
        let key = auth::unjudged(&request)?;
        let client = auth::client(request.extensions());
        let id = request.into_inner().user_id;
        let user = read(directory, key, |violations| violations.id("user_id", &id)).await?;
        directory.delete_user(key, user, client).await?;
        Ok(Response::new(DeleteResponse {}))
    }

    async fn ping(&self, request: Request<PingRequest>) -> Reply<PingResponse> {
        let key = auth::unjudged(&request)?;
        let ping = self.get()?.ping(key).await?;
        Ok(Response::new(PingResponse {
            organization_id: ping.organization.id.to_string(),
            organization_slug: ping.organization.slug.into(),
            time: Some(timestamp(ping.time)),
        }))
    }
}

/// What a request asks about. If it is not valid, the key is judged before that is said.
async fn read<T>(
    directory: &Directory,
    key: KeyDigest,
    read: impl FnOnce(&mut Violations) -> Option<T>,
) -> Result<T, Status> {
    let request = valid(read);
    if request.is_err() {
        directory.check_public_key(key).await?;
    }
    request
}

fn lookup(by: Option<By>, violations: &mut Violations) -> Option<MemberLookup> {
    match by {
        Some(By::UserId(id)) => violations.id("user_id", &id).map(MemberLookup::UserId),
        Some(By::Email(email)) => Some(MemberLookup::Email(email)),
        None => violations.check("by", Err("exactly one of user_id and email is required")),
    }
}

fn user(member: PublicMember) -> User {
    let profile = member.profile;
    User {
        id: member.id.to_string(),
        user_id: member.user_id.to_string(),
        email: profile.email.map(Into::into),
        name: profile.name.map(Into::into),
        avatar_url: profile.avatar_url.map(Into::into),
        // Never absent: only end users are found.
        portal_role: profile.portal_role.map(Into::into).unwrap_or_default(),
        company_name: profile.company_name.map(Into::into),
        customer_status: profile.customer_status.map(Into::into),
        created_at: Some(timestamp(member.created_at)),
    }
}
