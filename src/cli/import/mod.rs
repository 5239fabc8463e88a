//! `userbridge import`.
//!
//! A thread reads the file ([`reading`]), some rows at a time go to a directory here or on a server ([`target`]), and what became
//! of them is counted, and told where they were not taken ([`outcome`]).

mod outcome;
mod reading;
mod rehearsal;
mod target;

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use clap::Args;
use userbridge_gateway::{config_file::Given, program::StopSignals};

use self::{
    outcome::{Outcome, Summary, is_list},
    reading::{Input, read},
    target::{Importing, batch},
};
use super::{
    CliError, Global, Session,
    organization_at::{Opened, OrganizationAt},
    own_thread::own_thread,
    progress::{Progress, Unit},
};
use crate::transfer::{Field, Format, ReadOptions};

/// What is said of a rehearsal that is not exact.
const UNCERTAIN: &str = "so many rows change members that those which depend on them may come out otherwise";

/// Standard input.
const STREAM: &str = "-";

#[derive(Args, Debug)]
pub(super) struct Import {
    #[command(flatten)]
    at: OrganizationAt,
    /// Change nothing: say what would happen.
    #[arg(long)]
    dry_run: bool,
    /// Change nothing unless every row is good: the file is read twice.
    #[arg(long)]
    strict: bool,
    /// What kind of file it is: csv, ndjson, json, zendesk, freshdesk or thebridge. It is recognized otherwise.
    #[arg(long)]
    format: Option<Format>,
    /// From which column a field is read, such as `name=Full name`; instead of from the one that the format has for it. May be given
    /// several times.
    #[arg(long, value_name = "FIELD=COLUMN", value_parser = mapping)]
    map: Vec<(Field, String)>,
    /// Where to list the rows that are not taken [default: `FILE.rejected.csv`]
    #[arg(long, value_name = "PATH")]
    rejected: Option<PathBuf>,
    /// The file, or `-` for standard input. It may be compressed by gzip or zstd.
    file: PathBuf,
}

fn mapping(text: &str) -> Result<(Field, String), String> {
    let (field, column) = text.split_once('=').ok_or("must be like name=Column")?;
    let field = field
        .parse()
        .map_err(|error| format!("{field:?} is no field: {error}"))?;
    Ok((field, column.trim().to_owned()))
}

impl Import {
    pub(super) async fn run(self, global: &Global, given: &Given) -> Result<(), CliError> {
        self.at.require_server(given)?;
        // Before the database is open: to close a file of it would end the locks that this process has on it.
        self.require_place_of_list()?;
        let mut signals = StopSignals::listen()?;
        let opening = Progress::new(global.json, "open", Unit::Nothing);
        let session = Box::pin(opening.during(Session::open_for_bulk(global)));
        let target = tokio::select! {
            target = self.at.open(session) => target?,
            () = signals.recv() => {
                Summary::new(self.list()).say(global.json, self.dry_run)?;
                return Err(CliError::Interrupted);
            }
        };
        let imported = self.import(global, &target, &mut signals).await;
        target.close(imported).await
    }

    async fn import(
        &self,
        global: &Global,
        target: &Opened,
        signals: &mut StopSignals,
    ) -> Result<(), CliError> {
        let mut summary = Summary::new(self.list());
        let work = async {
            if self.strict && !self.dry_run {
                self.import_strictly(global, target, &mut summary).await
            } else {
                self.pass(global, target, self.input().await?, self.dry_run, &mut summary)
                    .await
            }
        };
        let done = tokio::select! {
            done = work => done,
            () = signals.recv() => Err(CliError::Interrupted),
        };
        // What was done before a failure is done.
        summary.say(global.json, self.dry_run)?;
        done?;
        summary.end()
    }

    async fn import_strictly(
        &self,
        global: &Global,
        target: &Opened,
        summary: &mut Summary,
    ) -> Result<(), CliError> {
        let [first, second] = self.input_twice().await?;
        let mut rehearsed = Summary::new(self.list());
        self.pass(global, target, first, true, &mut rehearsed).await?;
        if rehearsed.rejected() > 0 {
            *summary = rehearsed.without_changes();
            return Ok(());
        }
        self.pass(global, target, second, false, summary).await
    }

    /// Reads all of the file, and imports it or says what would come of it.
    async fn pass(
        &self,
        global: &Global,
        target: &Opened,
        input: Input,
        rehearse: bool,
        summary: &mut Summary,
    ) -> Result<(), CliError> {
        let doing = if rehearse { "check" } else { "import" };
        let unit = if input.bytes.is_some() {
            Unit::Part
        } else {
            Unit::Nothing
        };
        let progress = Progress::new(global.json, doing, unit);
        let options = ReadOptions {
            format: self.format,
            map: self.map.clone(),
        };
        let (bytes, name) = (input.bytes, self.name());
        let mut reading = read(input, options, batch(target, rehearse));
        let work = async {
            let mut importing = Importing::begin(target, rehearse).await?;
            while let Some(batch) = reading.next().await {
                let mut rejected = batch.rejected;
                let (outcomes, failed) = match importing.import(batch.rows).await {
                    Ok(outcomes) => (outcomes, Ok(())),
                    Err(error) => (Vec::new(), Err(error)),
                };
                for (place, outcome) in batch.places.into_iter().zip(outcomes) {
                    match outcome {
                        Outcome::Rejected(flaws) => rejected.push((place, reading.named(flaws))),
                        outcome => summary.count(&outcome),
                    }
                }
                // Also those of a batch that failed, which are bad by themselves.
                summary.reject(rejected)?;
                failed?;
                progress.tell(batch.read, bytes.unwrap_or(batch.read));
                progress.count(summary.rows());
            }
            if importing.is_uncertain() {
                // The import matters more than the warning.
                let _ = writeln!(io::stderr(), "warning: {UNCERTAIN}");
            }
            reading.end().await
        };
        let done = progress.during(work).await;
        done.map_err(|error| error.of_file(&name))
    }

    async fn input(&self) -> Result<Input, CliError> {
        if self.is_stream() {
            return Ok(Input::stream(io::stdin()));
        }
        Ok(Input::file(self.opened().await?)?)
    }

    /// Standard input can be read once: it is kept in a file that is gone with the command.
    async fn input_twice(&self) -> Result<[Input; 2], CliError> {
        if !self.is_stream() {
            let (first, second) = (self.opened().await?, self.opened().await?);
            return Ok([Input::file(first)?, Input::file(second)?]);
        }
        let kept = own_thread(|| {
            let mut kept = tempfile::NamedTempFile::new()?;
            io::copy(&mut io::stdin(), &mut kept)?;
            Ok(kept)
        });
        let kept = kept.await?;
        Ok([Input::file(kept.reopen()?)?, Input::file(kept.reopen()?)?])
    }

    /// A pipe is open when somebody writes to it.
    async fn opened(&self) -> Result<File, CliError> {
        let path = self.file.clone();
        let opened = own_thread(move || File::open(path)).await;
        opened.map_err(|error| CliError::NotFound(format!("{}: {error}", self.name())))
    }

    fn is_stream(&self) -> bool {
        self.file == Path::new(STREAM)
    }

    fn name(&self) -> String {
        if self.is_stream() {
            "standard input".to_owned()
        } else {
            self.file.display().to_string()
        }
    }

    /// That nothing but a list of an earlier import has the place of the list.
    fn require_place_of_list(&self) -> Result<(), CliError> {
        let path = self.list();
        let has_content = fs::metadata(&path).is_ok_and(|there| there.is_file() && there.len() > 0);
        if !has_content || is_list(&path) {
            return Ok(());
        }
        Err(CliError::Conflict(format!(
            "{}: it is there already, and is no list of rows that were not taken",
            path.display()
        )))
    }

    /// Where rows are listed that are not taken.
    fn list(&self) -> PathBuf {
        if let Some(path) = &self.rejected {
            return path.clone();
        }
        let mut path = if self.is_stream() {
            "import".into()
        } else {
            self.file.clone().into_os_string()
        };
        path.push(".rejected.csv");
        path.into()
    }
}
