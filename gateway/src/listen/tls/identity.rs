//! Who a client is, by its certificate.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use tokio_rustls::rustls::pki_types::CertificateDer;
use x509_cert::{
    certificate::{CertificateInner, Raw},
    der::Decode as _,
    ext::pkix::{SubjectAltName, name::GeneralName},
};

/// The longest name that is taken from a certificate, in bytes.
const MAX_NAME: usize = 255;

/// Whom the certificate of a connection names, once it was verified: each request of the connection has it as an extension.
///
/// It is the first URI, else the first DNS name of the subject's alternative names, else the common name of the subject. One
/// that is empty, longer than 255 bytes or has control characters is passed over. Where none is left, it is `sha256:` and the
/// digest of the certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientIdentity(Arc<str>);

impl ClientIdentity {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(in crate::listen) fn of(certificate: &CertificateDer<'_>) -> Self {
        let name = named(certificate);
        Self(name.unwrap_or_else(|| fingerprint(certificate)).into())
    }
}

fn named(certificate: &[u8]) -> Option<String> {
    let certificate = CertificateInner::<Raw>::from_der(certificate).ok()?;
    let certificate = certificate.tbs_certificate();
    let alternatives = certificate.get_extension::<SubjectAltName>();
    let alternatives = alternatives.ok().flatten().map(|(_, names)| names.0);
    let alternatives = alternatives.unwrap_or_default();
    let uris = alternatives.iter().filter_map(|name| match name {
        GeneralName::UniformResourceIdentifier(uri) => Some(uri.as_str()),
        _ => None,
    });
    let hosts = alternatives.iter().filter_map(|name| match name {
        GeneralName::DnsName(host) => Some(host.as_str()),
        _ => None,
    });
    let common = certificate.subject().common_name().ok().flatten();
    let mut names = uris
        .chain(hosts)
        .map(str::to_owned)
        .chain(common.map(|name| name.value().into_owned()));
    names.find(|name| is_sound(name))
}

fn is_sound(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len()) && !name.chars().any(char::is_control)
}

fn fingerprint(certificate: &[u8]) -> String {
    let digest = Sha256::digest(certificate);
    let digits = digest.iter().map(|byte| format!("{byte:02x}"));
    std::iter::once("sha256:".to_owned()).chain(digits).collect()
}
