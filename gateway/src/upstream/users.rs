//! `UserService`.

use std::sync::Arc;

use tonic::{Request, Response, Status};
use userbridge_wire::users_v1::user_service_server::UserService;
use uuid::Uuid;

use super::{Connection, Key, MAX_RESPONSE, Upstream, UpstreamError, call};
use crate::proto::users_v1::{
    DeleteRequest, DeleteResponse, PingRequest, PingResponse, RetrieveRequest, RetrieveResponse, User,
    retrieve_request::By, user_service_client::UserServiceClient,
};

impl Upstream {
    /// The live end user of the key's organization.
    pub(crate) async fn retrieve(&self, key: &Key, by: By) -> Result<User, UpstreamError> {
        let request = key.request(RetrieveRequest { by: Some(by) });
        let response = call(self.users.retrieve(request)).await?;
        response.user.ok_or(UpstreamError::Internal)
    }

    /// Revokes the end user's link to the key's organization; staff keep it and only cease to be end users.
    pub(crate) async fn delete(&self, key: &Key, user_id: Uuid) -> Result<(), UpstreamError> {
        let request = DeleteRequest {
            user_id: user_id.to_string(),
        };
        call(self.users.delete(key.request(request))).await?;
        Ok(())
    }

    /// Whose key it is.
    pub(crate) async fn ping(&self, key: &Key) -> Result<PingResponse, UpstreamError> {
        call(self.users.ping(key.request(PingRequest {}))).await
    }
}

/// The service behind a connection.
pub(super) struct Connected(pub(super) Arc<Connection>);

impl Connected {
    fn client(&self) -> UserServiceClient<Connection> {
        UserServiceClient::new(Connection::clone(&self.0)).max_decoding_message_size(MAX_RESPONSE)
    }
}

#[tonic::async_trait]
impl UserService for Connected {
    async fn retrieve(
        &self,
        request: Request<RetrieveRequest>,
    ) -> Result<Response<RetrieveResponse>, Status> {
        self.client().retrieve(request).await
    }

    async fn delete(&self, request: Request<DeleteRequest>) -> Result<Response<DeleteResponse>, Status> {
        self.client().delete(request).await
    }

    async fn ping(&self, request: Request<PingRequest>) -> Result<Response<PingResponse>, Status> {
        self.client().ping(request).await
    }
}
