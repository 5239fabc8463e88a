//! Lists: one statement for each page, which begins where the page before ended.

use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use super::{
    row::{ENTRY_COLUMNS, entry_from_row},
    search::Search,
};
use crate::{
    domain::{MemberEntry, OrganizationId, Role},
    storage::{MemberFilter, MemberOrder, MemberQuery, StoreError, TimeRange, sqlite::error::engine},
};

/// One page.
pub(super) async fn page(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    query: MemberQuery,
) -> Result<Vec<MemberEntry>, StoreError> {
    let search = search(&mut *connection, organization, &query.filter).await?;
    let mut sql = statement(ENTRY_COLUMNS, organization, &query.filter, search.as_ref());
    let direction = if query.descending { " DESC" } else { "" };
    let beyond = if query.descending { " < " } else { " > " };
    // Matches come out of the index in the order of their rows, which is that of the numbers.
    let by_row = search.is_some_and(|search| search.query.is_some());
    match query.order {
        MemberOrder::Number if by_row => {
            if let Some(after) = query.after {
                sql.push(" AND s.rowid")
                    .push(beyond)
                    .push("(SELECT row FROM members WHERE organization_id = ");
                sql.push_bind(id(organization))
                    .push(" AND number = ")
                    .push_bind(after.number.0)
                    .push(")");
            }
            sql.push(" ORDER BY s.rowid").push(direction);
        }
        MemberOrder::Number => {
            if let Some(after) = query.after {
                sql.push(" AND m.number").push(beyond).push_bind(after.number.0);
            }
            sql.push(" ORDER BY m.number").push(direction);
        }
        MemberOrder::Name => {
            if let Some(after) = query.after {
                sql.push(" AND (coalesce(m.name, ''), m.number)")
                    .push(beyond)
                    .push("(");
                sql.push_bind(after.name.unwrap_or_default())
                    .push(", ")
                    .push_bind(after.number.0)
                    .push(")");
            }
            sql.push(" ORDER BY coalesce(m.name, '')")
                .push(direction)
                .push(", m.number")
                .push(direction);
        }
    }
    sql.push(" LIMIT ").push_bind(query.limit);
    if query.skip > 0 {
        sql.push(" OFFSET ")
            .push_bind(i64::try_from(query.skip).unwrap_or(i64::MAX));
    }
    let rows = sql.build().fetch_all(connection).await.map_err(engine)?;
    rows.iter()
        .map(|row| entry_from_row(row).map(|stored| stored.entry))
        .collect()
}

/// How many there are on all pages.
pub(super) async fn count(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    filter: &MemberFilter,
) -> Result<u64, StoreError> {
    if filter.is_of_roles() {
        return count_roles(connection, organization, &filter.roles).await;
    }
    let search = search(&mut *connection, organization, filter).await?;
    let mut sql = statement("count(*)", organization, filter, search.as_ref());
    let count: i64 = sql
        .build_query_scalar()
        .fetch_one(connection)
        .await
        .map_err(engine)?;
    Ok(u64::try_from(count).unwrap_or_default())
}

/// How many there are of some roles, or of all: from the counts that triggers keep.
async fn count_roles(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    roles: &[Option<Role>],
) -> Result<u64, StoreError> {
    let mut sql =
        QueryBuilder::new("SELECT coalesce(sum(live), 0) FROM member_counts WHERE organization_id = ");
    sql.push_bind(id(organization));
    if !roles.is_empty() {
        let mut list = sql.separated(", ");
        list.push_unseparated(" AND role IN (");
        for role in roles {
            list.push_bind(role.map_or("", Role::as_str));
        }
        list.push_unseparated(")");
    }
    let count: i64 = sql
        .build_query_scalar()
        .fetch_one(connection)
        .await
        .map_err(engine)?;
    Ok(u64::try_from(count).unwrap_or_default())
}

async fn search(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    filter: &MemberFilter,
) -> Result<Option<Search>, StoreError> {
    if filter.name_parts.is_empty() && filter.email_parts.is_empty() {
        return Ok(None);
    }
    let ordinal: Option<i64> = sqlx::query_scalar("SELECT ordinal FROM organizations WHERE id = $1")
        .bind(id(organization))
        .fetch_optional(connection)
        .await
        .map_err(engine)?;
    Ok(Search::new(filter, ordinal.unwrap_or_default()))
}

/// Everything up to the order: columns, tables, filters.
fn statement(
    columns: &str,
    organization: OrganizationId,
    filter: &MemberFilter,
    search: Option<&Search>,
) -> QueryBuilder<Sqlite> {
    let mut sql = QueryBuilder::new("SELECT ");
    sql.push(columns);
    match search {
        None => sql.push(" FROM members AS m WHERE "),
        // CROSS: the index first, then the members it found.
        Some(Search { query: Some(query), .. }) => sql
            .push(" FROM member_search AS s CROSS JOIN members AS m ON m.row = s.rowid WHERE s.member_search MATCH ")
            .push_bind(query.clone())
            .push(" AND "),
        Some(Search { query: None, .. }) => {
            sql.push(" FROM members AS m CROSS JOIN member_search AS s ON s.rowid = m.row WHERE ")
        }
    };
    sql.push("m.organization_id = ")
        .push_bind(id(organization))
        .push(" AND m.revoked_at IS NULL");
    for (column, parts) in search.map(|search| &search.scan[..]).unwrap_or_default() {
        sql.push(" AND (");
        for (index, part) in parts.iter().enumerate() {
            sql.push(if index == 0 { "instr(s." } else { " OR instr(s." });
            sql.push(column).push(", ").push_bind(part.clone()).push(") > 0");
        }
        sql.push(")");
    }
    roles(&mut sql, &filter.roles);
    if let Some(team) = filter.team {
        sql.push(" AND m.number IN (SELECT member FROM team_members WHERE organization_id = ");
        sql.push_bind(id(organization))
            .push(" AND team = ")
            .push_bind(team.0)
            .push(")");
    }
    if let Some(enabled) = filter.enabled {
        sql.push(" AND m.enabled = ").push_bind(enabled);
    }
    if let Some(source) = &filter.source {
        sql.push(" AND m.source = ").push_bind(source.as_str().to_owned());
    }
    range(&mut sql, "m.created_at", filter.created);
    range(&mut sql, "m.last_seen_at", filter.seen);
    sql
}

/// Written so that each case finds its index: one role, any role, or some of them.
fn roles(sql: &mut QueryBuilder<Sqlite>, roles: &[Option<Role>]) {
    let some: Vec<_> = roles.iter().flatten().collect();
    let none = roles.contains(&None);
    match (&some[..], none) {
        ([], false) => {}
        ([], true) => {
            sql.push(" AND m.role IS NULL");
        }
        ([role], false) => {
            sql.push(" AND m.role IS NOT NULL AND m.role = ")
                .push_bind(role.as_str());
        }
        (some, none) => {
            sql.push(if none {
                " AND (m.role IS NULL OR "
            } else {
                " AND m.role IS NOT NULL AND ("
            });
            if Role::ALL.iter().all(|role| some.contains(&role)) {
                sql.push("TRUE");
            } else {
                // A plus sign keeps SQLite from sorting the members of each role together.
                let mut list = sql.separated(", ");
                list.push_unseparated("+m.role IN (");
                for role in some {
                    list.push_bind(role.as_str());
                }
                list.push_unseparated(")");
            }
            sql.push(")");
        }
    }
}

fn range(sql: &mut QueryBuilder<Sqlite>, column: &str, range: TimeRange) {
    if let Some(from) = range.from {
        sql.push(" AND ")
            .push(column)
            .push(" >= ")
            .push_bind(from.as_millis());
    }
    if let Some(until) = range.until {
        sql.push(" AND ")
            .push(column)
            .push(" < ")
            .push_bind(until.as_millis());
    }
}

fn id(organization: OrganizationId) -> Vec<u8> {
    organization.as_uuid().as_bytes().to_vec()
}
