//! `SessionService`.

use super::{Connection, Key, Upstream, UpstreamError, call};
use crate::proto::directory_v1::{
    CreateSessionRequest, EndSessionRequest, GetSessionRequest, Session,
    session_service_client::SessionServiceClient,
};

impl Upstream {
    /// Begins a session with a code, which is used up, and returns the session's token.
    pub(crate) async fn create_session(&self, code: &Key) -> Result<String, UpstreamError> {
        let request = code.request(CreateSessionRequest {});
        Ok(call(self.sessions().create_session(request)).await?.token)
    }

    /// Whose session it is.
    pub(crate) async fn session(&self, token: &Key) -> Result<Session, UpstreamError> {
        let request = token.request(GetSessionRequest {});
        let response = call(self.sessions().get_session(request)).await?;
        response.session.ok_or(UpstreamError::Internal)
    }

    /// Ends a session at once.
    pub(crate) async fn end_session(&self, token: &Key) -> Result<(), UpstreamError> {
        call(self.sessions().end_session(token.request(EndSessionRequest {}))).await?;
        Ok(())
    }

    fn sessions(&self) -> SessionServiceClient<Connection> {
        SessionServiceClient::new(self.connection())
    }
}
