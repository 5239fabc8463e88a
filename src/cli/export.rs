//! `userbridge export`.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use userbridge_gateway::program::StopSignals;

use super::{
    CliError, Global, Session,
    output::{self, PAGE},
    progress::{Progress, Unit},
};
use crate::{
    domain::Slug,
    service::{AllPlace, Read},
    storage::Migrate,
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
    /// The organization's slug.
    #[arg(long)]
    org: Slug,
    /// How to write it.
    #[arg(long, value_enum, default_value = "csv")]
    format: Written,
    /// Also those who were revoked and are not erased, after all others.
    #[arg(long)]
    revoked: bool,
    /// The file to write, or `-` for standard output. One that is there is replaced when the new one is whole.
    #[arg(default_value = STREAM)]
    file: PathBuf,
}

impl Export {
    pub(super) async fn run(self, global: &Global) -> Result<(), CliError> {
        let mut signals = StopSignals::listen()?;
        let session = Session::open(global, Migrate::Never).await?;
        let exported = tokio::select! {
            exported = self.export(global, &session) => exported,
            () = signals.recv() => Err(CliError::Interrupted),
        };
        session.close(exported).await
    }

    async fn export(&self, global: &Global, session: &Session) -> Result<(), CliError> {
        let progress = Progress::new(global.json, "export", Unit::Nothing);
        if self.file == Path::new(STREAM) {
            let (_, mut out) = progress
                .during(self.write(session, io::stdout(), &progress))
                .await?;
            return Ok(out.flush()?);
        }
        let folder = self.file.parent().filter(|folder| !folder.as_os_str().is_empty());
        let new = tempfile::Builder::new()
            .prefix(".export")
            .tempfile_in(folder.unwrap_or(Path::new(".")))?;
        let (members, _) = progress
            .during(self.write(session, new.as_file(), &progress))
            .await?;
        new.as_file().sync_all()?;
        new.persist(&self.file).map_err(|error| error.error)?;
        let file = self.file.display().to_string();
        let object = serde_json::json!({ "file": file, "members": members });
        output::say(
            global.json,
            &object,
            format_args!("{members} members are in {file}"),
        )
    }

    /// How many there were, and what they were written to, which has all of them.
    async fn write<W: io::Write>(
        &self,
        session: &Session,
        out: W,
        progress: &Progress,
    ) -> Result<(u64, W), CliError> {
        let grant = Read::operator(session.organization(&self.org).await?);
        let format = match self.format {
            Written::Csv => Format::Csv,
            Written::Ndjson => Format::Ndjson,
        };
        let mut writer = Writer::new(out, format)?;
        let mut written = 0;
        let mut next = Some(AllPlace::START);
        while let Some(place) = next {
            let (members, then) = session
                .directory
                .all_members(grant, place, self.revoked, PAGE)
                .await?;
            for member in &members {
                writer.write(member)?;
            }
            written += members.len() as u64;
            progress.count(written);
            next = then;
        }
        Ok((written, writer.finish()?))
    }
}
