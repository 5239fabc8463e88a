//! A rule's transaction.

#[path = "../sql/statements.rs"]
mod statements;

use async_trait::async_trait;
use sqlx::PgConnection;

pub(super) use statements::unless_unique;

use super::error::{is_passing, store_error};
use crate::{
    domain::{Actor, Change, EventKind, MemberId, MemberNumber, OrganizationId, Outage, Timestamp},
    storage::{Result, Savepoints, StoreError, Verdict},
};

/// Up to so many members of an organization are soon looked through. From here on the planner is to know how many there are.
const COUNTED: i64 = 4_000;

/// How many times as many they are when it is told again: PostgreSQL knows by itself how long its tables are.
const GROWN: i64 = 8;

/// What the primitives are implemented on.
pub(super) struct PostgresTransaction<'c> {
    pub(super) connection: &'c mut PgConnection,
    trouble: Option<Trouble>,
    last_event: Option<Appended>,
    /// The same when its part began.
    event_before_part: Option<Appended>,
    has_grown: bool,
}

/// An event that a transaction has appended: enough to know it again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Appended {
    pub(super) organization: OrganizationId,
    pub(super) sequence: i64,
    pub(super) kind: EventKind,
    pub(super) member: Option<MemberId>,
    pub(super) actor: Actor,
    pub(super) at: Timestamp,
}

/// Why a transaction is over before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Another one was in its way: it may be run again.
    Passing,
    /// The database failed under it.
    Outage(Outage),
}

#[async_trait]
impl Savepoints for PostgresTransaction<'_> {
    async fn begin_part(&mut self) -> Result<()> {
        self.event_before_part = self.last_event;
        self.execute(sqlx::query("SAVEPOINT part")).await
    }

    async fn end_part(&mut self, verdict: Verdict) -> Result<()> {
        if verdict == Verdict::Undo {
            self.last_event = self.event_before_part;
            self.execute(sqlx::query("ROLLBACK TO part")).await?;
        }
        self.execute(sqlx::query("RELEASE part")).await
    }
}

impl<'c> PostgresTransaction<'c> {
    pub(super) const fn new(connection: &'c mut PgConnection) -> Self {
        Self {
            connection,
            trouble: None,
            last_event: None,
            event_before_part: None,
            has_grown: false,
        }
    }

    /// Whether an organization has so many members more that the planner is to know it.
    pub(super) const fn has_grown(&self) -> bool {
        self.has_grown
    }

    /// Notes that an organization has so many members more, from this number on. [`Self::has_grown`] if it has [`GROWN`] times as
    /// many as at some time before, from [`COUNTED`] on.
    pub(super) fn note_growth(&mut self, MemberNumber(first): MemberNumber, count: i64) {
        let next = first.saturating_add(count);
        self.has_grown |= next > COUNTED && first.max(1).ilog(GROWN) != next.ilog(GROWN);
    }

    pub(super) const fn trouble(&self) -> Option<Trouble> {
        self.trouble
    }

    /// The last event that it has appended.
    pub(super) const fn last_event(&self) -> Option<Appended> {
        self.last_event
    }

    /// By this it is found out what became of the transaction, should its commit not be answered.
    pub(super) const fn note_event(
        &mut self,
        organization: OrganizationId,
        sequence: i64,
        kind: EventKind,
        member: Option<MemberId>,
        change: &Change,
    ) {
        self.last_event = Some(Appended {
            organization,
            sequence,
            kind,
            member,
            actor: change.actor,
            at: change.at,
        });
    }

    pub(super) fn noted<T>(&mut self, result: Result<T, sqlx::Error>) -> Result<T> {
        result.map_err(|error| {
            let is_passing = is_passing(&error);
            let error = store_error(error);
            if let StoreError::Unavailable(outage) = error {
                self.trouble = Some(if is_passing {
                    Trouble::Passing
                } else {
                    Trouble::Outage(outage)
                });
            }
            error
        })
    }
}
