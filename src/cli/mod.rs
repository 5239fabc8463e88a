//! The command line: one file for each command.
//!
//! Commands other than `serve` and `health` open the database themselves. They work beside a running server, which sees
//! what they change with its next request.

mod compact;
mod demo;
mod error;
mod event;
mod health;
mod key;
mod member;
mod migrate;
mod org;
mod output;
mod serve;
mod table;
mod team;

use std::sync::Arc;

use clap::{Args, Parser, Subcommand};

pub use error::CliError;

use crate::{
    domain::{OrganizationId, OrganizationRef, Slug},
    service::{Admin, Directory},
    storage::{self, Migrate, Storage},
};

/// A multi-tenant directory of users: gRPC for internal services, JSON for integrators.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    global: Global,
}

#[derive(Args, Debug)]
struct Global {
    /// The database, as a URL such as `sqlite:/var/lib/userbridge/users.db` [default: `sqlite:userbridge.db`]
    #[arg(long, env = "USERBRIDGE_DATABASE_URL", value_name = "URL", global = true)]
    database_url: Option<String>,
    /// Print JSON: an object, or an array for a list.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "a run has one")]
enum Command {
    /// Serve gRPC and JSON until told to stop (SIGTERM or Ctrl-C).
    Serve(serve::Serve),
    /// Manage organizations.
    #[command(subcommand)]
    Org(org::Org),
    /// Manage API keys.
    #[command(subcommand)]
    Key(key::Key),
    /// Manage the members of an organization.
    #[command(subcommand)]
    Member(member::MemberCommand),
    /// Manage the teams of an organization.
    #[command(subcommand)]
    Team(team::TeamCommand),
    /// Look at the event log.
    #[command(subcommand)]
    Event(event::EventCommand),
    /// Create the database, or bring its schema up to date.
    Migrate,
    /// Write the database file anew, without any trace of what was erased. Changes wait until it is done.
    Compact,
    /// Ask a running server whether it serves.
    Health(health::Health),
}

impl Global {
    fn database_url(&self) -> &str {
        self.database_url.as_deref().unwrap_or("sqlite:userbridge.db")
    }
}

/// Runs one command and prints what it has to say.
///
/// # Errors
///
/// A message of one line and an exit code.
pub async fn run(cli: Cli) -> Result<(), CliError> {
    let global = cli.global;
    match cli.command {
        Command::Serve(command) => command.run(&global).await,
        Command::Org(command) => command.run(&global).await,
        Command::Key(command) => command.run(&global).await,
        Command::Member(command) => command.run(&global).await,
        Command::Team(command) => command.run(&global).await,
        Command::Event(command) => command.run(&global).await,
        Command::Migrate => migrate::run(&global).await,
        Command::Compact => compact::run(&global).await,
        Command::Health(command) => command.run(&global).await,
    }
}

/// A directory opened for one command.
struct Session {
    url: String,
    directory: Directory,
    storage: Arc<dyn Storage>,
}

impl Session {
    async fn open(global: &Global, migrate: Migrate) -> Result<Self, CliError> {
        let url = global.database_url();
        let storage = storage::connect(url, migrate)
            .await
            .map_err(|error| CliError::Store {
                database: storage::name(url),
                error,
            })?;
        Ok(Self {
            url: url.to_owned(),
            directory: Directory::new(storage.clone()),
            storage,
        })
    }

    /// Not found: also one that was deleted.
    async fn organization(&self, slug: &Slug) -> Result<OrganizationId, CliError> {
        let key = OrganizationRef::Slug(slug.clone());
        Ok(self.directory.organization(Admin::OPERATOR, key).await?.id)
    }

    /// Closes the database, then passes the command's result on.
    async fn close<T>(self, result: Result<T, CliError>) -> Result<T, CliError> {
        self.storage.close().await;
        result.map_err(|error| error.about(&self.url))
    }
}
