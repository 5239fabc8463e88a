//! The methods of `CredentialService` that take the token of a mailed link.

use super::{Key, Upstream, UpstreamError, call};
use crate::proto::directory_v1::{GetPasswordLinkRequest, GetPasswordLinkResponse, SetPasswordRequest};

impl Upstream {
    /// For whom a link is. It is not used up.
    pub(crate) async fn password_link(&self, token: &Key) -> Result<GetPasswordLinkResponse, UpstreamError> {
        call(
            self.credentials()
                .get_password_link(token.request(GetPasswordLinkRequest {})),
        )
        .await
    }

    /// Sets the password, which uses the link up.
    pub(crate) async fn set_password(&self, token: &Key, password: String) -> Result<(), UpstreamError> {
        let request = token.request(SetPasswordRequest { password });
        call(self.credentials().set_password(request)).await?;
        Ok(())
    }
}
