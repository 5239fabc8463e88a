//! `userbridge.directory.v1.SessionService`.

use tonic::{Request, Response};

use super::{
    DirectoryCell, Reply, auth,
    credentials::text,
    members::{member, role},
    proto::userbridge::directory::v1 as pb,
    time::timestamp,
};
use crate::service::Session;

#[tonic::async_trait]
impl pb::session_service_server::SessionService for DirectoryCell {
    async fn create_session(
        &self,
        request: Request<pb::CreateSessionRequest>,
    ) -> Reply<pb::CreateSessionResponse> {
        let opened = self.get()?.create_session(auth::caller(&request)?).await?;
        Ok(Response::new(pb::CreateSessionResponse {
            token: opened.secret.reveal().to_owned(),
            session: Some(session(opened.session)),
        }))
    }

    async fn get_session(&self, request: Request<pb::GetSessionRequest>) -> Reply<pb::GetSessionResponse> {
        let found = self.get()?.session(auth::caller(&request)?).await?;
        Ok(Response::new(pb::GetSessionResponse {
            session: Some(session(found)),
        }))
    }

    async fn end_session(&self, request: Request<pb::EndSessionRequest>) -> Reply<pb::EndSessionResponse> {
        self.get()?.end_session(auth::caller(&request)?).await?;
        Ok(Response::new(pb::EndSessionResponse {}))
    }
}

fn session(session: Session) -> pb::Session {
    let organization = session.organization;
    pb::Session {
        organization_id: organization.id.to_string(),
        organization_name: organization.brand_name().as_str().to_owned(),
        locale: text(
            organization
                .locale_for(session.member.profile.locale.as_ref())
                .cloned(),
        ),
        logo_url: text(organization.branding.logo_url),
        default_role: role(Some(organization.default_role)).into(),
        retention_days: organization.retention_days.map(i32::from),
        expires_at: Some(timestamp(session.ends_at)),
        member: Some(member(session.member)),
    }
}
