//! Flags of commands that call a server over TLS.

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use tonic::transport::{Endpoint, Uri};
use userbridge_gateway::{UpstreamTls, listen};

use super::{CliError, own_thread::own_thread};

#[derive(Args, Clone, Debug)]
pub(super) struct ServerTls {
    /// File with the authorities in PEM that certify the server: it is asked over TLS, and the address must be a name or an
    /// address of its certificate.
    #[arg(long, env = "USERBRIDGE_TLS_CA", value_name = "FILE")]
    tls_ca: Option<PathBuf>,
    /// File with a certificate in PEM, for a server that asks for one.
    #[arg(
        long,
        env = "USERBRIDGE_CLIENT_CERT",
        value_name = "FILE",
        requires_all = ["client_key", "tls_ca"]
    )]
    client_cert: Option<PathBuf>,
    /// File with its private key in PEM.
    #[arg(
        long,
        env = "USERBRIDGE_CLIENT_KEY",
        value_name = "FILE",
        requires = "client_cert"
    )]
    client_key: Option<PathBuf>,
}

impl ServerTls {
    /// The server that has gRPC at this address.
    pub(super) async fn endpoint(&self, address: &str) -> Result<Endpoint, CliError> {
        let files = self.clone();
        let tls = own_thread(move || Ok(files.read())).await??;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let uri: Uri = format!("{scheme}://{address}")
            .parse()
            .map_err(|_| CliError::NotServing(format!("{address} is no address such as 127.0.0.1:50051")))?;
        match tls {
            Some(tls) => Endpoint::from(uri)
                .tls_config(tls.config())
                .map_err(|error| CliError::NotServing(format!("TLS can't be used: {error}"))),
            None => Ok(Endpoint::from(uri)),
        }
    }

    /// That there is no connection to the server at this address, and why.
    pub(super) fn not_connected(address: &str, error: &tonic::transport::Error) -> CliError {
        let mut cause: &dyn Error = error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        CliError::NotServing(format!("no connection to {address}: {cause}"))
    }

    /// None: the server is called without TLS. Pipes may be among the files.
    fn read(&self) -> Result<Option<UpstreamTls>, CliError> {
        let Some(authorities) = &self.tls_ca else {
            return Ok(None);
        };
        Ok(Some(UpstreamTls {
            authorities: Some(
                listen::authorities(authorities).map_err(|error| CliError::NotServing(error.to_string()))?,
            ),
            identity: match (&self.client_cert, &self.client_key) {
                (Some(cert), Some(key)) => Some((read(cert)?, read(key)?)),
                _ => None,
            },
        }))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    fs::read(path).map_err(|error| CliError::NotServing(format!("{}: {error}", path.display())))
}
