//! The files of a listener's TLS, and what they come to.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::fs::{Mode, OFlags, open};
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use tokio_rustls::rustls::{
    self, RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{
        CertificateDer, PrivateKeyDer, UnixTime,
        pem::{self, PemObject as _},
    },
    server::{
        NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier, danger::ClientCertVerifier,
    },
};
use x509_cert::{
    certificate::{CertificateInner, Raw},
    der::{self, Decode as _},
};

/// The most that is read of one file, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// What is spoken inside, best first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Where a listener's TLS comes from: files in PEM.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate, then those between it and an authority.
    pub cert: PathBuf,
    /// Its private key, without a passphrase.
    pub key: PathBuf,
    /// The authorities that certify who may connect, where clients are asked. None: nobody is asked.
    pub client_ca: Option<PathBuf>,
}

/// Why files can't be used.
#[derive(Debug, Error)]
pub enum TlsError {
    #[error("{0}: {1}")]
    Read(PathBuf, #[source] io::Error),
    #[error("{0}: it is no regular file")]
    NoFile(PathBuf),
    #[error("{0}: larger than 1 MiB")]
    TooLarge(PathBuf),
    #[error("{0}: not readable as PEM: {1}")]
    Pem(PathBuf, #[source] pem::Error),
    #[error("{0} has no certificate in PEM")]
    NoCertificate(PathBuf),
    #[error("{0} has no private key in PEM; one with a passphrase can't be read")]
    NoKey(PathBuf),
    #[error("{0}: the first certificate can't be read: {1}")]
    Certificate(PathBuf, #[source] der::Error),
    #[error("{0}: the certificate is not valid before {1}")]
    NotYetValid(PathBuf, String),
    #[error("{0}: the certificate has expired on {1}")]
    Expired(PathBuf, String),
    #[error("{0} and {1} can't be used together: {2}")]
    Pair(PathBuf, PathBuf, #[source] rustls::Error),
    #[error("{0}: a certificate is none of an authority: {1}")]
    Authority(PathBuf, #[source] rustls::Error),
    #[error("{0}: {1}")]
    Authorities(PathBuf, #[source] VerifierBuilderError),
    #[error("cannot listen to SIGHUP: {0}")]
    Signal(#[source] io::Error),
}

impl TlsFiles {
    /// Says in the log that others than its owner and group may read the key.
    pub(super) fn warn_of_readers(&self) {
        let mode = fs::metadata(&self.key).map(|key| key.permissions().mode());
        if mode.is_ok_and(|mode| mode & 0o004 != 0) {
            tracing::warn!(key = %self.key.display(), "everybody on this machine can read the private key");
        }
    }
}

/// For listeners that ask nobody for a certificate, and for those that do.
#[derive(Debug)]
pub(super) struct Configs {
    pub(super) open: Arc<ServerConfig>,
    pub(super) asking: Arc<ServerConfig>,
}

/// The files as they were at one time.
pub(super) struct Contents {
    cert: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Contents {
    pub(super) fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        Ok(Self {
            cert: read(&files.cert)?,
            key: read(&files.key)?,
            client_ca: files.client_ca.as_deref().map(read).transpose()?,
        })
    }

    /// By this they are known again, without keeping the key.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut all = Sha256::new();
        for file in [Some(&self.cert), Some(&self.key), self.client_ca.as_ref()] {
            all.update(file.map(Sha256::digest).unwrap_or_default());
        }
        all.finalize().into()
    }

    pub(super) fn configs(&self, files: &TlsFiles) -> Result<Configs, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let chain = certificates(&files.cert, &self.cert)?;
        if let Some(first) = chain.first() {
            check_validity(&files.cert, first, UnixTime::now().as_secs())?;
        }
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|error| match error {
            pem::Error::NoItemsFound => TlsError::NoKey(files.key.clone()),
            error => TlsError::Pem(files.key.clone(), error),
        })?;
        let config = |verifier| {
            config(&provider, verifier, chain.clone(), key.clone_key())
                .map_err(|error| TlsError::Pair(files.cert.clone(), files.key.clone(), error))
        };
        let open = Arc::new(config(WebPkiClientVerifier::no_client_auth())?);
        let asking = match (&files.client_ca, &self.client_ca) {
            (Some(path), Some(text)) => {
                let mut config = config(verifier(path, text, &provider)?)?;
                // A session that goes on would outlive the client's certificate.
                config.session_storage = Arc::new(NoServerSessionStorage {});
                config.send_tls13_tickets = 0;
                Arc::new(config)
            }
            _ => Arc::clone(&open),
        };
        Ok(Configs { open, asking })
    }
}

/// What a file with authorities has, in PEM: at least one certificate.
///
/// # Errors
///
/// It can't be read, or has none.
pub fn authorities(path: &Path) -> Result<Vec<u8>, TlsError> {
    let file = File::open(path).map_err(|error| TlsError::Read(path.to_owned(), error))?;
    let text = content(path, file)?;
    certificates(path, &text)?;
    Ok(text)
}

/// What can be read again, without waiting for anybody: a pipe is refused.
fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |error| TlsError::Read(path.to_owned(), error);
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = open(path, flags, Mode::empty()).map_err(|error| failed(error.into()))?;
    let file = File::from(file);
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(TlsError::NoFile(path.to_owned()));
    }
    content(path, file)
}

fn content(path: &Path, file: File) -> Result<Vec<u8>, TlsError> {
    let failed = |error| TlsError::Read(path.to_owned(), error);
    let mut text = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut text).map_err(failed)?;
    if u64::try_from(text.len()).is_ok_and(|length| length <= MAX_FILE) {
        Ok(text)
    } else {
        Err(TlsError::TooLarge(path.to_owned()))
    }
}

/// At least one.
fn certificates(path: &Path, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    let found = found.map_err(|error| TlsError::Pem(path.to_owned(), error))?;
    if found.is_empty() {
        return Err(TlsError::NoCertificate(path.to_owned()));
    }
    Ok(found)
}

/// `now` is in seconds since 1970.
fn check_validity(path: &Path, certificate: &CertificateDer<'_>, now: u64) -> Result<(), TlsError> {
    let certificate = CertificateInner::<Raw>::from_der(certificate)
        .map_err(|error| TlsError::Certificate(path.to_owned(), error))?;
    let validity = certificate.tbs_certificate().validity();
    if now < validity.not_before.to_unix_duration().as_secs() {
        let from = validity.not_before.to_date_time().to_string();
        return Err(TlsError::NotYetValid(path.to_owned(), from));
    }
    if now > validity.not_after.to_unix_duration().as_secs() {
        let until = validity.not_after.to_date_time().to_string();
        return Err(TlsError::Expired(path.to_owned(), until));
    }
    Ok(())
}

fn verifier(
    path: &Path,
    text: &[u8],
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for authority in certificates(path, text)? {
        roots
            .add(authority)
            .map_err(|error| TlsError::Authority(path.to_owned(), error))?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|error| TlsError::Authorities(path.to_owned(), error))
}

fn config(
    provider: &Arc<CryptoProvider>,
    verifier: Arc<dyn ClientCertVerifier>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)?;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok(config)
}
