//! Reads a file in a thread of its own, some rows ahead. Nobody who is told to end waits for it: the other side of a pipe may never
//! say anything.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
};

use super::outcome::Named;
use crate::{
    cli::error::ImportError,
    domain::ImportRow,
    transfer::{Field, Place, ReadOptions, Reader, Repeat, Repeats},
};

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
    /// The place of each.
    pub(super) places: Vec<Place>,
    /// Those that can't be taken.
    pub(super) rejected: Vec<(Place, Vec<Named>)>,
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
    batches: mpsc::Receiver<Batch>,
    /// The file's names for fields, when the first batch has come.
    columns: Arc<OnceLock<HashMap<&'static str, String>>>,
    done: oneshot::Receiver<Result<(), ImportError>>,
}

impl Reading {
    /// The next rows. None: nothing is left.
    pub(super) async fn next(&mut self) -> Option<Batch> {
        self.batches.recv().await
    }

    /// How the reading ended.
    pub(super) async fn end(self) -> Result<(), ImportError> {
        self.done.await.unwrap_or(Err(ImportError::Broken))
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

/// Starts to read, so many rows at once. While they are taken, the next ones are read.
pub(super) fn read(input: Input, options: ReadOptions, at_once: usize) -> Reading {
    let (sender, batches) = mpsc::channel(1);
    let columns: Arc<OnceLock<HashMap<_, _>>> = Arc::default();
    let (told, done) = oneshot::channel();
    let runtime = Handle::current();
    let work = {
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
            send_all(reader, at_once, &counted, &sender, &runtime)
        }
    };
    // An error means that nobody waits for it any more.
    thread::spawn(move || drop(told.send(work())));
    Reading {
        batches,
        columns,
        done,
    }
}

/// Sends all there is. An error of the file comes after what was good before it.
fn send_all(
    mut reader: Reader,
    at_once: usize,
    read: &AtomicU64,
    batches: &mpsc::Sender<Batch>,
    runtime: &Handle,
) -> Result<(), ImportError> {
    let mut repeats = Repeats::new()?;
    let mut count = 0;
    loop {
        // Not before there is room for them: otherwise there would be a third batch in memory.
        let Ok(room) = runtime.block_on(batches.reserve()) else {
            // Nobody imports any more.
            return Ok(());
        };
        let mut batch = Batch::default();
        // Grown bit by bit, they would be in memory twice.
        batch.rows.reserve_exact(at_once);
        let mut end = None;
        while end.is_none() && batch.len() < at_once {
            match reader.next() {
                None => end = Some(Ok(())),
                Some(Err(error)) => end = Some(Err(error.into())),
                Some(Ok(record)) => {
                    count += 1;
                    let place = Place {
                        line: record.line,
                        record: count,
                    };
                    match record.row {
                        Ok(row) => {
                            batch.rows.push(row);
                            batch.places.push(place);
                        }
                        Err(flaws) => {
                            let flaws = flaws
                                .into_iter()
                                .map(|flaw| (flaw.column, flaw.reason.to_string()));
                            batch.rejected.push((place, flaws.collect()));
                        }
                    }
                }
            }
        }
        let records: Vec<_> = batch.places.iter().map(|place| place.record).collect();
        let repeats = repeats.see(&records, &batch.rows)?;
        for (place, repeat) in batch.places.iter().zip(&repeats) {
            if let Some(Repeat { field, record }) = repeat {
                let column = reader.column(*field).to_owned();
                let reason = format!("is the same as in record {record}");
                batch.rejected.push((*place, vec![(column, reason)]));
            }
        }
        let is_new = || repeats.iter().map(Option::is_none);
        keep(&mut batch.rows, is_new());
        keep(&mut batch.places, is_new());
        batch.read = read.load(Ordering::Relaxed);
        room.send(batch);
        if let Some(end) = end {
            return end;
        }
    }
}

/// Keeps those of which it is said.
fn keep<T>(items: &mut Vec<T>, mut whether: impl Iterator<Item = bool>) {
    items.retain(|_| whether.next().unwrap_or_default());
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
