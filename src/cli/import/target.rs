//! Where rows go: to a directory that this program opens, or to a server.

use std::{sync::Arc, time::Duration};

use backon::{ExponentialBuilder, Retryable as _};

use super::{
    outcome::{Named, Outcome},
    rehearsal::Carried,
};
use crate::{
    cli::{Session, error::ImportError, organization_at::Opened},
    domain::{ImportRow, OrganizationId},
    rpc::{ImportAnswer, ImportClient},
    service::{Imported, ServiceError, Write},
    storage,
};

/// Rows that are sent to a server at once.
const ROWS_SENT: usize = 1000;

/// How often, and after which pauses, it is tried again what a disk, a database or others who write are in the way of.
const ATTEMPTS: usize = 8;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How many rows are taken at once.
pub(super) fn batch(target: &Opened, rehearse: bool) -> usize {
    match target {
        Opened::Directory(session, _) => {
            let rows = storage::bulk_rows(&session.url);
            if rehearse { rows.rehearsed } else { rows.imported }
        }
        // As many again may come before those that are rehearsed, and all are in one message if rows have a kilobyte at most.
        Opened::Server(_) if rehearse => ROWS_SENT / 4,
        Opened::Server(_) => ROWS_SENT,
    }
}

/// An import, while it lasts.
pub(super) struct Importing<'t> {
    to: To<'t>,
    /// None: it is no rehearsal.
    carried: Option<Carried>,
}

enum To<'t> {
    Directory(&'t Session, OrganizationId),
    Server(Box<ImportClient>),
}

impl<'t> Importing<'t> {
    /// Begins an import, or one that changes nothing.
    pub(super) async fn begin(target: &'t Opened, rehearse: bool) -> Result<Self, ImportError> {
        let to = match target {
            Opened::Directory(session, organization) => To::Directory(session, *organization),
            Opened::Server(server) => To::Server(Box::new(server.import(rehearse).await?)),
        };
        let carried = rehearse.then(|| Carried::new(batch(target, rehearse)));
        Ok(Self { to, carried })
    }

    /// What became of each row.
    pub(super) async fn import(&mut self, mut rows: Vec<ImportRow>) -> Result<Vec<Outcome>, ImportError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let before = self.carried.as_ref().map(Carried::rows).unwrap_or_default();
        let first = before.len();
        // In place: most often there are none before.
        drop(rows.splice(..0, before.iter().cloned()));
        let rows = Arc::new(rows);
        let mut outcomes = match &mut self.to {
            To::Directory(session, organization) => {
                let rehearse = self.carried.is_some();
                import_here(session, *organization, &rows, rehearse).await?
            }
            To::Server(server) => {
                let answers = server.import(rows.iter().cloned()).await?;
                answers.into_iter().map(answered).collect()
            }
        };
        let outcomes = outcomes.split_off(first);
        if let Some(carried) = &mut self.carried {
            for (row, outcome) in rows.iter().skip(first).zip(&outcomes) {
                carried.keep(row, outcome);
            }
        }
        Ok(outcomes)
    }

    /// Whether rows may come to something else than was rehearsed, because they depend on others of which there are too many.
    pub(super) fn is_uncertain(&self) -> bool {
        self.carried.as_ref().is_some_and(Carried::is_full)
    }
}

async fn import_here(
    session: &Session,
    organization: OrganizationId,
    rows: &Arc<Vec<ImportRow>>,
    rehearse: bool,
) -> Result<Vec<Outcome>, ImportError> {
    let directory = &session.directory;
    let import = || async {
        let (grant, rows) = (Write::operator(organization), rows.clone());
        if rehearse {
            directory.rehearse_import(grant, rows).await
        } else {
            directory.import_members(grant, rows).await
        }
    };
    let pauses = ExponentialBuilder::new()
        .with_min_delay(FIRST_PAUSE)
        .with_max_delay(LONGEST_PAUSE)
        .with_max_times(ATTEMPTS);
    let imported = import
        .retry(pauses)
        .sleep(tokio::time::sleep)
        .when(passes)
        .await?;
    Ok(imported.into_iter().map(outcome).collect())
}

/// Whether it may be another time. What has been imported then is unchanged the next time.
const fn passes(error: &ServiceError) -> bool {
    matches!(error, ServiceError::Overloaded | ServiceError::Unavailable(_))
}

fn outcome(imported: Imported) -> Outcome {
    match imported {
        Imported::Created(_) => Outcome::Created,
        Imported::Updated(_) => Outcome::Updated,
        Imported::Unchanged(_) => Outcome::Unchanged,
        Imported::Rejected(rejection) => {
            let flaw: Named = (String::new(), rejection.to_string());
            Outcome::Rejected(vec![flaw])
        }
    }
}

fn answered(answer: ImportAnswer) -> Outcome {
    match answer {
        ImportAnswer::Created => Outcome::Created,
        ImportAnswer::Updated => Outcome::Updated,
        ImportAnswer::Unchanged => Outcome::Unchanged,
        ImportAnswer::Rejected(flaws) => Outcome::Rejected(flaws),
    }
}
