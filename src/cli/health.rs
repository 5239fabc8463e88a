//! `userbridge health`.

use std::time::Duration;

use clap::Args;
use tonic::Request;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::{CliError, Global, output, server_tls::ServerTls};

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
    #[command(flatten)]
    tls: ServerTls,
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

    async fn ask(&self) -> Result<ServingStatus, CliError> {
        let failed = |what: &str| CliError::NotServing(format!("{} {what}", self.grpc_addr));
        let channel = (self.tls.endpoint(&self.grpc_addr).await?)
            .connect_timeout(TIMEOUT)
            .timeout(TIMEOUT)
            .connect()
            .await
            .map_err(|error| ServerTls::not_connected(&self.grpc_addr, &error))?;
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
