//! `userbridge health`.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use tonic::{
    Request,
    transport::{Endpoint, Uri},
};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use userbridge_gateway::UpstreamTls;

use super::{CliError, Global, output};

/// For the connection, and again for the answer.
const TIMEOUT: Duration = Duration::from_secs(3);

#[derive(Args, Debug)]
pub(super) struct Health {
    /// Where the server has gRPC.
    #[arg(
        long,
        env = "USERBRIDGE_GRPC_ADDR",
        value_name = "ADDR",
        default_value = "127.0.0.1:50051"
    )]
    grpc_addr: String,
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

impl Health {
    pub(super) async fn run(self, global: &Global) -> Result<(), CliError> {
        let status = self.ask().await?;
        let name = status.as_str_name();
        output::say(global.json, &serde_json::json!({ "status": name }), name)?;
        if status == ServingStatus::Serving {
            Ok(())
        } else {
            Err(CliError::NotServing(format!("{} is not serving", self.grpc_addr)))
        }
    }

    fn tls(&self) -> Result<Option<UpstreamTls>, CliError> {
        let Some(authorities) = &self.tls_ca else {
            return Ok(None);
        };
        Ok(Some(UpstreamTls {
            authorities: Some(read(authorities)?),
            identity: match (&self.client_cert, &self.client_key) {
                (Some(cert), Some(key)) => Some((read(cert)?, read(key)?)),
                _ => None,
            },
        }))
    }

    async fn ask(&self) -> Result<ServingStatus, CliError> {
        let failed = |what: &str| CliError::NotServing(format!("{} {what}", self.grpc_addr));
        let scheme = if self.tls_ca.is_some() { "https" } else { "http" };
        let uri: Uri = format!("{scheme}://{}", self.grpc_addr)
            .parse()
            .map_err(|_| failed("is no address such as 127.0.0.1:50051"))?;
        let endpoint = match self.tls()? {
            Some(tls) => Endpoint::from(uri)
                .tls_config(tls.config())
                .map_err(|error| CliError::NotServing(format!("TLS can't be used: {error}")))?,
            None => Endpoint::from(uri),
        };
        let channel = endpoint
            .connect_timeout(TIMEOUT)
            .timeout(TIMEOUT)
            .connect()
            .await
            .map_err(|_| failed("does not accept connections"))?;
        let request = Request::new(HealthCheckRequest {
            service: String::new(),
        });
        let response = HealthClient::new(channel)
            .check(request)
            .await
            .map_err(|_| failed("did not say how it is"))?;
        Ok(response.into_inner().status())
    }
}

fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    fs::read(path).map_err(|error| CliError::NotServing(format!("{}: {error}", path.display())))
}
