//! The way to the directory's gRPC services.

use std::{convert::Infallible, fmt, time::Duration};

use tonic::{
    Request, Response, Status,
    body::Body,
    metadata::{Ascii, MetadataValue},
    transport::{self, Endpoint, Uri},
};
use tower::{Service, ServiceExt as _, util::BoxCloneSyncService};

use crate::{
    fault::Fault,
    proto::users_v1::{
        DeleteRequest, PingRequest, PingResponse, RetrieveRequest, User, retrieve_request::By,
        user_service_client::UserServiceClient,
    },
};

/// How long the directory has for one call.
const DEADLINE: Duration = Duration::from_secs(10);

/// How long to wait beyond that for an upstream behind a socket that does not even say that it is late. One in this
/// process can't fail to.
const GRACE: Duration = Duration::from_millis(500);

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How often a quiet connection is asked whether it still lives, so that a dead one is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// The longest text that is asked about as a key, in bytes. A key has 46.
const MAX_KEY: usize = 256;

/// The largest message that the directory may answer with, in bytes.
const MAX_RESPONSE: usize = 1024 * 1024;

type Connection = BoxCloneSyncService<http::Request<Body>, http::Response<Body>, transport::Error>;

/// The directory, in this process or behind a socket. Cheap to clone.
#[derive(Clone)]
pub struct Upstream {
    connection: Connection,
}

impl Upstream {
    /// The gRPC services of this process, called without a socket.
    pub fn in_process<S>(service: S) -> Self
    where
        S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
        S: Clone + Send + Sync + 'static,
        S::Future: Send,
    {
        let service = service.map_err(|never: Infallible| -> transport::Error { match never {} });
        Self {
            connection: BoxCloneSyncService::new(service),
        }
    }

    /// The gRPC services at a URI. It connects with the first call, and again whenever it must.
    #[must_use]
    pub fn connect(uri: Uri) -> Self {
        let channel = Endpoint::from(uri)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(DEADLINE + GRACE)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_while_idle(true)
            .tcp_nodelay(true)
            .connect_lazy();
        Self {
            connection: BoxCloneSyncService::new(channel),
        }
    }

    /// The live user of the key's organization.
    pub(crate) async fn retrieve(&self, key: &Key, by: By) -> Result<User, Fault> {
        let request = key.request(RetrieveRequest { by: Some(by) });
        let response = answer(self.users().retrieve(request)).await?;
        response.user.ok_or(Fault::Internal)
    }

    /// Revokes the user's link to the key's organization.
    pub(crate) async fn delete(&self, key: &Key, user_id: String) -> Result<(), Fault> {
        answer(self.users().delete(key.request(DeleteRequest { user_id }))).await?;
        Ok(())
    }

    /// Whose key it is.
    pub(crate) async fn ping(&self, key: &Key) -> Result<PingResponse, Fault> {
        answer(self.users().ping(key.request(PingRequest {}))).await
    }

    fn users(&self) -> UserServiceClient<Connection> {
        UserServiceClient::new(self.connection.clone()).max_decoding_message_size(MAX_RESPONSE)
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Upstream")
    }
}

/// An API key as it travels: in metadata, never in a message.
pub(crate) struct Key(MetadataValue<Ascii>);

impl Key {
    /// None: no key looks like this, so there is nothing to ask.
    pub(crate) fn new(secret: &str) -> Option<Self> {
        if secret.is_empty() || secret.len() > MAX_KEY || !secret.bytes().all(|byte| byte.is_ascii_graphic())
        {
            return None;
        }
        let mut value = MetadataValue::try_from(format!("Bearer {secret}")).ok()?;
        value.set_sensitive(true);
        Some(Self(value))
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(DEADLINE);
        request.metadata_mut().insert("authorization", self.0.clone());
        request
    }
}

/// The answer to a call, or what went wrong.
async fn answer<T>(call: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, Fault> {
    Ok(call.await?.into_inner())
}
