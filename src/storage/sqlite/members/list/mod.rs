//! Lists: one statement for each page, which begins where the page before ended.

mod filter;
#[cfg(test)]
mod large;
mod matches;
#[cfg(test)]
mod plans;

use sqlx::{AssertSqlSafe, Connection as _, QueryBuilder, Sqlite, SqliteConnection};

use self::filter::{Found, Key, statement, statement_of_all};
use super::{
    kept::KeptTexts,
    row::COLUMNS,
    search::{Members, Search},
    texts::SPAN,
};
use crate::{
    domain::{
        Member, MemberFilter, MemberNumber, MemberOrder, MemberQuery, OrganizationId, PageRequest,
        RevokedFilter, Role, SortValue, Timestamp,
    },
    storage::{
        Result,
        sqlite::{columns::Select, error::store_error, rows},
    },
};

/// As many as are read and sorted rather than looked for among all in their order.
const FEW: u64 = 5_000;

/// The part of a list, from where the page before ended, that is passed over by reading it. For more, the rows of all on
/// the list are collected first.
const NEAR: u64 = 8;

/// If no more than one in so many is found by a search, each is looked for, rather than all others passed over.
const RARE: u64 = 16;

/// A page of a search looks at so many times as many members as before, until it is full.
const MORE: i64 = 4;

/// One page.
pub(super) async fn page(
    connection: &mut SqliteConnection,
    texts: &KeptTexts,
    organization: OrganizationId,
    query: MemberQuery,
) -> Result<Vec<Member>> {
    let of_few = is_of_few(&mut *connection, organization, &query.filter).await?;
    let Some(search) = Search::new(&query.filter) else {
        let few = of_few && query.order != MemberOrder::Number;
        return members(connection, page_statement(organization, &query, None, few)).await;
    };
    let mut snapshot = connection.begin().await.map_err(store_error)?;
    let all = Members::of(&mut snapshot, organization).await?;
    let is_in_turn = sort_column(&query).is_none() && query.filter.team.is_none();
    let page = if is_in_turn && query.skip == 0 && !of_few {
        next(&mut snapshot, texts, organization, &query, &search, all).await?
    } else {
        let numbers = search.numbers(&mut snapshot, texts, all, all.spans()).await?;
        let few = of_few || numbers.len() as u64 <= FEW;
        let found = Found::new(&numbers, FEW);
        let sql = page_statement(organization, &query, Some(&found), few);
        members(&mut snapshot, sql).await?
    };
    snapshot.commit().await.map_err(store_error)?;
    Ok(page)
}

/// One page of a search by number: of those who are next, as far as it takes to fill it.
async fn next(
    connection: &mut SqliteConnection,
    texts: &KeptTexts,
    organization: OrganizationId,
    query: &MemberQuery,
    search: &Search,
    all: Members,
) -> Result<Vec<Member>> {
    let mut query = query.clone();
    let mut page = Vec::new();
    let mut left = all.spans();
    if let Some(after) = &query.after {
        let span = after.number.0 / SPAN;
        if query.descending {
            left.end = left.end.min(span + 1);
        } else {
            left.start = left.start.max(span);
        }
    }
    let mut spans = 1;
    while !left.is_empty() && query.limit > 0 {
        let looked_at;
        if query.descending {
            let start = left.start.max(left.end - spans);
            (left, looked_at) = (left.start..start, start..left.end);
        } else {
            let end = left.end.min(left.start + spans);
            (left, looked_at) = (end..left.end, left.start..end);
        }
        let numbers = search.numbers(&mut *connection, texts, all, looked_at).await?;
        if !numbers.is_empty() {
            let found = Found::new(&numbers, numbers.len() as u64);
            let sql = page_statement(organization, &query, Some(&found), false);
            let found = members(&mut *connection, sql).await?;
            query.limit -= u32::try_from(found.len()).unwrap_or(query.limit);
            page.extend(found);
        }
        spans *= MORE;
    }
    Ok(page)
}

/// One page and how many there are on all pages, in a transaction. A list of which everybody is read to be counted is
/// collected meanwhile, if it is wanted in another order.
pub(super) async fn counted(
    connection: &mut SqliteConnection,
    texts: &KeptTexts,
    organization: OrganizationId,
    query: MemberQuery,
) -> Result<(Vec<Member>, u64)> {
    let filter = query.filter.clone();
    let found = match Search::new(&filter) {
        None => None,
        Some(search) => {
            let all = Members::of(&mut *connection, organization).await?;
            let numbers = search.numbers(&mut *connection, texts, all, all.spans()).await?;
            Some(Found::new(&numbers, FEW.max(all.last.unsigned_abs() / RARE)))
        }
    };
    let found = found.as_ref();
    let is_sorted = sort_column(&query).is_some();
    let mut is_collected = is_sorted && !filter.is_of_roles();
    let total = if is_collected {
        matches::collect(&mut *connection, organization, &filter, found).await?
    } else if filter.is_of_roles() {
        number(&mut *connection, role_counts(organization, &filter.roles)).await?
    } else {
        let sql = statement_of_all("SELECT count(*)", organization, &filter, found);
        number(&mut *connection, sql).await?
    };
    if total == 0 {
        return Ok((Vec::new(), 0));
    }
    let (query, reversed) = query.from_nearer_end(total);
    // By role, they are read nearly in the order of their rows, which takes no longer.
    let is_scattered = is_sorted && query.order != MemberOrder::Role;
    if is_scattered && !is_collected && query.skip > FEW.max(total / NEAR) {
        matches::collect(&mut *connection, organization, &filter, found).await?;
        is_collected = true;
    }
    let few = total <= FEW;
    let mut page = if is_collected {
        matches::page(connection, organization, &query, few).await?
    } else {
        members(connection, page_statement(organization, &query, found, few)).await?
    };
    if reversed {
        page.reverse();
    }
    Ok((page, total))
}

async fn members(connection: &mut SqliteConnection, mut sql: QueryBuilder<Sqlite>) -> Result<Vec<Member>> {
    rows::all(connection, sql.build_query_as::<Member>()).await
}

/// Whether a list is of staff, who have an index of their own, and of few.
async fn is_of_few(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    filter: &MemberFilter,
) -> Result<bool> {
    let any: Vec<Option<Role>>;
    let roles = match &filter.roles[..] {
        // Whoever is no end user has a role.
        [] if filter.end_user == Some(false) => {
            any = Role::ALL.iter().copied().map(Some).collect();
            &any[..]
        }
        roles => roles,
    };
    if roles.is_empty() || roles.contains(&None) {
        return Ok(false);
    }
    Ok(number(connection, role_counts(organization, roles)).await? <= FEW)
}

fn page_statement(
    organization: OrganizationId,
    query: &MemberQuery,
    found: Option<&Found>,
    few: bool,
) -> QueryBuilder<Sqlite> {
    let key = if few { Key::Id } else { Key::of(query.order) };
    let mut sql = statement(&COLUMNS, organization, key, &query.filter, found);
    if let Some(column) = sort_column(query) {
        sorted(&mut sql, query, column, few);
    } else {
        let number = if query.filter.team.is_some() {
            "t.member"
        } else {
            "m.number"
        };
        if let Some(after) = &query.after {
            sql.push(" AND ")
                .push(number)
                .push(beyond(query))
                .push_bind(after.number);
        }
        sql.push(" ORDER BY ").push(number).push(direction(query));
    }
    limit(&mut sql, query);
    sql
}

const fn direction(query: &MemberQuery) -> &'static str {
    if query.descending { " DESC" } else { "" }
}

const fn beyond(query: &MemberQuery) -> &'static str {
    if query.descending { " < " } else { " > " }
}

/// Where the page begins, and the order.
fn sorted(
    sql: &mut QueryBuilder<Sqlite>,
    query: &MemberQuery,
    (column, nothing): (&str, SortValue),
    few: bool,
) {
    // A plus sign keeps SQLite from the index of the order.
    let column = format!("{}m.{column}", if few { "+" } else { "" });
    if query.order == MemberOrder::Role {
        ranks(sql, &column, query);
    }
    // Nobody has the place of another one in a list by address.
    let by_number = query.order != MemberOrder::Email;
    if let Some(after) = &query.after {
        sql.push(" AND (").push(&column);
        sql.push(if by_number { ", m.number)" } else { ")" });
        sql.push(beyond(query)).push("(");
        match after.value.clone().unwrap_or(nothing) {
            SortValue::Number(number) => sql.push_bind(number),
            SortValue::Text(text) => sql.push_bind(text),
        };
        if by_number {
            sql.push(", ").push_bind(after.number);
        }
        sql.push(")");
    }
    sql.push(" ORDER BY ").push(column).push(direction(query));
    if by_number {
        sql.push(", m.number").push(direction(query));
    }
}

fn limit(sql: &mut QueryBuilder<Sqlite>, query: &MemberQuery) {
    sql.push(" LIMIT ").push_bind(query.limit);
    if query.skip > 0 {
        sql.push(" OFFSET ")
            .push_bind(i64::try_from(query.skip).unwrap_or(i64::MAX));
    }
}

/// The column that gives the order, with the value of those who have none. None: their numbers give it.
fn sort_column(query: &MemberQuery) -> Option<(&'static str, SortValue)> {
    match query.order {
        MemberOrder::Number => None,
        MemberOrder::Name => Some(("sort_name", SortValue::Text(String::new()))),
        MemberOrder::Email => {
            let number = query.after.as_ref().map_or(0, |after| after.number.0);
            Some(("sort_email", SortValue::Number(number)))
        }
        // All have the same.
        MemberOrder::Role if query.filter.roles.len() == 1 => None,
        MemberOrder::Role => Some(("sort_role", SortValue::Number(0))),
        MemberOrder::LastSeen => Some(("sort_seen", SortValue::Number(-1))),
    }
}

/// Bounds that let through nobody else's role than these may be: so that a page neither begins nor ends with all who have
/// another. Where a later page begins is a bound already, and SQLite takes one of each kind.
fn ranks(sql: &mut QueryBuilder<Sqlite>, column: &str, query: &MemberQuery) {
    let ranks = || query.filter.roles.iter().map(|role| role.map_or(0, Role::rank));
    let Some((first, last)) = ranks().min().zip(ranks().max()) else {
        return;
    };
    let is_later = query.after.is_some();
    if query.descending || !is_later {
        sql.push(" AND ").push(column).push(" >= ").push_bind(first);
    }
    if !query.descending || !is_later {
        sql.push(" AND ").push(column).push(" <= ").push_bind(last);
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
        _ => format!(" AND coalesce(m.role, '') IN (SELECT value FROM json_each(${next}))"),
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
        .bind(page.limit);
    if let Some((at, number)) = page.after {
        query = query.bind(at).bind(number);
    }
    if filter.roles.is_empty() {
        return query;
    }
    let names = filter.roles.iter().map(|role| role.map_or("", Role::as_str));
    query.bind(names.collect::<serde_json::Value>().to_string())
}

/// How many there are of some roles, or of all: from the counts that every change keeps.
fn role_counts(organization: OrganizationId, roles: &[Option<Role>]) -> QueryBuilder<Sqlite> {
    let mut sql =
        QueryBuilder::new("SELECT coalesce(sum(live), 0) FROM member_counts WHERE organization_id = ");
    sql.push_bind(organization);
    if !roles.is_empty() {
        let mut list = sql.separated(", ");
        list.push_unseparated(" AND role IN (");
        for role in roles {
            list.push_bind(role.map_or("", Role::as_str));
        }
        list.push_unseparated(")");
    }
    sql
}

async fn number(connection: &mut SqliteConnection, mut sql: QueryBuilder<Sqlite>) -> Result<u64> {
    let number = sql.build_query_scalar().fetch_one(connection).await;
    let number: i64 = number.map_err(store_error)?;
    Ok(u64::try_from(number).unwrap_or_default())
}
