//! What the server has at a time, and whether that grows.

use std::{fmt, fs, io, path::PathBuf};

use procfs::process::Process;
use serde_json::json;

use crate::{Result, place::Place};

/// The most by which the last quarter's median may be above the first one's, in percent.
const GROWTH: u64 = 5;

/// What comes and goes: connections that are being closed, threads that wait for work.
const FEW: u64 = 8;

const NAMES: [&str; 4] = ["memory, KiB", "open files", "threads", "write-ahead log, KiB"];

/// What is looked at, one row for each time.
pub(crate) struct Samples {
    process: u32,
    /// Of SQLite.
    log: Option<PathBuf>,
    rows: Vec<[u64; NAMES.len()]>,
}

impl Samples {
    pub(crate) fn of(place: &Place) -> Self {
        Self {
            process: place.server.child.id(),
            log: place.log.clone(),
            rows: Vec::new(),
        }
    }

    /// Looks once more.
    pub(crate) fn take(&mut self) -> Result<()> {
        let process = Process::new(self.process.try_into()?)?;
        let status = process.status()?;
        let log = match self.log.as_ref().map(fs::metadata) {
            None => 0,
            Some(Ok(found)) => found.len() / 1024,
            Some(Err(error)) if error.kind() == io::ErrorKind::NotFound => 0,
            Some(Err(error)) => return Err(error.into()),
        };
        self.rows.push([
            status.vmrss.ok_or("the process has ended")?,
            process.fd_count()?.try_into()?,
            status.threads,
            log,
        ]);
        Ok(())
    }

    /// The median of each quarter of the time.
    fn medians(&self, column: usize) -> [u64; 4] {
        std::array::from_fn(|quarter| {
            let (from, to) = (quarter * self.rows.len() / 4, (quarter + 1) * self.rows.len() / 4);
            let mut values: Vec<_> = self.rows[from..to].iter().map(|row| row[column]).collect();
            values.sort_unstable();
            values.get(values.len() / 2).copied().unwrap_or_default()
        })
    }

    fn most(&self, column: usize) -> u64 {
        self.rows.iter().map(|row| row[column]).max().unwrap_or_default()
    }

    fn is_flat_in(&self, column: usize) -> bool {
        let [first, .., last] = self.medians(column);
        last <= first + (first * GROWTH / 100).max(FEW)
    }

    /// Whether nothing is more in the last quarter than in the first, within bounds.
    pub(crate) fn is_flat(&self) -> bool {
        (0..NAMES.len()).all(|column| self.is_flat_in(column))
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        let rows = NAMES.iter().enumerate().map(|(column, name)| {
            let row = json!({
                "medians": self.medians(column),
                "most": self.most(column),
                "flat": self.is_flat_in(column),
            });
            ((*name).to_owned(), row)
        });
        let rows: serde_json::Map<_, _> = rows.collect();
        json!({ "samples": self.rows.len(), "flat": self.is_flat(), "rows": rows })
    }
}

impl fmt::Display for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} looks, the median of each quarter:\n", self.rows.len())?;
        writeln!(
            f,
            "| the server's         |  first | second |  third |   last |   most |      |"
        )?;
        writeln!(
            f,
            "| -------------------- | ------ | ------ | ------ | ------ | ------ | ---- |"
        )?;
        for (column, name) in NAMES.iter().enumerate() {
            let [first, second, third, last] = self.medians(column);
            let most = self.most(column);
            let verdict = if self.is_flat_in(column) { "flat" } else { "GROWS" };
            writeln!(
                f,
                "| {name:20} | {first:>6} | {second:>6} | {third:>6} | {last:>6} | {most:>6} | {verdict:4} |"
            )?;
        }
        Ok(())
    }
}
