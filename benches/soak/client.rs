//! How callers reach the server: gRPC on one connection, JSON and pages on a new one each time.

use std::{net::SocketAddr, sync::Arc};

use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName},
};
use tonic::{
    metadata::MetadataValue,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};

use crate::{
    Result,
    place::{HOST, Place},
};

/// Where the server is, and what is known of it.
#[derive(Clone)]
pub(crate) struct Client {
    grpc_addr: SocketAddr,
    http_addr: SocketAddr,
    pem: String,
    connector: TlsConnector,
    pub(crate) public_key: String,
    pub(crate) key: String,
    pub(crate) organization: String,
    pub(crate) administrator: String,
}

/// An answer of the JSON port.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Client {
    pub(crate) fn of(place: &Place) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(place.certificate.clone())?;
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            grpc_addr: place.server.addresses.grpc_addr,
            http_addr: place.server.addresses.http_addr,
            pem: place.pem.clone(),
            connector: TlsConnector::from(Arc::new(config)),
            public_key: place.public_key.clone(),
            key: place.key.clone(),
            organization: place.organization.clone(),
            administrator: place.administrator.clone(),
        })
    }

    /// A connection for gRPC.
    pub(crate) fn channel(&self) -> Result<Channel> {
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&self.pem))
            .domain_name(HOST);
        let endpoint = Endpoint::from_shared(format!("https://{}", self.grpc_addr))?;
        Ok(endpoint.tls_config(tls)?.connect_lazy())
    }

    /// A new connection to the JSON port.
    pub(crate) async fn connect(&self) -> Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.http_addr).await?;
        Ok(self
            .connector
            .connect(ServerName::try_from(HOST)?, stream)
            .await?)
    }

    /// Sends a request on a connection of its own, and reads the whole answer.
    pub(crate) async fn send(
        &self,
        request: http::request::Builder,
        body: impl Into<Bytes>,
    ) -> Result<Answer> {
        let stream = self.connect().await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let request: Request<_> = request.header("host", HOST).body(Full::new(body.into()))?;
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        drop(sender);
        // It has answered: how the connection ends says nothing.
        let _ = connection.await;
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body,
        })
    }
}

pub(crate) fn with_key<T>(message: T, key: &str) -> Result<tonic::Request<T>> {
    let mut request = tonic::Request::new(message);
    let value = MetadataValue::try_from(format!("Bearer {key}"))?;
    request.metadata_mut().insert("authorization", value);
    Ok(request)
}
