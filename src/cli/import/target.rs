//! Where rows go: to a directory that this program opens, or to a server.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use backon::{ExponentialBuilder, Retryable as _};
use clap::Args;
use tonic::transport::Channel;

use super::outcome::{Named, Outcome};
use crate::{
    cli::{
        CliError, Global, Session,
        error::ImportError,
        progress::{Progress, Unit},
        server_tls::ServerTls,
    },
    domain::{ImportRow, OrganizationId, Slug},
    rpc::{ImportAnswer, ImportClient},
    service::{Imported, ServiceError, Write},
    storage,
};

/// Rows that are sent to a server at once.
const ROWS_SENT: usize = 1000;

/// How long a server may take to be there.
const CONNECT: Duration = Duration::from_secs(10);

/// How often, and after which pauses, it is tried again what a disk, a database or others who write are in the way of.
const ATTEMPTS: usize = 8;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

#[derive(Args, Debug)]
pub(super) struct To {
    /// The organization's slug; with `--server` its id, if the key is not one of this organization.
    #[arg(long, required_unless_present = "server")]
    org: Option<String>,
    /// Where a server has gRPC, such as 127.0.0.1:50051: it gets the rows, and no database is opened.
    #[arg(long, value_name = "ADDR", requires = "api_key_file")]
    server: Option<String>,
    /// File with a key of the scope `directory.write`, which may end with a line break.
    #[arg(long, env = "USERBRIDGE_API_KEY_FILE", value_name = "FILE")]
    api_key_file: Option<PathBuf>,
    #[command(flatten)]
    tls: ServerTls,
}

/// What rows are imported into.
pub(super) enum Target {
    Directory(Session, OrganizationId),
    Server {
        channel: Channel,
        key: String,
        organization: Option<OrganizationId>,
    },
}

impl To {
    pub(super) async fn open(&self, global: &Global) -> Result<Target, CliError> {
        let Some(server) = &self.server else {
            let slug: Result<Slug, _> = self.org.clone().unwrap_or_default().parse();
            let slug = slug.map_err(|error| CliError::Usage(format!("--org {error}")))?;
            let opening = Progress::new(global.json, "open", Unit::Nothing);
            let session = opening.during(Session::open_for_bulk(global)).await?;
            return match session.organization(&slug).await {
                Ok(organization) => Ok(Target::Directory(session, organization)),
                Err(error) => session.close(Err(error)).await,
            };
        };
        let organization = self.org.as_ref().map(|id| id.parse());
        let organization = organization
            .transpose()
            .map_err(|_| CliError::Usage("--org takes the organization's id with --server".to_owned()))?;
        let path = self.api_key_file.as_ref();
        let path = path.ok_or_else(|| CliError::Usage("--server takes --api-key-file".to_owned()))?;
        let key = fs::read_to_string(path)
            .map_err(|error| CliError::NotFound(format!("{}: {error}", path.display())))?;
        let channel = (self.tls.endpoint(server)?)
            .connect_timeout(CONNECT)
            .connect()
            .await;
        Ok(Target::Server {
            channel: channel
                .map_err(|_| CliError::NotServing(format!("{server} does not accept connections")))?,
            key: key.trim_end_matches(['\r', '\n']).to_owned(),
            organization,
        })
    }
}

impl Target {
    /// How many rows it takes at once.
    pub(super) fn batch(&self) -> usize {
        match self {
            Self::Directory(session, _) => storage::bulk_rows(&session.url),
            Self::Server { .. } => ROWS_SENT,
        }
    }

    /// Begins an import, or one that changes nothing.
    pub(super) async fn begin(&self, rehearse: bool) -> Result<Importing<'_>, ImportError> {
        Ok(match self {
            Self::Directory(session, organization) => Importing::Directory {
                session,
                organization: *organization,
                rehearse,
            },
            Self::Server {
                channel,
                key,
                organization,
            } => {
                let import = ImportClient::begin(channel.clone(), key, *organization, rehearse);
                Importing::Server(Box::new(import.await?))
            }
        })
    }

    pub(super) async fn close<T>(self, result: Result<T, CliError>) -> Result<T, CliError> {
        match self {
            Self::Directory(session, _) => session.close(result).await,
            Self::Server { .. } => result,
        }
    }
}

/// An import, while it lasts.
pub(super) enum Importing<'t> {
    Directory {
        session: &'t Session,
        organization: OrganizationId,
        rehearse: bool,
    },
    Server(Box<ImportClient>),
}

impl Importing<'_> {
    /// What became of each row.
    pub(super) async fn import(&mut self, rows: Vec<ImportRow>) -> Result<Vec<Outcome>, ImportError> {
        match self {
            Self::Directory {
                session,
                organization,
                rehearse,
            } => {
                let directory = &session.directory;
                let rows = Arc::new(rows);
                let import = || async {
                    let (grant, rows) = (Write::operator(*organization), rows.clone());
                    if *rehearse {
                        directory.rehearse_import(grant, rows).await
                    } else {
                        directory.import_members(grant, rows).await
                    }
                };
                let pauses = ExponentialBuilder::new()
                    .with_min_delay(FIRST_PAUSE)
                    .with_max_delay(LONGEST_PAUSE)
                    .with_max_times(ATTEMPTS);
                let imported = import
                    .retry(pauses)
                    .sleep(tokio::time::sleep)
                    .when(passes)
                    .await?;
                Ok(imported.into_iter().map(outcome).collect())
            }
            Self::Server(import) => {
                let answers = import.import(rows).await?;
                Ok(answers.into_iter().map(answered).collect())
            }
        }
    }
}

/// Whether it may be another time. What has been imported then is unchanged the next time.
const fn passes(error: &ServiceError) -> bool {
    matches!(error, ServiceError::Overloaded | ServiceError::Unavailable(_))
}

fn outcome(imported: Imported) -> Outcome {
    match imported {
        Imported::Created(_) => Outcome::Created,
        Imported::Updated(_) => Outcome::Updated,
        Imported::Unchanged(_) => Outcome::Unchanged,
        Imported::Rejected(rejection) => {
            let flaw: Named = (String::new(), rejection.to_string());
            Outcome::Rejected(vec![flaw])
        }
    }
}

fn answered(answer: ImportAnswer) -> Outcome {
    match answer {
        ImportAnswer::Created => Outcome::Created,
        ImportAnswer::Updated => Outcome::Updated,
        ImportAnswer::Unchanged => Outcome::Unchanged,
        ImportAnswer::Rejected(flaws) => Outcome::Rejected(flaws),
    }
}
