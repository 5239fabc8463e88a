//! Flags of how connections come in: with TLS, through proxies.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::listen::{ForwardedHeader, Network, TlsFiles, TrustedProxies};

/// Flags of the certificate of every listener for clients.
#[derive(Args, Clone, Debug)]
pub struct TlsFlags {
    /// File with the certificate in PEM, and then those between it and an authority: clients are spoken to over TLS, and not
    /// in the clear. It is read again on SIGHUP, and when it changes.
    #[arg(long, env = "USERBRIDGE_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// File with its private key in PEM, without a passphrase.
    #[arg(long, env = "USERBRIDGE_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

impl TlsFlags {
    /// None: no TLS. `client_ca` has the authorities that certify clients.
    #[must_use]
    pub fn files(self, client_ca: Option<PathBuf>) -> Option<TlsFiles> {
        Some(TlsFiles {
            cert: self.tls_cert?,
            key: self.tls_key?,
            client_ca,
        })
    }
}

/// Flags of what stands between clients and the listeners.
#[derive(Args, Clone, Debug)]
pub struct ProxyFlags {
    /// Networks and addresses of proxies, separated by commas: what they say of the client's address, of scheme and host is
    /// taken. What others say of it is not.
    #[arg(
        long,
        env = "USERBRIDGE_TRUSTED_PROXIES",
        value_name = "NETWORKS",
        value_delimiter = ','
    )]
    trusted_proxies: Vec<Network>,
    /// The header that these proxies write. The other one is not looked at, for it is the client's.
    #[arg(
        long,
        env = "USERBRIDGE_FORWARDED_HEADER",
        value_name = "HEADER",
        default_value = "x-forwarded",
        requires = "trusted_proxies"
    )]
    forwarded_header: Header,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Header {
    /// X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host
    XForwarded,
    /// Forwarded (RFC 7239)
    Forwarded,
}

impl ProxyFlags {
    #[must_use]
    pub fn proxies(self) -> TrustedProxies {
        let header = match self.forwarded_header {
            Header::XForwarded => ForwardedHeader::XForwarded,
            Header::Forwarded => ForwardedHeader::Forwarded,
        };
        TrustedProxies::new(self.trusted_proxies, header)
    }
}
