//! `userbridge.users.v1.UserService`.

use tonic::{Request, Response, Status};
use tonic_types::FieldViolation;

use super::{
    DirectoryCell, auth,
    proto::userbridge::users::v1::{
        DeleteRequest, DeleteResponse, PingRequest, PingResponse, RetrieveRequest, RetrieveResponse, User,
        retrieve_request::By, user_service_server::UserService,
    },
    status::invalid_argument,
    time::timestamp,
};
use crate::{
    domain::{KeyDigest, MemberLookup, PublicMember, UserId},
    service::Directory,
};

pub(super) struct Users {
    pub(super) directory: DirectoryCell,
}

#[tonic::async_trait]
impl UserService for Users {
    async fn retrieve(
        &self,
        request: Request<RetrieveRequest>,
    ) -> Result<Response<RetrieveResponse>, Status> {
        let directory = self.directory.get()?;
        let key = auth::presented(&request)?;
        let lookup = judged(directory, key, lookup(request.into_inner())).await?;
        let member = directory.retrieve_user(key, lookup).await?;
        Ok(Response::new(RetrieveResponse {
            user: Some(user(member)),
        }))
    }

    async fn delete(&self, request: Request<DeleteRequest>) -> Result<Response<DeleteResponse>, Status> {
        let directory = self.directory.get()?;
        let key = auth::presented(&request)?;
        let user = judged(directory, key, user_id(&request.into_inner().user_id)).await?;
        directory.delete_user(key, user).await?;
        Ok(Response::new(DeleteResponse {}))
    }

    async fn ping(&self, request: Request<PingRequest>) -> Result<Response<PingResponse>, Status> {
        let key = auth::presented(&request)?;
        let ping = self.directory.get()?.ping(key).await?;
        Ok(Response::new(PingResponse {
            organization_id: ping.organization.id.to_string(),
            organization_slug: ping.organization.slug.into(),
            time: Some(timestamp(ping.time)),
        }))
    }
}

/// What a request asks about. If it is not valid, the key is judged before that is said.
async fn judged<T>(directory: &Directory, key: KeyDigest, request: Result<T, Status>) -> Result<T, Status> {
    if request.is_err() {
        directory.check_public_key(key).await?;
    }
    request
}

fn lookup(request: RetrieveRequest) -> Result<MemberLookup, Status> {
    match request.by {
        Some(By::UserId(text)) => Ok(MemberLookup::UserId(user_id(&text)?)),
        Some(By::Email(email)) => Ok(MemberLookup::Email(email)),
        None => Err(invalid("by", "exactly one of user_id and email is required")),
    }
}

fn user_id(text: &str) -> Result<UserId, Status> {
    text.parse().map_err(|_| invalid("user_id", "must be a UUID"))
}

fn invalid(field: &str, description: &str) -> Status {
    invalid_argument(vec![FieldViolation::new(field, description)])
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
