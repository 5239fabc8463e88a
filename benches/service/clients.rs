//! Clients of the servers: JSON over HTTP/1.1, each on a connection of its own that is kept, and gRPC over a few shared
//! connections.

use std::{fmt::Write as _, net::SocketAddr};

use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    body::Bytes,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tonic::{
    Code,
    metadata::MetadataValue,
    transport::{Channel, Endpoint},
};

use crate::{
    Result,
    load::Caller,
    people::{By, Lookup, Lookups},
    proto::{
        RETRIEVE,
        client::{
            DeleteRequest, RetrieveRequest, RetrieveResponse, retrieve_request,
            user_service_client::UserServiceClient,
        },
    },
};

/// Connections that gRPC callers share.
const CHANNELS: usize = 4;

/// Whether answers must be right. A constant baseline answers every request alike.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    Answers,
    OnlySuccess,
}

/// A connection for JSON over HTTP/1.1.
pub(crate) struct JsonConnection {
    sender: SendRequest<Full<Bytes>>,
    host: HeaderValue,
}

impl JsonConnection {
    pub(crate) async fn open(addr: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // It ends with its sender. What goes wrong shows there.
        tokio::spawn(connection);
        Ok(Self {
            sender,
            host: HeaderValue::try_from(addr.to_string())?,
        })
    }

    pub(crate) async fn post(&mut self, path: &'static str, body: String) -> Result<(StatusCode, Bytes)> {
        let mut request = Request::new(Full::from(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = http::Uri::from_static(path);
        let headers = request.headers_mut();
        headers.insert(header::HOST, self.host.clone());
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        let status = response.status();
        Ok((status, response.into_body().collect().await?.to_bytes()))
    }
}

/// What to say of an answer that is not the right one.
pub(crate) fn wrong(status: StatusCode, body: &Bytes) -> Box<dyn std::error::Error + Send + Sync> {
    format!("a wrong answer: {status} {}", String::from_utf8_lossy(body)).into()
}

/// Lookups for users over JSON.
pub(crate) struct JsonCaller {
    connection: JsonConnection,
    lookups: Lookups,
    check: Check,
}

/// Callers on connections of their own.
pub(crate) async fn json(
    addr: SocketAddr,
    callers: usize,
    check: Check,
    lookups: impl Fn(u64) -> Lookups,
) -> Result<Vec<JsonCaller>> {
    let mut all = Vec::with_capacity(callers);
    for seed in (0..).take(callers) {
        all.push(JsonCaller {
            connection: JsonConnection::open(addr).await?,
            lookups: lookups(seed),
            check,
        });
    }
    Ok(all)
}

impl Caller for JsonCaller {
    async fn call(&mut self) -> Result<bool> {
        let lookup = self.lookups.next();
        let mut body = String::with_capacity(160);
        let key = self.lookups.people.key(lookup.organization);
        match &lookup.by {
            By::UserId(id) => write!(body, r#"{{"api_key":"{key}","user_id":"{id}"}}"#)?,
            By::Email(email) => write!(body, r#"{{"api_key":"{key}","email":"{email}"}}"#)?,
        }
        let (status, body) = self.connection.post(RETRIEVE, body).await?;
        let right = match (self.check, lookup.expected) {
            (Check::OnlySuccess, _) => status == StatusCode::OK,
            (Check::Answers, None) => status == StatusCode::NOT_FOUND,
            (Check::Answers, Some(user)) => {
                let mut text = [0; 36];
                let user = user.hyphenated().encode_lower(&mut text).as_bytes();
                status == StatusCode::OK && body.windows(user.len()).any(|window| window == user)
            }
        };
        if right {
            Ok(true)
        } else {
            Err(wrong(status, &body))
        }
    }
}

/// Lookups for users over gRPC.
pub(crate) struct GrpcCaller {
    client: UserServiceClient<Channel>,
    lookups: Lookups,
    check: Check,
}

/// A client for each caller, over [`CHANNELS`] connections.
pub(crate) async fn stubs(addr: SocketAddr, callers: usize) -> Result<Vec<UserServiceClient<Channel>>> {
    let endpoint = Endpoint::from_shared(format!("http://{addr}"))?.tcp_nodelay(true);
    let mut channels = Vec::new();
    for _ in 0..callers.min(CHANNELS) {
        channels.push(UserServiceClient::new(endpoint.connect().await?));
    }
    Ok(channels.iter().cycle().take(callers).cloned().collect())
}

/// Callers over [`CHANNELS`] connections.
pub(crate) async fn grpc(
    addr: SocketAddr,
    callers: usize,
    check: Check,
    lookups: impl Fn(u64) -> Lookups,
) -> Result<Vec<GrpcCaller>> {
    let stubs = stubs(addr, callers).await?;
    Ok((0..)
        .zip(stubs)
        .map(|(seed, client)| GrpcCaller {
            client,
            lookups: lookups(seed),
            check,
        })
        .collect())
}

pub(crate) fn with_key<T>(message: T, key: &str) -> Result<tonic::Request<T>> {
    let mut request = tonic::Request::new(message);
    let key = MetadataValue::try_from(format!("Bearer {key}"))?;
    request.metadata_mut().insert("authorization", key);
    Ok(request)
}

pub(crate) fn deletion(user: uuid::Uuid, key: &str) -> Result<tonic::Request<DeleteRequest>> {
    let user_id = user.to_string();
    with_key(DeleteRequest { user_id }, key)
}

impl Caller for GrpcCaller {
    async fn call(&mut self) -> Result<bool> {
        let lookup = self.lookups.next();
        let by = match &lookup.by {
            By::UserId(id) => retrieve_request::By::UserId(id.to_string()),
            By::Email(email) => retrieve_request::By::Email(email.clone()),
        };
        let request = with_key(
            RetrieveRequest { by: Some(by) },
            self.lookups.people.key(lookup.organization),
        )?;
        let answer = self.client.retrieve(request).await;
        if self.is_right(&lookup, answer.as_ref().map(tonic::Response::get_ref)) {
            Ok(true)
        } else {
            Err(format!("a wrong answer: {answer:?}").into())
        }
    }
}

impl GrpcCaller {
    fn is_right(
        &self,
        lookup: &Lookup,
        answer: std::result::Result<&RetrieveResponse, &tonic::Status>,
    ) -> bool {
        match (self.check, lookup.expected, answer) {
            (Check::OnlySuccess, _, answer) => answer.is_ok(),
            (Check::Answers, None, Err(status)) => status.code() == Code::NotFound,
            (Check::Answers, Some(expected), Ok(RetrieveResponse { user: Some(user) })) => {
                let mut text = [0; 36];
                user.user_id == *expected.hyphenated().encode_lower(&mut text)
            }
            _ => false,
        }
    }
}
