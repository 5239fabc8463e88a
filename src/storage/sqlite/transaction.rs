//! A rule's transaction: a part of the writer's.

#[path = "../sql/statements.rs"]
mod statements;

use async_trait::async_trait;
use sqlx::SqliteConnection;

use super::error::store_error;
use crate::{
    domain::{Change, EventKind, MemberId, OrganizationId, Outage},
    storage::{Result, Savepoints, StoreError, Verdict},
};

/// What the primitives are implemented on. Statements of one text that are separated by semicolons are handed to SQLite's
/// thread and back once.
pub(super) struct SqliteTransaction<'c> {
    connection: &'c mut SqliteConnection,
    outage: Option<Outage>,
    /// That of the organization that a member was numbered in last.
    ordinal: Option<(OrganizationId, i64)>,
}

/// A part of a rule's: the writer has savepoints of its own around each rule.
const PART: &str = "SAVEPOINT part";
const KEEP_PART: &str = "RELEASE part";
const UNDO_PART: &str = "ROLLBACK TO part; RELEASE part";

#[async_trait]
impl Savepoints for SqliteTransaction<'_> {
    async fn begin_part(&mut self) -> Result<()> {
        self.execute(sqlx::query(PART)).await
    }

    async fn end_part(&mut self, verdict: Verdict) -> Result<()> {
        let statement = match verdict {
            Verdict::Commit => KEEP_PART,
            Verdict::Undo => UNDO_PART,
        };
        self.execute(sqlx::query(statement)).await
    }
}

impl<'c> SqliteTransaction<'c> {
    pub(super) const fn new(connection: &'c mut SqliteConnection) -> Self {
        Self {
            connection,
            outage: None,
            ordinal: None,
        }
    }

    /// Why the database failed under it. SQLite may have undone the whole transaction then.
    pub(super) const fn outage(&self) -> Option<Outage> {
        self.outage
    }

    pub(super) const fn note_ordinal(&mut self, organization: OrganizationId, ordinal: i64) {
        self.ordinal = Some((organization, ordinal));
    }

    /// Nothing: what became of a transaction is known without looking for its events.
    #[expect(clippy::unused_self, reason = "as on other engines")]
    pub(super) const fn note_event(
        &mut self,
        _: OrganizationId,
        _: i64,
        _: EventKind,
        _: Option<MemberId>,
        _: &Change,
    ) {
    }

    /// The number by which the search index and some indexes of members have an organization.
    pub(super) async fn ordinal(&mut self, organization: OrganizationId) -> Result<i64> {
        match self.ordinal {
            Some((of, ordinal)) if of == organization => Ok(ordinal),
            _ => {
                let query = sqlx::query_scalar("SELECT ordinal FROM organizations WHERE id = $1");
                self.value(query.bind(organization)).await
            }
        }
    }

    fn noted<T>(&mut self, result: Result<T, sqlx::Error>) -> Result<T> {
        result.map_err(|error| {
            let error = store_error(error);
            if let StoreError::Unavailable(outage) = error {
                self.outage = Some(outage);
            }
            error
        })
    }
}
