//! Reads a file in a thread of its own, some rows ahead.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{sync::mpsc, task::JoinHandle};

use super::outcome::Named;
use crate::{
    cli::error::ImportError,
    domain::ImportRow,
    transfer::{Field, ReadOptions, Reader, Repeat, Repeats},
};

/// Rows that are handed over at once.
const PART: usize = 250;

/// What is to be read.
pub(super) struct Input {
    from: Box<dyn Read + Send>,
    /// How much there is, if that is known.
    pub(super) bytes: Option<u64>,
}

impl Input {
    pub(super) fn stream(from: impl Read + Send + 'static) -> Self {
        let from = Box::new(from);
        Self { from, bytes: None }
    }

    pub(super) fn file(file: File) -> io::Result<Self> {
        let found = file.metadata()?;
        // A pipe has no length.
        let bytes = found.is_file().then_some(found.len());
        let from = Box::new(file);
        Ok(Self { from, bytes })
    }
}

/// Some rows.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) rows: Vec<ImportRow>,
    /// The line of each.
    pub(super) lines: Vec<u64>,
    /// Those that can't be taken.
    pub(super) rejected: Vec<(u64, Vec<Named>)>,
    /// Bytes of the file that were read until now.
    pub(super) read: u64,
}

impl Batch {
    const fn len(&self) -> usize {
        self.rows.len() + self.rejected.len()
    }
}

/// A file that is being read.
pub(super) struct Reading {
    parts: mpsc::Receiver<Batch>,
    /// The file's names for fields, when the first batch has come.
    columns: Arc<OnceLock<HashMap<&'static str, String>>>,
    task: JoinHandle<Result<(), ImportError>>,
}

impl Reading {
    /// The next rows: as many as are wanted, or what is left. None: nothing is left.
    pub(super) async fn next(&mut self, wanted: usize) -> Option<Batch> {
        let mut batch = self.parts.recv().await?;
        // Grown bit by bit, it would be in memory twice.
        batch.rows.reserve_exact(wanted);
        while batch.len() < wanted
            && let Some(part) = self.parts.recv().await
        {
            batch.rows.extend(part.rows);
            batch.lines.extend(part.lines);
            batch.rejected.extend(part.rejected);
            batch.read = part.read;
        }
        Some(batch)
    }

    /// How the reading ended.
    pub(super) async fn end(self) -> Result<(), ImportError> {
        self.task.await.unwrap_or(Err(ImportError::Broken))
    }

    /// With the names that the file has for fields.
    pub(super) fn named(&self, flaws: Vec<Named>) -> Vec<Named> {
        let named = |(field, reason): Named| {
            let column = self.columns.get().and_then(|columns| columns.get(&*field));
            (column.cloned().unwrap_or(field), reason)
        };
        flaws.into_iter().map(named).collect()
    }
}

/// Starts to read, so many rows ahead of who takes them. Those are in memory.
pub(super) fn read(input: Input, options: ReadOptions, ahead: usize) -> Reading {
    let (sender, parts) = mpsc::channel(ahead.div_ceil(PART));
    let columns: Arc<OnceLock<HashMap<_, _>>> = Arc::default();
    let task = tokio::task::spawn_blocking({
        let columns = Arc::clone(&columns);
        move || {
            let counted = Arc::<AtomicU64>::default();
            let from = Counted {
                from: input.from,
                read: counted.clone(),
            };
            let reader = Reader::new(from, options)?;
            let names = Field::ALL
                .iter()
                .map(|field| (field.as_str(), reader.column(*field).to_owned()));
            columns.get_or_init(|| names.collect());
            parts_of(reader, &counted, &sender)
        }
    });
    Reading { parts, columns, task }
}

/// Sends all there is. An error of the file comes after what was good before it.
fn parts_of(mut reader: Reader, read: &AtomicU64, parts: &mpsc::Sender<Batch>) -> Result<(), ImportError> {
    let mut repeats = Repeats::new()?;
    let mut batch = Batch::default();
    let send = |batch: &mut Batch| {
        batch.read = read.load(Ordering::Relaxed);
        // It fails when nobody imports any more.
        parts.blocking_send(std::mem::take(batch)).is_ok()
    };
    while let Some(record) = reader.next() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                send(&mut batch);
                return Err(error.into());
            }
        };
        let line = record.line;
        match record.row {
            Ok(row) => match repeats.see(line, &row)? {
                None => {
                    batch.rows.push(row);
                    batch.lines.push(line);
                }
                Some(Repeat { field, line: first }) => {
                    let column = reader.column(field).to_owned();
                    let reason = format!("is the same as at line {first}");
                    batch.rejected.push((line, vec![(column, reason)]));
                }
            },
            Err(flaws) => {
                let flaws = flaws
                    .into_iter()
                    .map(|flaw| (flaw.column, flaw.reason.to_string()));
                batch.rejected.push((line, flaws.collect()));
            }
        }
        if batch.len() == PART && !send(&mut batch) {
            return Ok(());
        }
    }
    send(&mut batch);
    Ok(())
}

/// Counts what is read.
struct Counted {
    from: Box<dyn Read + Send>,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
