//! `UserService`.

use uuid::Uuid;

use super::{Connection, Key, MAX_RESPONSE, Upstream, UpstreamError, call};
use crate::proto::users_v1::{
    DeleteRequest, PingRequest, PingResponse, RetrieveRequest, User, retrieve_request::By,
    user_service_client::UserServiceClient,
};

impl Upstream {
    /// The live end user of the key's organization.
    pub(crate) async fn retrieve(&self, key: &Key, by: By) -> Result<User, UpstreamError> {
        let request = key.request(RetrieveRequest { by: Some(by) });
        let response = match &self.users {
            Some(users) => call(users.retrieve(request)).await?,
            None => call(self.users_client().retrieve(request)).await?,
        };
        response.user.ok_or(UpstreamError::Internal)
    }

    /// Revokes the end user's link to the key's organization; staff keep it and only cease to be end users.
    pub(crate) async fn delete(&self, key: &Key, user_id: Uuid) -> Result<(), UpstreamError> {
        let request = DeleteRequest {
            user_id: user_id.to_string(),
        };
        let request = key.request(request);
        match &self.users {
            Some(users) => call(users.delete(request)).await?,
            None => call(self.users_client().delete(request)).await?,
        };
        Ok(())
    }

    /// Whose key it is.
    pub(crate) async fn ping(&self, key: &Key) -> Result<PingResponse, UpstreamError> {
        let request = key.request(PingRequest {});
        match &self.users {
            Some(users) => call(users.ping(request)).await,
            None => call(self.users_client().ping(request)).await,
        }
    }

    fn users_client(&self) -> UserServiceClient<Connection> {
        UserServiceClient::new(self.connection()).max_decoding_message_size(MAX_RESPONSE)
    }
}
