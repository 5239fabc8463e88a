//! `userbridge copy`.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::json;

use super::{
    CliError, Global, output,
    table::{Columns, Table},
};
use crate::storage::{
    self,
    copy::{CopyError, Progress, Report, copy, verify},
};

/// How often scripts are told.
const TELL_EVERY: Duration = Duration::from_secs(1);

#[derive(Args, Debug)]
pub(super) struct Copy {
    /// The database to copy, as a URL. It is only read.
    #[arg(
        long,
        env = "USERBRIDGE_COPY_FROM",
        value_name = "URL",
        hide_env_values = true
    )]
    from: String,
    /// The database to copy into. It is created or migrated if need be, and must have nothing in it.
    #[arg(long, env = "USERBRIDGE_COPY_TO", value_name = "URL", hide_env_values = true)]
    to: String,
    /// Copy nothing: compare the two.
    #[arg(long)]
    verify_only: bool,
}

impl Copy {
    /// Progress goes to stderr: on a terminal as a bar, with `--json` as lines of JSON, else not at all.
    pub(super) async fn run(self, global: &Global) -> Result<(), CliError> {
        // Of a `postgres:` URL, whichever end that is.
        let password = global.password().await?;
        let with_password = |url: &String| {
            let password = password.as_deref();
            let url_with = password.and_then(|password| storage::with_password(url, password));
            url_with.unwrap_or_else(|| url.clone())
        };
        let (from, to) = (with_password(&self.from), with_password(&self.to));
        let mut follower = Follower::new(global.json);
        let mut tell = |progress| follower.follow(progress);
        let copied = if self.verify_only {
            verify(&from, &to, &mut tell).await
        } else {
            copy(&from, &to, &mut tell).await
        };
        follower.end();
        let report = copied.map_err(|error| self.failed(error))?;
        self.report(global, &report)
    }

    /// Says which database it is about, never its password.
    fn failed(&self, error: CopyError) -> CliError {
        match error {
            CopyError::Source(error) => CliError::from(error).about(&self.from),
            CopyError::Target(error) => CliError::from(error).about(&self.to),
            other => CliError::Copy(other),
        }
    }

    fn report(&self, global: &Global, report: &Report) -> Result<(), CliError> {
        if global.json {
            let tables: Vec<_> = report
                .iter()
                .map(|(table, sum)| json!({ "table": table, "rows": sum.rows, "sha256": sum.sha256 }))
                .collect();
            return output::json(&json!({
                "from": storage::name(&self.from),
                "to": storage::name(&self.to),
                "copied": !self.verify_only,
                "verified": true,
                "tables": tables,
            }));
        }
        let mut table = Table::new();
        for (name, sum) in report {
            let rows = sum.rows.to_string();
            let columns: Columns<'_> = vec![("TABLE", name), ("ROWS", &rows), ("SHA256", &sum.sha256)];
            table.push(&columns)?;
        }
        Ok(table.flush()?)
    }
}

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Phase {
    Copying,
    Deriving,
    Verifying,
}

impl Phase {
    const fn name(self) -> &'static str {
        match self {
            Self::Copying => "copying",
            Self::Deriving => "deriving",
            Self::Verifying => "verifying",
        }
    }
}

/// Shows progress.
struct Follower {
    json: bool,
    bar: ProgressBar,
    phase: Phase,
    rows: u64,
    done: u64,
    told: Instant,
}

impl Follower {
    fn new(json: bool) -> Self {
        let bar = if json || !io::stderr().is_terminal() {
            ProgressBar::hidden()
        } else {
            ProgressBar::new(0)
        };
        let style =
            ProgressStyle::with_template("{prefix:9} {wide_bar} {human_pos}/{human_len} {msg:20} {eta}");
        Self {
            json,
            bar: match style {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            },
            phase: Phase::Copying,
            rows: 0,
            done: 0,
            told: Instant::now(),
        }
    }

    fn follow(&mut self, progress: Progress) {
        match progress {
            Progress::Copying { rows, done } => self.begin(Phase::Copying, rows, done),
            Progress::Deriving => self.begin(Phase::Deriving, self.rows, self.done),
            Progress::Verifying { rows } => self.begin(Phase::Verifying, rows, 0),
            Progress::Step { table, rows } => {
                self.done += rows;
                self.bar.set_message(table);
                self.bar.set_position(self.done);
                if self.told.elapsed() >= TELL_EVERY {
                    self.tell();
                }
            }
        }
    }

    fn begin(&mut self, phase: Phase, rows: u64, done: u64) {
        (self.phase, self.rows, self.done) = (phase, rows, done);
        self.bar.reset();
        self.bar.set_prefix(phase.name());
        self.bar.set_length(rows);
        self.bar.set_position(done);
        self.tell();
    }

    fn tell(&mut self) {
        self.told = Instant::now();
        if self.json {
            let line = json!({ "phase": self.phase, "rows": self.rows, "done": self.done });
            // Who does not read it any more still gets the report.
            let _ = writeln!(io::stderr(), "{line}");
        }
    }

    fn end(&self) {
        self.bar.finish_and_clear();
    }
}
