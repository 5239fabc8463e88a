//! `userbridge export`.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use tokio::sync::mpsc;
use userbridge_gateway::{config_file::Given, program::StopSignals};

use super::{
    CliError, Global, Session,
    organization_at::{Opened, OrganizationAt},
    output::{self, PAGE},
    own_thread::own_thread,
    progress::{Progress, Unit},
};
use crate::{
    domain::{Member, OrganizationId},
    rpc::ExportClient,
    service::{AllPlace, Read},
    storage::{self, Migrate, backup::folder_of},
    transfer::{Format, Writer},
};

/// Standard output.
const STREAM: &str = "-";

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Written {
    Csv,
    Ndjson,
}

#[derive(Args, Debug)]
pub(super) struct Export {
    #[command(flatten)]
    at: OrganizationAt,
    /// How to write it.
    #[arg(long, value_enum, default_value = "csv")]
    format: Written,
    /// Also those who were revoked and are not erased, after all others.
    #[arg(long)]
    revoked: bool,
    /// The file to write, or `-` for standard output. One that is there is replaced when the new one is whole; a pipe or a device
    /// is written through.
    #[arg(default_value = STREAM)]
    file: PathBuf,
}

/// Where members come from, and which are next.
enum Members<'s> {
    Directory {
        session: &'s Session,
        organization: OrganizationId,
        with_revoked: bool,
        next: Option<AllPlace>,
    },
    Server(Box<ExportClient>),
}

impl<'s> Members<'s> {
    async fn of(source: &'s Opened, with_revoked: bool) -> Result<Self, CliError> {
        Ok(match source {
            Opened::Directory(session, organization) => Self::Directory {
                session,
                organization: *organization,
                with_revoked,
                next: Some(AllPlace::START),
            },
            Opened::Server(server) => Self::Server(Box::new(server.export(with_revoked).await?)),
        })
    }

    async fn next(&mut self) -> Result<Option<Vec<Member>>, CliError> {
        match self {
            Self::Directory {
                session,
                organization,
                with_revoked,
                next,
            } => {
                let Some(place) = next.take() else {
                    return Ok(None);
                };
                let grant = Read::operator(*organization);
                let (members, then) = session
                    .directory
                    .all_members(grant, place, *with_revoked, PAGE)
                    .await?;
                *next = then;
                Ok(Some(members))
            }
            Self::Server(export) => Ok(export.next().await?),
        }
    }
}

impl Export {
    pub(super) async fn run(self, global: &Global, given: &Given) -> Result<(), CliError> {
        self.at.require_server(given)?;
        let mut signals = StopSignals::listen()?;
        let source = tokio::select! {
            source = self.at.open(Session::open(global, Migrate::Never)) => source?,
            () = signals.recv() => return Err(CliError::Interrupted),
        };
        let exported = tokio::select! {
            exported = self.export(global, &source) => exported,
            () = signals.recv() => Err(CliError::Interrupted),
        };
        source.close(exported).await
    }

    async fn export(&self, global: &Global, source: &Opened) -> Result<(), CliError> {
        if let Opened::Directory(session, _) = source
            && storage::is_file_of(&session.url, &self.file)
        {
            let file = self.file.display();
            return Err(CliError::Conflict(format!("{file}: it is the database itself")));
        }
        let members = Members::of(source, self.revoked).await?;
        let progress = Progress::new(global.json, "export", Unit::Nothing);
        if self.file == Path::new(STREAM) {
            progress
                .during(self.write(members, io::stdout(), &progress))
                .await?;
            return Ok(());
        }
        let place = match fs::metadata(&self.file) {
            Ok(there) if !there.is_file() => {
                let path = self.file.clone();
                // A pipe is open when somebody reads it.
                let through = own_thread(move || File::options().write(true).open(path)).await;
                let through = through.map_err(|error| self.named(error))?;
                progress.during(self.write(members, through, &progress)).await?;
                return Ok(());
            }
            // Of a link, what it leads to.
            Ok(_) => self.file.canonicalize().map_err(|error| self.named(error))?,
            Err(_) => self.file.clone(),
        };
        let new = tempfile::Builder::new()
            .prefix(".export")
            .tempfile_in(folder_of(&place))
            .map_err(|error| self.named(error))?;
        let out = new.as_file().try_clone()?;
        let members = progress.during(self.write(members, out, &progress)).await?;
        new.as_file().sync_all().map_err(|error| self.named(error))?;
        new.persist(&place).map_err(|error| self.named(error.error))?;
        let file = self.file.display().to_string();
        let object = serde_json::json!({ "file": file, "members": members });
        output::say(
            global.json,
            &object,
            format_args!("{members} members are in {file}"),
        )
    }

    /// How many there were. All of them are written.
    async fn write(
        &self,
        mut members: Members<'_>,
        out: impl io::Write + Send + 'static,
        progress: &Progress,
    ) -> Result<u64, CliError> {
        let format = match self.format {
            Written::Csv => Format::Csv,
            Written::Ndjson => Format::Ndjson,
        };
        let (pages, mut to_write) = mpsc::channel::<Vec<Member>>(1);
        let writing = own_thread(move || {
            let mut writer = Writer::new(out, format)?;
            while let Some(members) = to_write.blocking_recv() {
                for member in &members {
                    writer.write(member)?;
                }
            }
            writer.finish()?.flush()
        });
        let reading = async {
            let mut read = 0;
            while let Some(members) = members.next().await? {
                let count = members.len() as u64;
                if pages.send(members).await.is_err() {
                    // It could not be written, which is told there.
                    break;
                }
                read += count;
                progress.count(read);
            }
            drop(pages);
            Ok::<_, CliError>(read)
        };
        let (read, written) = tokio::join!(reading, writing);
        let read = read?;
        written.map_err(|error| self.named(error))?;
        Ok(read)
    }

    /// The error, with the file that was to be written.
    fn named(&self, error: io::Error) -> CliError {
        if self.file == Path::new(STREAM) {
            return error.into();
        }
        io::Error::new(error.kind(), format!("{}: {error}", self.file.display())).into()
    }
}
