//! Certificates for tests, and clients that trust their authority.

use std::{fs, net::SocketAddr, path::Path, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType, date_time_ymd};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, pem::PemObject as _},
    },
};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Error, Identity};

/// What a certificate says of whose it is.
#[derive(Clone, Copy, Default)]
pub(super) struct Names<'a> {
    pub(super) uri: &'a str,
    pub(super) dns: &'a [&'a str],
    pub(super) common: &'a str,
    pub(super) expired: bool,
}

/// The name by which clients call the servers.
pub(super) const HOST: &str = "userbridge.example.com";

pub(super) const SERVER: Names<'_> = Names {
    uri: "",
    dns: &[HOST],
    common: "",
    expired: false,
};

/// A certificate and its key, in PEM.
#[derive(Clone)]
pub(super) struct Pair {
    pub(super) cert: String,
    pub(super) key: String,
}

impl Pair {
    /// Writes them where a server reads them.
    pub(super) fn put(&self, folder: &Path) {
        fs::write(folder.join("cert.pem"), &self.cert).unwrap();
        fs::write(folder.join("key.pem"), &self.key).unwrap();
    }

    pub(super) fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.cert.as_bytes()).unwrap()
    }
}

pub(super) struct Authority {
    pub(super) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            pem,
            issuer: Issuer::new(params, key),
        }
    }

    pub(super) fn certify(&self, names: Names<'_>) -> Pair {
        let dns: Vec<_> = names.dns.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(dns).unwrap();
        params.distinguished_name.remove(DnType::CommonName);
        if !names.common.is_empty() {
            params.distinguished_name.push(DnType::CommonName, names.common);
        }
        if !names.uri.is_empty() {
            let uri = SanType::URI(names.uri.try_into().unwrap());
            params.subject_alt_names.push(uri);
        }
        if names.expired {
            params.not_after = date_time_ymd(2020, 1, 1);
        }
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.issuer).unwrap();
        Pair {
            cert: cert.pem(),
            key: key.serialize_pem(),
        }
    }

    /// A folder with a certificate for servers, and the authority itself.
    pub(super) fn folder(&self) -> TempDir {
        let folder = TempDir::new().unwrap();
        self.certify(SERVER).put(folder.path());
        fs::write(folder.path().join("ca.pem"), &self.pem).unwrap();
        folder
    }

    /// A connection to a server that this authority certifies, for one protocol.
    pub(super) async fn connect(&self, addr: SocketAddr, protocol: &str) -> TlsStream<TcpStream> {
        let stream = TcpStream::connect(addr).await.unwrap();
        self.over(stream, protocol).await.unwrap()
    }

    /// The same on a connection that is there.
    pub(super) async fn over(
        &self,
        stream: TcpStream,
        protocol: &str,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        let own = CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap();
        roots.add(own).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let connector = TlsConnector::from(Arc::new(config));
        connector.connect(HOST.try_into().unwrap(), stream).await
    }

    /// A channel for gRPC to a server that this authority certifies.
    pub(super) async fn channel(&self, addr: SocketAddr, own: Option<&Pair>) -> Result<Channel, Error> {
        let mut config = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&self.pem))
            .domain_name(HOST);
        if let Some(own) = own {
            config = config.identity(Identity::from_pem(&own.cert, &own.key));
        }
        let endpoint = Endpoint::from_shared(format!("https://{addr}")).unwrap();
        endpoint.tls_config(config).unwrap().connect().await
    }
}
