//! `userbridge.users.v1.UserService`.

use tonic::{Request, Response, Status};
use tonic_types::FieldViolation;

use super::{
    LateDirectory, auth,
    proto::userbridge::users::v1::{
        DeleteRequest, DeleteResponse, PingRequest, PingResponse, RetrieveRequest, RetrieveResponse, User,
        retrieve_request::By, user_service_server::UserService,
    },
    status::invalid_argument,
    time::timestamp,
};
use crate::domain::{Member, MemberLookup, UserId};

/// The published contract.
pub(super) struct Users {
    directory: LateDirectory,
}

impl Users {
    pub(super) const fn new(directory: LateDirectory) -> Self {
        Self { directory }
    }
}

#[tonic::async_trait]
impl UserService for Users {
    async fn retrieve(
        &self,
        request: Request<RetrieveRequest>,
    ) -> Result<Response<RetrieveResponse>, Status> {
        let key = auth::key(request.metadata())?;
        let lookup = match request.into_inner().by {
            Some(By::UserId(text)) => MemberLookup::UserId(user_id(&text)?),
            Some(By::Email(email)) => MemberLookup::Email(email),
            None => return Err(invalid("by", "exactly one of user_id and email is required")),
        };
        let member = self.directory.get()?.retrieve_user(key, lookup).await?;
        Ok(Response::new(RetrieveResponse {
            user: Some(user(member)),
        }))
    }

    async fn delete(&self, request: Request<DeleteRequest>) -> Result<Response<DeleteResponse>, Status> {
        let key = auth::key(request.metadata())?;
        let user = user_id(&request.into_inner().user_id)?;
        self.directory.get()?.delete_user(key, user).await?;
        Ok(Response::new(DeleteResponse {}))
    }

    async fn ping(&self, request: Request<PingRequest>) -> Result<Response<PingResponse>, Status> {
        let key = auth::key(request.metadata())?;
        let ping = self.directory.get()?.ping(key).await?;
        Ok(Response::new(PingResponse {
            organization_id: ping.organization.id.to_string(),
            organization_slug: ping.organization.slug.into(),
            time: Some(timestamp(ping.time)),
        }))
    }
}

fn user_id(text: &str) -> Result<UserId, Status> {
    text.parse().map_err(|_| invalid("user_id", "must be a UUID"))
}

fn invalid(field: &str, description: &str) -> Status {
    invalid_argument(vec![FieldViolation::new(field, description)])
}

fn user(member: Member) -> User {
    let profile = member.profile;
    User {
        id: member.id.to_string(),
        user_id: member.user_id.to_string(),
        email: profile.email.map(Into::into),
        name: profile.name.map(Into::into),
        avatar_url: profile.avatar_url.map(Into::into),
        portal_role: profile.portal_role.into(),
        company_name: profile.company_name.map(Into::into),
        customer_status: profile.customer_status.map(Into::into),
        created_at: Some(timestamp(member.created_at)),
    }
}
