//! Ways to run a statement in a rule's transaction.

use sqlx::query::QueryScalar;

use super::super::{
    Arguments, Db, EngineTransaction,
    columns::{Select, Statement, Stored},
    error::is_unique_violation,
};
use crate::{domain::Conflict, storage::Result};

impl EngineTransaction<'_> {
    /// Runs a statement.
    pub(in super::super) async fn execute(&mut self, statement: Statement<'_>) -> Result<()> {
        self.changed(statement).await.map(|_| ())
    }

    /// Runs a statement and returns how many rows it changed.
    pub(in super::super) async fn changed(&mut self, statement: Statement<'_>) -> Result<u64> {
        let done = statement.execute(&mut *self.connection).await;
        self.noted(done).map(|done| done.rows_affected())
    }

    /// Runs a statement that breaks this rule of uniqueness when it breaks one.
    pub(in super::super) async fn execute_unique(
        &mut self,
        statement: Statement<'_>,
        conflict: Conflict,
    ) -> Result<()> {
        let done = statement.execute(&mut *self.connection).await;
        self.noted(unless_unique(done, conflict)?).map(|_| ())
    }

    /// The first row.
    pub(in super::super) async fn optional<T: Stored>(&mut self, query: Select<'_, T>) -> Result<Option<T>> {
        let found = query.fetch_optional(&mut *self.connection).await;
        self.noted(found)
    }

    /// The one row that the statement always has.
    pub(in super::super) async fn one<T: Stored>(&mut self, query: Select<'_, T>) -> Result<T> {
        let found = query.fetch_one(&mut *self.connection).await;
        self.noted(found)
    }

    /// The first row of a statement that breaks this rule of uniqueness when it breaks one.
    pub(in super::super) async fn first_unique<T: Stored>(
        &mut self,
        statement: Statement<'_>,
        conflict: Conflict,
    ) -> Result<Option<T>> {
        let row = statement.fetch_optional(&mut *self.connection).await;
        let row = row.and_then(|row| row.as_ref().map(T::from_row).transpose());
        self.noted(unless_unique(row, conflict)?)
    }

    /// All rows.
    pub(in super::super) async fn rows<T: Stored>(&mut self, query: Select<'_, T>) -> Result<Vec<T>> {
        let found = query.fetch_all(&mut *self.connection).await;
        self.noted(found)
    }

    /// The values of all rows.
    pub(in super::super) async fn all<T>(
        &mut self,
        query: QueryScalar<'_, Db, T, Arguments>,
    ) -> Result<Vec<T>>
    where
        (T,): Stored,
        T: Send + Unpin,
    {
        let found = query.fetch_all(&mut *self.connection).await;
        self.noted(found)
    }

    /// The one value that the statement always has.
    pub(in super::super) async fn value<T>(&mut self, query: QueryScalar<'_, Db, T, Arguments>) -> Result<T>
    where
        (T,): Stored,
        T: Send + Unpin,
    {
        let found = query.fetch_one(&mut *self.connection).await;
        self.noted(found)
    }
}

/// What the statement came to, unless it would have broken a rule of uniqueness.
pub(in super::super) fn unless_unique<T>(
    result: Result<T, sqlx::Error>,
    conflict: Conflict,
) -> Result<Result<T, sqlx::Error>, Conflict> {
    match result {
        Err(error) if is_unique_violation(&error) => Err(conflict),
        result => Ok(result),
    }
}
