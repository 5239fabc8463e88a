//! The command line: one file for each command, but for `migrate` and `compact`, which are short.
//!
//! Commands other than `serve` and `health` open the database themselves, and `copy` two. They work beside a running server,
//! which sees what they change with its next request.

mod backup;
mod call_flags;
mod check;
mod config;
mod copy;
mod demo;
mod error;
mod event;
mod export;
mod health;
mod import;
mod key;
mod mail;
mod mail_flags;
mod member;
mod org;
mod organization_at;
mod output;
mod own_thread;
mod progress;
mod secret_file;
mod serve;
mod server_tls;
mod table;
mod team;

use std::{path::PathBuf, sync::Arc};

use clap::{Args, Parser, Subcommand};
use serde_json::json;

pub use error::CliError;
use userbridge_gateway::{
    config_file::{self, ConfigFile, Parsed},
    program::outlive_file_limits,
};

use self::{
    progress::{Progress, Unit},
    secret_file::password,
};
use crate::{
    domain::{OrganizationId, OrganizationRef, Slug},
    service::{Admin, Directory},
    storage::{self, Migrate, OpenError, Storage},
};

/// A multi-tenant directory of users: gRPC for internal services, JSON for integrators.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    global: Global,
    #[command(flatten)]
    config: ConfigFile,
}

/// The subcommand whose flags are the settings of the file.
const SERVE: &str = "serve";

/// The database where none is named.
const DATABASE_URL: &str = "sqlite:userbridge.db";

#[derive(Args, Debug)]
struct Global {
    /// The database, as a URL such as `sqlite:/var/lib/userbridge/users.db` or `postgres://user@host/users?sslmode=verify-full`.
    /// Other users of the machine see the command line, so a password belongs into the variable or into a file
    /// [default: `sqlite:userbridge.db`]
    #[arg(
        long,
        env = "USERBRIDGE_DATABASE_URL",
        hide_env_values = true,
        value_name = "URL",
        global = true
    )]
    database_url: Option<String>,
    /// A file with the password for a `postgres:` URL, which may end with a line break.
    #[arg(
        long,
        env = "USERBRIDGE_DATABASE_PASSWORD_FILE",
        value_name = "FILE",
        global = true
    )]
    database_password_file: Option<PathBuf>,
    /// Print JSON: an object, or an array for a list.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve gRPC and JSON until told to stop (SIGTERM or Ctrl-C).
    Serve(serve::Serve),
    #[command(flatten)]
    OnDatabase(OnDatabase),
    /// Copy a directory into a new database, of another kind or of the same.
    ///
    /// Stop the servers of both first. What a copy that was cut off has copied stays: the same command goes on from there.
    /// In the end both are read and compared. Until then the new database is not opened by any other command.
    Copy(copy::Copy),
    /// Write a backup: all of the database, as it is now, into one file. Servers go on meanwhile.
    Backup(backup::Backup),
    /// Put a backup in the place of the database, and check it. Stop the servers first.
    ///
    /// Into PostgreSQL it goes into a new database; if it is cut off, the same command goes on.
    Restore(backup::Restore),
    /// Import members from a file: CSV, NDJSON, JSON, or users of Zendesk, Freshdesk or The Bridge.
    ///
    /// Who is there is found by source and external id, or by address, and changed where the file says otherwise; the others are
    /// linked. What is empty in the file stays as it is, and nobody is revoked. The same import again changes nothing, also after
    /// one that was cut off. Exit code 5 if rows were not taken.
    Import(import::Import),
    /// Export the members of an organization to a file that `import` reads: each value of theirs, and when they were linked.
    Export(export::Export),
    /// Look whether all that is stored fits together. Servers go on meanwhile.
    ///
    /// Each finding is a line; exit code 1 if there is any.
    Check,
    /// Ask a running server whether it serves.
    Health(health::Health),
    /// Show the settings that `serve` would have with the same flags, and where each is from. Passwords are left out.
    Config(config::Config),
}

impl Cli {
    /// Whether it is long work that is done beside servers, whose callers come first.
    #[must_use]
    pub const fn gives_way(&self) -> bool {
        matches!(
            self.command,
            Command::Import(_) | Command::Export(_) | Command::Backup(_) | Command::Check
        )
    }
}

/// Commands that open the database.
#[derive(Debug, Subcommand)]
enum OnDatabase {
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
    /// Look at the mails of an organization.
    #[command(subcommand)]
    Mail(mail::Mails),
    /// Look at the event log.
    #[command(subcommand)]
    Event(event::EventCommand),
    /// Create the database, or bring its schema up to date.
    Migrate,
    /// Write the database file anew, without any trace of what was erased. Changes wait until it is done.
    Compact,
}

impl Global {
    /// With the password, if that is in a file.
    async fn database_url(&self) -> Result<String, CliError> {
        let url = self.database_url.as_deref().unwrap_or(DATABASE_URL);
        let Some(password) = self.password().await? else {
            return Ok(url.to_owned());
        };
        storage::with_password(url, &password)
            .ok_or_else(|| CliError::Usage("--database-password-file takes a postgres: URL".to_owned()))
    }

    /// The password that is in a file.
    async fn password(&self) -> Result<Option<String>, CliError> {
        match &self.database_password_file {
            Some(path) => Ok(Some(password(path).await?)),
            None => Ok(None),
        }
    }
}

/// The command line, with the settings of the file that it or the environment names. Ends the process if it is not understood,
/// or asks for help.
///
/// # Errors
///
/// The file has something that is no setting.
pub fn parse() -> Result<Parsed<Cli>, CliError> {
    Ok(config_file::parse(Some(SERVE))?)
}

/// Runs one command and prints what it has to say.
///
/// # Errors
///
/// A message of one line and an exit code.
pub async fn run(parsed: Parsed<Cli>) -> Result<(), CliError> {
    outlive_file_limits()?;
    let global = parsed.arguments.global;
    match parsed.arguments.command {
        Command::Serve(command) => command.run(&global).await,
        Command::OnDatabase(command) => {
            let migrating = Progress::new(global.json, "migrate", Unit::Nothing);
            let session = migrating
                .during(Session::open(&global, command.migrates()))
                .await?;
            let result = command.run(&session).await;
            session.close(result).await
        }
        Command::Copy(command) => command.run(&global).await,
        Command::Backup(command) => command.run(&global).await,
        Command::Restore(command) => command.run(&global).await,
        Command::Import(command) => command.run(&global, &parsed.given).await,
        Command::Export(command) => command.run(&global, &parsed.given).await,
        Command::Check => check::check(&global, &global.database_url().await?).await,
        Command::Health(command) => command.run(&global).await,
        Command::Config(_) => config::show(&global, parsed.given.settings()),
    }
}

impl OnDatabase {
    const fn migrates(&self) -> Migrate {
        match self {
            Self::Migrate => Migrate::Always,
            Self::Org(org::Org::Create { .. }) => Migrate::OnlyEmpty,
            _ => Migrate::Never,
        }
    }

    async fn run(self, session: &Session) -> Result<(), CliError> {
        match self {
            Self::Org(command) => command.run(session).await,
            Self::Key(command) => command.run(session).await,
            Self::Member(command) => command.run(session).await,
            Self::Team(command) => command.run(session).await,
            Self::Event(command) => command.run(session).await,
            Self::Mail(command) => command.run(session).await,
            Self::Migrate => {
                let line = format_args!("{} is up to date", storage::name(&session.url));
                output::say(session.json, &json!({ "migrated": true }), line)
            }
            Self::Compact => {
                let progress = Progress::new(session.json, "compact", Unit::Nothing);
                let compacted = progress.during(session.storage.compact()).await;
                compacted.map_err(OpenError::from)?;
                let line = format_args!("{} is compacted", storage::name(&session.url));
                output::say(session.json, &json!({ "compacted": true }), line)
            }
        }
    }
}

/// A directory opened for one command.
struct Session {
    url: String,
    /// Print JSON.
    json: bool,
    directory: Directory,
    storage: Arc<dyn Storage>,
}

impl Session {
    async fn open(global: &Global, migrate: Migrate) -> Result<Self, CliError> {
        let url = global.database_url().await?;
        let opened = storage::connect(&url, migrate).await;
        Self::of(global, url, opened)
    }

    /// For very many changes.
    async fn open_for_bulk(global: &Global) -> Result<Self, CliError> {
        let url = global.database_url().await?;
        let opened = storage::connect_for_bulk(&url, Migrate::Never).await;
        Self::of(global, url, opened)
    }

    fn of(
        global: &Global,
        url: String,
        opened: Result<Arc<dyn Storage>, OpenError>,
    ) -> Result<Self, CliError> {
        let storage = opened.map_err(|error| CliError::from(error).about(&url))?;
        Ok(Self {
            url,
            json: global.json,
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
