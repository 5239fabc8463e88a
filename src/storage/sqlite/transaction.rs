//! A rule's transaction: a part of the writer's.

use sqlx::{Sqlite, SqliteConnection, query::QueryScalar, sqlite::SqliteArguments};

use super::{
    columns::{Select, Statement, Stored},
    error::{is_unique_violation, store_error},
};
use crate::{
    domain::{Conflict, OrganizationId, Outage},
    storage::{Result, StoreError},
};

/// What the primitives are implemented on. Statements of one text that are separated by semicolons are handed to SQLite's
/// thread and back once.
pub(super) struct SqliteTransaction<'c> {
    connection: &'c mut SqliteConnection,
    outage: Option<Outage>,
    /// The number in the search index of the organization that a member was numbered in last.
    ordinal: Option<(OrganizationId, i64)>,
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

    /// An organization's number in the search index.
    pub(super) async fn ordinal(&mut self, organization: OrganizationId) -> Result<i64> {
        match self.ordinal {
            Some((of, ordinal)) if of == organization => Ok(ordinal),
            _ => {
                let query = sqlx::query_scalar("SELECT ordinal FROM organizations WHERE id = $1");
                self.value(query.bind(organization)).await
            }
        }
    }

    /// Runs a statement.
    pub(super) async fn execute(&mut self, statement: Statement<'_>) -> Result<()> {
        self.changed(statement).await.map(|_| ())
    }

    /// Runs a statement and returns how many rows it changed.
    pub(super) async fn changed(&mut self, statement: Statement<'_>) -> Result<u64> {
        let done = statement.execute(&mut *self.connection).await;
        self.noted(done).map(|done| done.rows_affected())
    }

    /// Runs a statement that breaks this rule of uniqueness when it breaks one.
    pub(super) async fn execute_unique(
        &mut self,
        statement: Statement<'_>,
        conflict: Conflict,
    ) -> Result<()> {
        let done = statement.execute(&mut *self.connection).await;
        self.noted(unless_unique(done, conflict)?).map(|_| ())
    }

    /// The first row.
    pub(super) async fn optional<T: Stored>(&mut self, query: Select<'_, T>) -> Result<Option<T>> {
        let found = query.fetch_optional(&mut *self.connection).await;
        self.noted(found)
    }

    /// The one row that the statement always has.
    pub(super) async fn one<T: Stored>(&mut self, query: Select<'_, T>) -> Result<T> {
        let found = query.fetch_one(&mut *self.connection).await;
        self.noted(found)
    }

    /// The first row of a statement that breaks this rule of uniqueness when it breaks one.
    pub(super) async fn first_unique<T: Stored>(
        &mut self,
        statement: Statement<'_>,
        conflict: Conflict,
    ) -> Result<Option<T>> {
        let row = statement.fetch_optional(&mut *self.connection).await;
        let row = row.and_then(|row| row.as_ref().map(T::from_row).transpose());
        self.noted(unless_unique(row, conflict)?)
    }

    /// All rows.
    pub(super) async fn rows<T: Stored>(&mut self, query: Select<'_, T>) -> Result<Vec<T>> {
        let found = query.fetch_all(&mut *self.connection).await;
        self.noted(found)
    }

    /// The values of all rows.
    pub(super) async fn all<T>(
        &mut self,
        query: QueryScalar<'_, Sqlite, T, SqliteArguments>,
    ) -> Result<Vec<T>>
    where
        (T,): Stored,
        T: Send + Unpin,
    {
        let found = query.fetch_all(&mut *self.connection).await;
        self.noted(found)
    }

    /// The one value that the statement always has.
    pub(super) async fn value<T>(&mut self, query: QueryScalar<'_, Sqlite, T, SqliteArguments>) -> Result<T>
    where
        (T,): Stored,
        T: Send + Unpin,
    {
        let found = query.fetch_one(&mut *self.connection).await;
        self.noted(found)
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

/// What the statement came to, unless it would have broken a rule of uniqueness.
fn unless_unique<T>(
    result: Result<T, sqlx::Error>,
    conflict: Conflict,
) -> Result<Result<T, sqlx::Error>, Conflict> {
    match result {
        Err(error) if is_unique_violation(&error) => Err(conflict),
        result => Ok(result),
    }
}
