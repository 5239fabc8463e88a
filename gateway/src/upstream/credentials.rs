//! `CredentialService`, as far as it is asked with an API key or an access token.

use super::{Connection, Key, MAX_RESPONSE, Upstream, UpstreamError, call};
use crate::proto::directory_v1::{
    IssueHandoverCodeRequest, RequestPasswordResetRequest,
    credential_service_client::CredentialServiceClient, request_password_reset_request::By,
};

impl Upstream {
    /// Mails a member a link to set a new password.
    pub(crate) async fn request_password_reset(
        &self,
        key: &Key,
        member_id: String,
    ) -> Result<(), UpstreamError> {
        let request = RequestPasswordResetRequest {
            by: Some(By::MemberId(member_id)),
        };
        call(self.credentials().request_password_reset(key.request(request))).await?;
        Ok(())
    }

    /// A code that opens a session of the member whose access token this is.
    pub(crate) async fn issue_handover_code(&self, token: &Key) -> Result<String, UpstreamError> {
        let request = IssueHandoverCodeRequest::default();
        let response = call(self.credentials().issue_handover_code(token.request(request))).await?;
        Ok(response.code)
    }

    pub(super) fn credentials(&self) -> CredentialServiceClient<Connection> {
        CredentialServiceClient::new(self.connection()).max_decoding_message_size(MAX_RESPONSE)
    }
}
