//! Many new rows at once: statements that each write hundreds.

use std::sync::Arc;

use sqlx::AssertSqlSafe;

use super::{columns::Statement, placeholders::rows, transaction::SqliteTransaction};
use crate::{
    domain::{Change, Conflict, EventKind, OrganizationId},
    storage::{MemberEvent, Result},
};

/// Rows of a table. Each has so many parameters of its own, which are bound first, row by row; `common` are the same in all, and bound
/// last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows<'r> {
    pub(super) table: &'static str,
    pub(super) own: &'r [&'static str],
    pub(super) common: &'r [&'static str],
    /// Of one statement: with all their columns far fewer parameters than SQLite takes.
    pub(super) together: usize,
}

impl Rows<'_> {
    /// Begins a statement that adds so many. If it fails, its transaction is undone: SQLite then need not write down what it would take
    /// to undo the statement alone.
    fn insert(&self, count: usize) -> String {
        let columns: Vec<_> = self.own.iter().chain(self.common).copied().collect();
        format!(
            "INSERT OR FAIL INTO {} ({}) VALUES {}",
            self.table,
            columns.join(", "),
            rows(self.own.len(), self.common.len(), count)
        )
    }
}

impl SqliteTransaction<'_> {
    /// Adds a row for each item. `conflict` is the rule of uniqueness that they break when they break one; without it that is a failure.
    pub(super) async fn insert_many<T: Sync>(
        &mut self,
        into: Rows<'_>,
        items: &[T],
        bind: impl Fn(usize, &T, Statement<'static>) -> Statement<'static> + Send + Sync,
        bind_common: impl Fn(Statement<'static>) -> Statement<'static> + Send + Sync,
        conflict: Option<Conflict>,
    ) -> Result<()> {
        let of_a_part: Arc<str> = into.insert(into.together).into();
        let parts = (0..).step_by(into.together).zip(items.chunks(into.together));
        let statements = parts.map(|(first, items)| {
            let is_full = items.len() == into.together;
            let sql = if is_full {
                of_a_part.clone()
            } else {
                into.insert(items.len()).into()
            };
            // Safe: it is put together from constants. One of a number of rows that hardly comes again would only take up memory.
            let mut statement = sqlx::query(AssertSqlSafe(sql)).persistent(is_full);
            for (place, item) in (first..).zip(items) {
                statement = bind(place, item, statement);
            }
            bind_common(statement)
        });
        self.execute_each(statements, conflict).await
    }

    /// Adds events about members, with sequence numbers from this one on.
    pub(super) async fn insert_events(
        &mut self,
        organization: OrganizationId,
        first: i64,
        kind: EventKind,
        events: &[MemberEvent<'_>],
        change: &Change,
    ) -> Result<()> {
        let into = Rows {
            table: "events",
            own: &["sequence", "member_id", "user_id", "source", "fields"],
            common: &["organization_id", "kind", "actor", "at", "client"],
            together: 500,
        };
        let bind = |place, event: &MemberEvent<'_>, statement: Statement<'static>| {
            statement
                .bind(first.saturating_add(i64::try_from(place).unwrap_or(i64::MAX)))
                .bind(event.member.id)
                .bind(event.member.user_id)
                .bind(event.source.clone())
                .bind(event.fields.join(" "))
        };
        let bind_common = |statement: Statement<'static>| {
            statement
                .bind(organization)
                .bind(kind)
                .bind(change.actor)
                .bind(change.at)
                .bind(change.client.clone())
        };
        self.insert_many(into, events, bind, bind_common, None).await
    }

    /// Runs statements one after another, and makes each while the engine is at the one before. `conflict` is the rule of
    /// uniqueness that they break when they break one; without it that is a failure.
    pub(super) async fn execute_each<'q>(
        &mut self,
        mut statements: impl Iterator<Item = Statement<'q>> + Send,
        conflict: Option<Conflict>,
    ) -> Result<()> {
        let mut next = statements.next();
        while let Some(statement) = next {
            let run = async {
                match conflict {
                    Some(conflict) => self.execute_unique(statement, conflict).await,
                    None => self.execute(statement).await,
                }
            };
            let done;
            (done, next) = tokio::join!(biased; run, async { statements.next() });
            done?;
        }
        Ok(())
    }
}
