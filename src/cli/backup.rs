//! `userbridge backup` and `userbridge restore`.

use std::{
    env, io,
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::json;
use userbridge_gateway::program::StopSignals;

use super::{
    CliError, Global, check, output,
    progress::{Progress, Unit},
};
use crate::storage::{
    self, OpenError,
    backup::{self, BackupError, backup, beside, folder_of, restore},
};

/// Standard output, or standard input.
const STREAM: &str = "-";

#[derive(Args, Debug)]
pub(super) struct Backup {
    /// The file to write, or `-` for standard output.
    file: PathBuf,
    /// Replace a file that is there.
    #[arg(long)]
    force: bool,
}

impl Backup {
    pub(super) async fn run(self, global: &Global) -> Result<(), CliError> {
        // What is not finished is removed when the command is told to end.
        let mut signals = StopSignals::listen()?;
        tokio::select! {
            done = self.make(global) => done,
            () = signals.recv() => Err(CliError::Interrupted),
        }
    }

    async fn make(self, global: &Global) -> Result<(), CliError> {
        let url = global.database_url().await?;
        let is_stream = self.file == Path::new(STREAM);
        let is_there = || CliError::Conflict(format!("{}: it is there already", self.file.display()));
        if !is_stream {
            self.require_place(&url)?;
        }
        if !is_stream && !self.force && self.file.exists() {
            return Err(is_there());
        }
        let progress = Progress::new(global.json, "backup", Unit::Bytes);
        let tell = |done, of| progress.tell(done, of);
        let folder = if is_stream {
            env::temp_dir()
        } else {
            folder_of(&self.file).to_owned()
        };
        let made = progress.during(backup(&url, &folder, &tell)).await;
        let made = made.map_err(|error| CliError::from(error).about(&url))?;
        if is_stream {
            let out = Box::new(io::stdout());
            return Ok(progress.during(made.write_to(out, &tell)).await?);
        }
        let bytes = made.keep(&self.file, self.force).map_err(|error| match error {
            BackupError::Io { source, .. } if source.kind() == io::ErrorKind::AlreadyExists => is_there(),
            error => error.into(),
        })?;
        let file = self.file.display().to_string();
        let line = format_args!("{} is in {file}: {bytes} bytes", storage::name(&url));
        output::say(global.json, &json!({ "file": file, "bytes": bytes }), line)
    }

    /// That no other use of the place is broken, which nobody means by `--force`.
    fn require_place(&self, url: &str) -> Result<(), CliError> {
        let file = self.file.display();
        if storage::is_file_of(url, &self.file) {
            return Err(CliError::Conflict(format!("{file}: it is the database itself")));
        }
        if self.file.symlink_metadata().is_ok_and(|there| !there.is_file()) {
            return Err(CliError::Conflict(format!("{file}: it is no file")));
        }
        // SQLite would read them into the new file.
        let in_use = ["-wal", "-shm", "-journal"].map(|suffix| beside(&self.file, suffix));
        match in_use.iter().find(|beside| beside.exists()) {
            Some(beside) => Err(CliError::Conflict(format!(
                "{file}: {} is beside it, so it is a database in use",
                beside.display()
            ))),
            None => Ok(()),
        }
    }
}

#[derive(Args, Debug)]
pub(super) struct Restore {
    /// The file that `userbridge backup` made, or `-` for standard input.
    file: PathBuf,
}

impl Restore {
    pub(super) async fn run(self, global: &Global) -> Result<(), CliError> {
        let mut signals = StopSignals::listen()?;
        tokio::select! {
            done = self.put(global) => done,
            () = signals.recv() => Err(CliError::Interrupted),
        }
    }

    async fn put(self, global: &Global) -> Result<(), CliError> {
        let url = global.database_url().await?;
        let (from, bytes): (Box<dyn io::Read + Send>, _) = if self.file == Path::new(STREAM) {
            (Box::new(io::stdin()), None)
        } else {
            let (file, bytes) = backup::open(&self.file).map_err(|error| match error {
                BackupError::Io { ref source, .. } if source.kind() == io::ErrorKind::NotFound => {
                    CliError::NotFound(error.to_string())
                }
                error => error.into(),
            })?;
            (Box::new(file), Some(bytes))
        };
        let progress = Progress::new(global.json, "restore", Unit::Bytes);
        let tell = |done, of| progress.tell(done, of);
        let restored = progress.during(restore(&url, from, bytes, &tell)).await;
        restored.map_err(|error| CliError::from(error).about(&url))?;
        if !global.json {
            output::line(format_args!("{} is restored", storage::name(&url)))?;
        }
        match check::check(global, &url).await {
            Err(CliError::Store {
                error: OpenError::SchemaTooOld,
                database,
            }) => {
                let object = json!({ "database": database, "ok": null, "findings": [], "migrated": false });
                let line = "its schema is older: the next `userbridge migrate` or `serve` migrates it";
                output::say(global.json, &object, line)
            }
            other => other,
        }
    }
}
