//! Flags of commands that find an organization in a database, or on a server.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use userbridge_gateway::config_file::Given;

use super::{CliError, Session, secret_file::key, server_tls::ServerTls};
use crate::{
    domain::{OrganizationId, Slug},
    rpc::TransferClient,
};

/// How long a server may take to be there.
const CONNECT: Duration = Duration::from_secs(10);

/// How long it may be silent before it is asked whether it is there, and how long it may take to say so: its system may be gone
/// without a word.
const SILENCE: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Args, Debug)]
pub(super) struct OrganizationAt {
    /// The organization's slug; with `--server` its id, if the key is not one of this organization.
    #[arg(long, required_unless_present = "server")]
    org: Option<String>,
    /// Where a server has gRPC, such as 127.0.0.1:50051: no database is opened.
    #[arg(long, value_name = "ADDR", requires = "api_key_file")]
    server: Option<String>,
    /// File with a key, which may end with a line break. Its scope is `directory.write` to import, `directory.read` to export.
    #[arg(long, env = "USERBRIDGE_API_KEY_FILE", value_name = "FILE")]
    api_key_file: Option<PathBuf>,
    #[command(flatten)]
    tls: ServerTls,
}

/// Where it was found.
pub(super) enum Opened {
    Directory(Session, OrganizationId),
    Server(TransferClient),
}

/// What says something only of a server.
const OF_A_SERVER: [&str; 4] = ["api-key-file", "tls-ca", "client-cert", "client-key"];

impl OrganizationAt {
    /// That a server is named where the command line has something for one. Variables may be there for other commands.
    pub(super) fn require_server(&self, given: &Given) -> Result<(), CliError> {
        let mut flags = OF_A_SERVER.iter();
        match flags.find(|flag| self.server.is_none() && given.is_on_command_line(flag)) {
            Some(flag) => Err(CliError::Usage(format!("--{flag} takes --server"))),
            None => Ok(()),
        }
    }

    /// Finds it on the server that was named, or else in the database, which `session` opens.
    pub(super) async fn open(
        &self,
        session: impl Future<Output = Result<Session, CliError>>,
    ) -> Result<Opened, CliError> {
        if let Some(server) = self.server().await? {
            return Ok(Opened::Server(server));
        }
        let slug: Result<Slug, _> = self.org.clone().unwrap_or_default().parse();
        let slug = slug.map_err(|error| CliError::Usage(format!("--org {error}")))?;
        let session = session.await?;
        match session.organization(&slug).await {
            Ok(organization) => Ok(Opened::Directory(session, organization)),
            Err(error) => session.close(Err(error)).await,
        }
    }

    /// None: no server was named. One that is has accepted a connection.
    async fn server(&self) -> Result<Option<TransferClient>, CliError> {
        let Some(server) = &self.server else {
            return Ok(None);
        };
        let organization = self.org.as_ref().map(|id| id.parse());
        let organization = organization
            .transpose()
            .map_err(|_| CliError::Usage("--org takes the organization's id with --server".to_owned()))?;
        let path = self.api_key_file.as_ref();
        let path = path.ok_or_else(|| CliError::Usage("--server takes --api-key-file".to_owned()))?;
        let key = key(path).await?;
        let channel = (self.tls.endpoint(server).await?)
            .connect_timeout(CONNECT)
            .http2_keep_alive_interval(SILENCE)
            .keep_alive_timeout(PATIENCE)
            .connect()
            .await
            .map_err(|error| ServerTls::not_connected(server, &error))?;
        Ok(Some(TransferClient::new(channel, &key, organization)?))
    }
}

impl Opened {
    /// Closes the database, if one was opened, then passes the command's result on.
    pub(super) async fn close<T>(self, result: Result<T, CliError>) -> Result<T, CliError> {
        match self {
            Self::Directory(session, _) => session.close(result).await,
            Self::Server(_) => result,
        }
    }
}
