//! Lists: one statement for each page, which begins where the page before ended.

use sqlx::{AssertSqlSafe, Postgres, QueryBuilder};

use super::{row::COLUMNS, search};
use crate::{
    domain::{
        Member, MemberFilter, MemberNumber, MemberOrder, MemberQuery, OrganizationId, PageRequest,
        RevokedFilter, Role, SortValue, TimeRange, Timestamp,
    },
    storage::{
        Result,
        postgres::{
            columns::Select,
            connect::in_time,
            reads::{Reading, Reads},
        },
    },
};

/// One page.
pub(super) async fn members(
    reads: &Reads,
    organization: OrganizationId,
    query: MemberQuery,
) -> Result<Vec<Member>> {
    let mut reading = if query.is_short() {
        reads.short(Some(organization)).await?
    } else {
        reads.long(Some(organization)).await?
    };
    let members = page(&mut reading, organization, query).await?;
    reading.end().await?;
    Ok(members)
}

/// One page, and how many there are on all pages: both of one moment, as everything in a long read is.
pub(super) async fn members_counted(
    reads: &Reads,
    organization: OrganizationId,
    query: MemberQuery,
) -> Result<(Vec<Member>, u64)> {
    let mut reading = reads.long(Some(organization)).await?;
    let total = count(&mut reading, organization, &query.filter).await?;
    let (query, reversed) = query.from_nearer_end(total);
    let mut members = page(&mut reading, organization, query).await?;
    reading.end().await?;
    if reversed {
        members.reverse();
    }
    Ok((members, total))
}

async fn page(
    reading: &mut Reading<'_>,
    organization: OrganizationId,
    query: MemberQuery,
) -> Result<Vec<Member>> {
    let mut sql = statement(&COLUMNS, organization, &query.filter);
    let direction = if query.descending { " DESC" } else { "" };
    let beyond = if query.descending { " < " } else { " > " };
    let column = sort_column(query.order);
    if let Some(after) = query.after {
        match column {
            Some((column, nothing)) => {
                sql.push(" AND (m.")
                    .push(column)
                    .push(", m.number)")
                    .push(beyond)
                    .push("(");
                match after.value.unwrap_or(nothing) {
                    SortValue::Number(number) => sql.push_bind(number),
                    SortValue::Text(text) => sql.push_bind(text),
                };
                sql.push(", ").push_bind(after.number).push(")");
            }
            None => {
                sql.push(" AND m.number").push(beyond).push_bind(after.number);
            }
        }
    }
    sql.push(" ORDER BY ");
    if let Some((column, _)) = sort_column(query.order) {
        sql.push("m.").push(column).push(direction).push(", ");
    }
    sql.push("m.number").push(direction);
    sql.push(" LIMIT ").push_bind(i64::from(query.limit));
    if query.skip > 0 {
        sql.push(" OFFSET ")
            .push_bind(i64::try_from(query.skip).unwrap_or(i64::MAX));
    }
    let patience = reading.patience();
    let members = in_time(patience, sql.build_query_as().fetch_all(reading.connection())).await;
    members.map_err(|error| reading.failed(error))
}

/// The column that gives the order, with the value of those who have none. None: their numbers give it.
fn sort_column(order: MemberOrder) -> Option<(&'static str, SortValue)> {
    let nothing = || SortValue::Text(String::new());
    match order {
        MemberOrder::Number => None,
        MemberOrder::Name => Some(("sort_name", nothing())),
        MemberOrder::Email => Some(("sort_email", nothing())),
        MemberOrder::Role => Some(("sort_role", SortValue::Number(0))),
        MemberOrder::LastSeen => Some(("sort_seen", SortValue::Number(-1))),
    }
}

/// One page of those who were revoked, the last first; of one moment, the one with the higher number.
pub(super) fn revoked(
    organization: OrganizationId,
    filter: &RevokedFilter,
    page: &PageRequest<(Timestamp, MemberNumber)>,
) -> Select<'static, Member> {
    let (after, next) = match page.after {
        Some(_) => (" AND (m.revoked_at, m.number) < ($4, $5)", 6),
        None => ("", 4),
    };
    let roles = match filter.roles[..] {
        [] => String::new(),
        _ => format!(" AND coalesce(m.role, '') = ANY (${next})"),
    };
    let sql = format!(
        "SELECT {} FROM members AS m
         WHERE m.organization_id = $1 AND m.revoked_at IS NOT NULL AND m.erased_at IS NULL
             AND m.revoked_at >= $2{after}{roles}
         ORDER BY m.revoked_at DESC, m.number DESC LIMIT $3",
        *COLUMNS
    );
    // Safe: it is put together from constants.
    let mut query = sqlx::query_as(AssertSqlSafe(sql))
        .bind(organization)
        .bind(filter.from)
        .bind(i64::from(page.limit));
    if let Some((at, number)) = page.after {
        query = query.bind(at).bind(number);
    }
    if filter.roles.is_empty() {
        return query;
    }
    let names = filter.roles.iter().map(|role| role.map_or("", Role::as_str));
    query.bind(names.collect::<Vec<_>>())
}

/// How many there are.
async fn count(
    reading: &mut Reading<'_>,
    organization: OrganizationId,
    filter: &MemberFilter,
) -> Result<u64> {
    let mut sql = if filter.is_of_roles() {
        role_counts(organization, &filter.roles)
    } else {
        statement("count(*)", organization, filter)
    };
    let patience = reading.patience();
    let number = in_time(patience, sql.build_query_scalar().fetch_one(reading.connection())).await;
    let number: i64 = number.map_err(|error| reading.failed(error))?;
    Ok(u64::try_from(number).unwrap_or_default())
}

/// How many there are of some roles, or of all: from the counts that every change keeps.
fn role_counts(organization: OrganizationId, roles: &[Option<Role>]) -> QueryBuilder<Postgres> {
    let mut sql = QueryBuilder::new(
        "SELECT coalesce(sum(live), 0)::bigint FROM member_counts WHERE organization_id = ",
    );
    sql.push_bind(organization);
    if !roles.is_empty() {
        let roles: Vec<_> = roles.iter().map(|role| role.map_or("", Role::as_str)).collect();
        sql.push(" AND role = ANY (").push_bind(roles).push(")");
    }
    sql
}

/// Columns, tables, filters: everything of a statement up to the order.
fn statement(columns: &str, organization: OrganizationId, filter: &MemberFilter) -> QueryBuilder<Postgres> {
    let mut sql = QueryBuilder::new("SELECT ");
    sql.push(columns)
        .push(" FROM members AS m WHERE m.organization_id = ")
        .push_bind(organization)
        .push(" AND m.revoked_at IS NULL");
    search::push(&mut sql, filter);
    roles(&mut sql, &filter.roles);
    match filter.end_user {
        Some(true) => sql.push(" AND m.portal_role IS NOT NULL"),
        // Whoever is no end user has a role: staff have an index.
        Some(false) => sql.push(" AND m.portal_role IS NULL AND m.role IS NOT NULL"),
        None => &mut sql,
    };
    if let Some(team) = filter.team {
        sql.push(" AND EXISTS (SELECT 1 FROM team_members AS t WHERE t.organization_id = m.organization_id AND t.team = ")
            .push_bind(team)
            .push(" AND t.member = m.number)");
    }
    if let Some(enabled) = filter.enabled {
        sql.push(" AND m.enabled = ").push_bind(enabled);
    }
    if let Some(source) = &filter.source {
        sql.push(" AND m.source = ").push_bind(source.clone());
    }
    range(&mut sql, "m.created_at", filter.created);
    range(&mut sql, "m.last_seen_at", filter.seen);
    sql
}

fn roles(sql: &mut QueryBuilder<Postgres>, roles: &[Option<Role>]) {
    if roles.is_empty() {
        return;
    }
    let some: Vec<_> = roles.iter().flatten().map(|role| role.as_str()).collect();
    let none = roles.contains(&None);
    sql.push(if none {
        " AND (m.role IS NULL OR "
    } else {
        " AND m.role IS NOT NULL AND ("
    });
    if !none && Role::ALL.iter().all(|role| some.contains(&role.as_str())) {
        sql.push("TRUE)");
    } else {
        sql.push("m.role = ANY (").push_bind(some).push("))");
    }
}

fn range(sql: &mut QueryBuilder<Postgres>, column: &str, range: TimeRange) {
    if let Some(from) = range.from {
        sql.push(" AND ").push(column).push(" >= ").push_bind(from);
    }
    if let Some(until) = range.until {
        sql.push(" AND ").push(column).push(" < ").push_bind(until);
    }
}
