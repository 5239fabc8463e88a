//! A list of which everybody is looked at to count them: their rows are kept until the page is read. It is read in its order
//! from an index that has nothing else, and nobody is read who is not on it.
//!
//! The rows are in a temporary table of the connection, which other connections do not see, and which is in memory until it
//! is large.

use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use super::{
    filter::{Found, Key, statement_of_all},
    limit, members, sort_column, sorted,
};
use crate::{
    domain::{Member, MemberFilter, MemberQuery, OrganizationId},
    storage::{
        Result,
        sqlite::{error::store_error, members::row::COLUMNS},
    },
};

/// Empty but for the time from one step to the other.
pub(super) const TABLE: &str = "CREATE TEMPORARY TABLE IF NOT EXISTS matches (row INTEGER PRIMARY KEY)";

/// Keeps the rows of all whom the filter lets through, and says how many they are. The page is to be read in the same
/// transaction.
pub(super) async fn collect(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    filter: &MemberFilter,
    found: Option<&Found>,
) -> Result<u64> {
    execute(&mut *connection, QueryBuilder::new(TABLE)).await?;
    execute(connection, collect_statement(organization, filter, found)).await
}

/// One page of those who were kept, who are few or not, and forgets them.
pub(super) async fn page(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    query: &MemberQuery,
    few: bool,
) -> Result<Vec<Member>> {
    let page = members(&mut *connection, page_statement(organization, query, few)).await?;
    execute(connection, QueryBuilder::new("DELETE FROM temp.matches")).await?;
    Ok(page)
}

/// How many rows it wrote or removed.
async fn execute(connection: &mut SqliteConnection, mut sql: QueryBuilder<Sqlite>) -> Result<u64> {
    let done = sql.build().execute(connection).await.map_err(store_error)?;
    Ok(done.rows_affected())
}

pub(super) fn collect_statement(
    organization: OrganizationId,
    filter: &MemberFilter,
    found: Option<&Found>,
) -> QueryBuilder<Sqlite> {
    statement_of_all(
        "INSERT INTO temp.matches (row) SELECT m.row",
        organization,
        filter,
        found,
    )
}

/// A few are read and sorted; of many, the index of the order is gone through.
pub(super) fn page_statement(
    organization: OrganizationId,
    query: &MemberQuery,
    few: bool,
) -> QueryBuilder<Sqlite> {
    let mut sql = QueryBuilder::new("SELECT ");
    sql.push(&*COLUMNS);
    sql.push(if few {
        " FROM temp.matches AS s CROSS JOIN members AS m ON m.row = s.row WHERE "
    } else {
        // A plus sign keeps SQLite from looking for each of the rows.
        " FROM members AS m WHERE +m.row IN (SELECT row FROM temp.matches) AND "
    });
    Key::of(query.order).condition(&mut sql, organization);
    if let Some(column) = sort_column(query) {
        sorted(&mut sql, query, column, few);
    }
    limit(&mut sql, query);
    sql
}
