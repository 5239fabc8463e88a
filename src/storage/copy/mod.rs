//! Moves a directory from one engine to another, or to another database of the same.
//!
//! Rows go over in the order of the tables' keys, some hundreds in a transaction, so how far a copy got is what the target
//! has: a copy that was cut off, whatever cut it, goes on from there. What one engine derives from the rows in its own way is
//! derived anew. Then both are read once more and compared. Until that has succeeded the target has a mark
//! (`MARK`), and is not opened for anything else.
//!
//! To add a table or a column: a line in [`TABLES`]. A test compares those with the catalogs of both engines.

mod error;
mod row;
mod tables;

use async_trait::async_trait;

use super::{OpenError, Result, open_end};

pub(super) use self::row::{Row, Value};
pub use self::{
    error::CopyError,
    row::Sum,
    tables::{Kind, TABLES, Table},
};
use self::{row::Summing, tables::COUNTERS};

/// The table that a target has until its copy is complete: one row, with the checksum of the counters of the source.
pub(super) const MARK: &str = "unfinished_copy";

/// Rows of a transaction. SQLite takes 32,766 values in a statement.
pub(super) const STEP: usize = 500;

/// What a database may hold to be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contents {
    /// A directory.
    Whole,
    /// Also an unfinished copy of one.
    Part,
}

/// Which end of a copy a database is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// It must be there, with the schema of this program, and is only read.
    Source,
    /// It is created or migrated if need be.
    Target,
}

/// A database at one end of a copy.
#[async_trait]
pub(super) trait End: Send {
    /// How many rows a table has.
    async fn count(&mut self, table: &'static Table) -> Result<u64>;

    /// The key of a table's last row. None: it has no rows.
    async fn last_key(&mut self, table: &'static Table) -> Result<Option<Row>>;

    /// The next rows of a table after a key, [`STEP`] at most, in the order of the key.
    async fn read(&mut self, table: &'static Table, after: Option<&[Value]>) -> Result<Vec<Row>>;

    /// Adds rows, which are at least one, and what is derived from them: all in one transaction.
    async fn write(&mut self, table: &'static Table, rows: &[Row]) -> Result<()>;

    /// Of which source an unfinished copy is here, as it was [marked](Self::mark).
    async fn marked(&mut self) -> Result<Option<String>>;

    /// Marks an empty directory as the unfinished copy of a source. The counters of the deployment are removed, for they
    /// are copied like all others.
    async fn mark(&mut self, source: &str) -> Result<()>;

    /// Derives what is derived from all rows. It may be cut off and called again.
    async fn derive(&mut self) -> Result<()>;

    /// Removes the mark.
    async fn unmark(&mut self) -> Result<()>;

    /// From now on what is read is what is there at this moment, whoever writes.
    async fn freeze(&mut self) -> Result<()>;

    /// Closes the connection.
    async fn close(self: Box<Self>);
}

/// How far a copy has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Rows are copied, of so many; some may have been copied before.
    Copying {
        /// In all tables.
        rows: u64,
        /// Those that are there.
        done: u64,
    },
    /// What the target derives from the rows is made.
    Deriving,
    /// Both are read and compared.
    Verifying {
        /// In all tables.
        rows: u64,
    },
    /// So many rows more of a table are copied, or compared.
    Step {
        /// Its name.
        table: &'static str,
        /// How many.
        rows: u64,
    },
}

/// Where progress is told.
pub type Tell<'t> = &'t mut (dyn FnMut(Progress) + Send);

/// What both have, table by table.
pub type Report = Vec<(&'static str, Sum)>;

/// Copies a directory into an empty database, or goes on with this, and verifies it. Neither is to be written meanwhile.
///
/// # Errors
///
/// As [`CopyError`] says.
pub async fn copy(from: &str, to: &str, tell: Tell<'_>) -> Result<Report, CopyError> {
    run(from, to, Moment::Any, tell).await
}

/// As [`copy`], of one moment of a source that may be written meanwhile, and may be empty.
///
/// # Errors
///
/// As [`CopyError`] says.
pub(super) async fn snapshot(from: &str, to: &str, tell: Tell<'_>) -> Result<Report, CopyError> {
    run(from, to, Moment::Now, tell).await
}

/// Of when the rows are that are copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// Of when they are read.
    Any,
    /// Of the beginning.
    Now,
}

async fn run(from: &str, to: &str, moment: Moment, tell: Tell<'_>) -> Result<Report, CopyError> {
    let mut source = open_end(from, Side::Source).await.map_err(CopyError::Source)?;
    let mut target = match open_end(to, Side::Target).await {
        Ok(target) => target,
        Err(error) => {
            source.close().await;
            return Err(CopyError::Target(error));
        }
    };
    let copied = async {
        match moment {
            Moment::Now => source.freeze().await.map_err(of_source)?,
            // Also keeps a database from being copied into itself: one that is not empty is no target.
            Moment::Any if is_empty(&mut *source).await.map_err(of_source)? => {
                return Err(CopyError::NothingToCopy);
            }
            Moment::Any => {}
        }
        transfer(&mut *source, &mut *target, tell).await
    };
    let copied = copied.await;
    source.close().await;
    target.close().await;
    copied
}

/// Compares two directories, of which none is to be written meanwhile.
///
/// # Errors
///
/// [`CopyError::Differs`], [`CopyError::SourceChanged`], [`CopyError::Source`], [`CopyError::Target`].
pub async fn verify(from: &str, to: &str, tell: Tell<'_>) -> Result<Report, CopyError> {
    let mut source = open_end(from, Side::Source).await.map_err(CopyError::Source)?;
    let mut target = match open_end(to, Side::Source).await {
        Ok(target) => target,
        Err(error) => {
            source.close().await;
            return Err(CopyError::Target(error));
        }
    };
    let compared = async {
        let before = counters(&mut *source).await?;
        compare(&mut *source, &mut *target, &before, tell).await
    };
    let compared = compared.await;
    source.close().await;
    target.close().await;
    compared
}

async fn transfer(source: &mut dyn End, target: &mut dyn End, tell: Tell<'_>) -> Result<Report, CopyError> {
    let before = counters(source).await?;
    match target.marked().await.map_err(of_target)? {
        Some(source) if source == before => {}
        Some(_) => return Err(CopyError::OtherCopy),
        None if is_empty(target).await.map_err(of_target)? => {
            target.mark(&before).await.map_err(of_target)?;
        }
        None => return Err(CopyError::NotEmpty),
    }
    tell(Progress::Copying {
        rows: rows(source).await.map_err(of_source)?,
        done: rows(target).await.map_err(of_target)?,
    });
    for table in TABLES {
        copy_table(source, target, table, tell).await?;
    }
    tell(Progress::Deriving);
    target.derive().await.map_err(of_target)?;
    let report = compare(source, target, &before, tell).await?;
    target.unmark().await.map_err(of_target)?;
    Ok(report)
}

/// Copies what is not there yet. While some rows are written, the next ones are read.
async fn copy_table(
    source: &mut dyn End,
    target: &mut dyn End,
    table: &'static Table,
    tell: Tell<'_>,
) -> Result<(), CopyError> {
    let last = target.last_key(table).await.map_err(of_target)?;
    let mut rows = source.read(table, last.as_deref()).await.map_err(of_source)?;
    while let Some(last) = rows.last() {
        let after = &last[..table.key];
        let (next, ()) = tokio::try_join!(
            async { source.read(table, Some(after)).await.map_err(of_source) },
            async { target.write(table, &rows).await.map_err(of_target) },
        )?;
        tell(Progress::Step {
            table: table.name,
            rows: rows.len() as u64,
        });
        rows = next;
    }
    Ok(())
}

/// That both have the same, and the source the counters that it had.
async fn compare(
    source: &mut dyn End,
    target: &mut dyn End,
    before: &str,
    tell: Tell<'_>,
) -> Result<Report, CopyError> {
    tell(Progress::Verifying {
        rows: rows(source).await.map_err(of_source)?,
    });
    let mut report = Vec::new();
    let mut differs = None;
    for table in TABLES {
        let (source_sum, target_sum) = tokio::try_join!(
            async { sum(source, table, tell).await.map_err(of_source) },
            async { sum(target, table, &mut |_| ()).await.map_err(of_target) },
        )?;
        if source_sum != target_sum {
            differs = Some(CopyError::Differs {
                table: table.name,
                source_sum,
                target_sum,
            });
            break;
        }
        report.push((table.name, source_sum));
    }
    if counters(source).await? != before {
        return Err(CopyError::SourceChanged);
    }
    match differs {
        Some(differs) => Err(differs),
        None => Ok(report),
    }
}

async fn sum(end: &mut dyn End, table: &'static Table, tell: Tell<'_>) -> Result<Sum> {
    let mut summing = Summing::default();
    let mut rows = end.read(table, None).await?;
    while let Some(last) = rows.last() {
        for row in &rows {
            summing.add(row);
        }
        tell(Progress::Step {
            table: table.name,
            rows: rows.len() as u64,
        });
        rows = end.read(table, Some(&last[..table.key])).await?;
    }
    Ok(summing.end())
}

/// By what a directory, and each change that has an event, is known again.
async fn counters(source: &mut dyn End) -> Result<String, CopyError> {
    let sum = sum(source, &COUNTERS, &mut |_| ()).await;
    Ok(sum.map_err(of_source)?.sha256)
}

/// Whether there is nothing but the deployment's counters, which every new database has.
async fn is_empty(end: &mut dyn End) -> Result<bool> {
    for table in TABLES.iter().filter(|table| table.name != COUNTERS.name) {
        if end.last_key(table).await?.is_some() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Of all tables.
async fn rows(end: &mut dyn End) -> Result<u64> {
    let mut rows = 0;
    for table in TABLES {
        rows += end.count(table).await?;
    }
    Ok(rows)
}

fn of_source(error: impl Into<OpenError>) -> CopyError {
    CopyError::Source(error.into())
}

fn of_target(error: impl Into<OpenError>) -> CopyError {
    CopyError::Target(error.into())
}
