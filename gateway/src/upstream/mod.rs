//! The way to the directory's gRPC services: a file for each, and here what they share.
//!
//! To add a call: its method in the file of its service. To add a service: its proto in `build.rs`, a file here, and the
//! service among those that the server gives to the gateway of its own process.

mod allowance;
mod credentials;
mod error;
mod events;
mod health;
mod members;
mod outage;
mod password_links;
mod sessions;
mod teams;
mod users;

use std::{
    convert::Infallible,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::{HeaderName, HeaderValue, header};
use tonic::{
    Request, Response, Status,
    body::Body,
    transport::{self, Certificate, ClientTlsConfig, Endpoint, Identity, Uri},
};
use tower::{Service, ServiceExt as _, util::BoxCloneSyncService};
use userbridge_wire::{TOKEN_PREFIXES, users_v1::user_service_server::UserService};
use uuid::Uuid;

pub(crate) use self::{
    allowance::{Allowance, noticed},
    error::{Precondition, Resource, UpstreamError},
};
use self::{outage::Outage, users::Connected};
use crate::observe;

/// How long the directory has for one call.
const DEADLINE: Duration = Duration::from_secs(10);

/// The same, as gRPC writes it.
const DEADLINE_HEADER: (HeaderName, HeaderValue) = (
    HeaderName::from_static("grpc-timeout"),
    HeaderValue::from_static("10S"),
);

/// Names the organization that a key which is bound to none is used for.
const ORGANIZATION: HeaderName = HeaderName::from_static("x-organization-id");

/// How long to wait beyond that for an upstream behind a socket that does not even say that it is late. One in this
/// process can't fail to.
const GRACE: Duration = Duration::from_millis(500);

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How often a quiet connection is asked whether it still lives, so that a dead one is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// The longest text that is asked about as a key, in bytes. A key has 46.
const MAX_KEY: usize = 256;

/// The largest message that the directory may answer with, in bytes: 500 of the largest members.
const MAX_RESPONSE: usize = 16 * 1024 * 1024;

/// Whom a client of gRPC trusts, and who it says it is. All in PEM.
#[derive(Default)]
pub struct UpstreamTls {
    /// The authorities that certify the server. None: those of the machine.
    pub authorities: Option<Vec<u8>>,
    /// The certificate that is shown to a server that asks for one, and its private key.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl UpstreamTls {
    /// What a client of it is made with.
    #[must_use]
    pub fn config(self) -> ClientTlsConfig {
        let config = ClientTlsConfig::new();
        let config = match self.authorities {
            Some(authorities) => config.ca_certificate(Certificate::from_pem(authorities)),
            None => config.with_native_roots(),
        };
        match self.identity {
            Some((certificate, key)) => config.identity(Identity::from_pem(certificate, key)),
            None => config,
        }
    }
}

type Connection = BoxCloneSyncService<http::Request<Body>, http::Response<Body>, transport::Error>;

/// The directory, in this process or behind a socket. Cheap to clone.
#[derive(Clone)]
pub struct Upstream {
    connection: Arc<Connection>,
    users: Arc<dyn UserService>,
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
        Self::new(BoxCloneSyncService::new(service))
    }

    /// The same, with the `UserService` of this process called as it is: what integrators ask most is neither encoded nor
    /// decoded. It is given the same metadata, and does what is done around other services.
    #[must_use]
    pub fn with_users(self, users: Arc<dyn UserService>) -> Self {
        Self { users, ..self }
    }

    /// The gRPC services at a URI with `http`. It connects with the first call, and again whenever it must. That it does
    /// not answer is in the log.
    #[must_use]
    pub fn connect(uri: Uri) -> Self {
        let name = uri.to_string();
        Self::connect_to(Endpoint::from(uri), name)
    }

    /// The same at a URI with `https`.
    ///
    /// # Errors
    ///
    /// What it is to trust or to show can't be used.
    pub fn connect_over_tls(uri: Uri, tls: UpstreamTls) -> Result<Self, transport::Error> {
        let name = uri.to_string();
        let endpoint = Endpoint::from(uri).tls_config(tls.config())?;
        Ok(Self::connect_to(endpoint, name))
    }

    fn connection(&self) -> Connection {
        Connection::clone(&self.connection)
    }

    fn connect_to(endpoint: Endpoint, name: String) -> Self {
        let outage = Arc::new(Outage::new(name));
        let channel = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(DEADLINE + GRACE)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_while_idle(true)
            .tcp_nodelay(true)
            .connect_lazy();
        let watched = channel.map_result(move |result| {
            outage.note(&result);
            result
        });
        Self::new(BoxCloneSyncService::new(watched.map_request(observe::forwarded)))
    }

    fn new(connection: Connection) -> Self {
        let connection = Arc::new(connection);
        Self {
            users: Arc::new(Connected(Arc::clone(&connection))),
            connection,
        }
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Upstream")
    }
}

/// An API key or a token as it travels: in metadata, never in a message.
pub(crate) struct Key {
    secret: HeaderValue,
    /// What a key that is bound to no organization is used for.
    organization: Option<HeaderValue>,
    /// A call was made with it. Each request has a key of its own.
    used: AtomicBool,
}

/// An extension of calls that are made for a request for which one was made already, which the directory has counted. It does
/// not go over a socket.
#[derive(Clone, Copy, Debug)]
pub struct SameRequest;

impl Key {
    /// None: no key looks like this, so there is nothing to ask.
    pub(crate) fn new(secret: &str) -> Option<Self> {
        if secret.is_empty() || secret.len() > MAX_KEY || !secret.bytes().all(|byte| byte.is_ascii_graphic())
        {
            return None;
        }
        let mut value = HeaderValue::try_from(["Bearer ", secret].concat()).ok()?;
        value.set_sensitive(true);
        Some(Self {
            secret: value,
            organization: None,
            used: AtomicBool::new(false),
        })
    }

    /// An API key. None: as [`Self::new`] says, or it is a member's token, which opens the pages and no vendor's API.
    pub(crate) fn of_api(secret: &str) -> Option<Self> {
        let is_token = TOKEN_PREFIXES.iter().any(|prefix| secret.starts_with(prefix));
        if is_token { None } else { Self::new(secret) }
    }

    /// The key, for this organization. One that is bound to another finds none there.
    pub(crate) fn in_organization(self, id: Uuid) -> Self {
        let organization = HeaderValue::try_from(id.to_string()).ok();
        Self { organization, ..self }
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let headers = request.metadata_mut().as_mut();
        let (name, value) = DEADLINE_HEADER;
        headers.insert(name, value);
        headers.insert(header::AUTHORIZATION, self.secret.clone());
        if let Some(organization) = &self.organization {
            headers.insert(ORGANIZATION, organization.clone());
        }
        observe::propagate(&mut request);
        if self.used.swap(true, Ordering::Relaxed) {
            request.extensions_mut().insert(SameRequest);
        }
        request
    }
}

async fn call<T>(call: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, UpstreamError> {
    let answer = call.await;
    allowance::note(match &answer {
        Ok(response) => response.metadata(),
        Err(status) => status.metadata(),
    });
    Ok(answer?.into_inner())
}
