//! Lists: one statement for each page, which begins where the page before ended.

mod filter;
#[cfg(test)]
mod large;
mod matches;
#[cfg(test)]
mod plans;

use sqlx::{AssertSqlSafe, QueryBuilder, Sqlite, SqliteConnection};

use self::filter::{statement, statement_of_all};
use super::{row::COLUMNS, search::Search};
use crate::{
    domain::{
        Member, MemberFilter, MemberNumber, MemberOrder, MemberQuery, OrganizationId, PageRequest, Role,
        SortValue, Timestamp,
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

/// How many members, the first on a page or of all, tell how many match a search.
const SAMPLE: u64 = 5_000;

/// If one in so many matches a search, all who do are found sooner by looking at each.
const MANY: u64 = 4;

/// If one in so many is on a list, a page of it is soon found by looking at each in its order.
const OFTEN: u64 = 100;

/// One page.
pub(super) async fn page(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    query: MemberQuery,
) -> Result<Vec<Member>> {
    let of_few = is_of_few(&mut *connection, organization, &query.filter).await?;
    let few = of_few && query.order != MemberOrder::Number;
    let mut search = search(&mut *connection, organization, &query.filter).await?;
    // Where a page is soon full, it is quicker to look at each.
    if search.is_some() {
        if of_few {
            search = Search::of_each(&query.filter);
        } else if sort_column(&query).is_none() {
            if let Some(page) = near(&mut *connection, organization, &query).await? {
                return Ok(page);
            }
        } else if sample(&mut *connection, organization, &query.filter).await? * OFTEN > SAMPLE {
            search = Search::of_each(&query.filter);
        }
    }
    let sql = page_statement(organization, &query, search.as_ref(), few);
    members(connection, sql).await
}

/// One page and how many there are on all pages, in a transaction. A list of which everybody is read to be counted is
/// collected meanwhile, if it is wanted in another order.
pub(super) async fn counted(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    query: MemberQuery,
) -> Result<(Vec<Member>, u64)> {
    let filter = query.filter.clone();
    let search = search_of_all(&mut *connection, organization, &filter).await?;
    let search = search.as_ref();
    let is_sorted = sort_column(&query).is_some();
    let mut is_collected = is_sorted && !filter.is_of_roles();
    let total = if is_collected {
        matches::collect(&mut *connection, organization, &filter, search).await?
    } else if filter.is_of_roles() {
        number(&mut *connection, role_counts(organization, &filter.roles)).await?
    } else {
        let sql = statement_of_all("SELECT count(*)", organization, &filter, search);
        number(&mut *connection, sql).await?
    };
    if total == 0 {
        return Ok((Vec::new(), 0));
    }
    let (query, reversed) = query.from_nearer_end(total);
    // By role, they are read nearly in the order of their rows, which takes no longer.
    let is_scattered = is_sorted && query.order != MemberOrder::Role;
    if is_scattered && !is_collected && query.skip > FEW.max(total / NEAR) {
        matches::collect(&mut *connection, organization, &filter, search).await?;
        is_collected = true;
    }
    let few = total <= FEW;
    let is_found = search.is_some_and(|search| search.query.is_some());
    let mut page = if is_collected {
        matches::page(connection, organization, &query, few).await?
    } else if is_found
        && query.skip == 0
        && let Some(page) = near(&mut *connection, organization, &query).await?
    {
        page
    } else {
        members(connection, page_statement(organization, &query, search, few)).await?
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
    search: Option<&Search>,
    few: bool,
) -> QueryBuilder<Sqlite> {
    let mut sql = statement(&COLUMNS, organization, &query.filter, search);
    let direction = direction(query);
    let beyond = beyond(query);
    match sort_column(query) {
        Some(column) => sorted(&mut sql, query, column, few),
        // Matches come out of the index in the order of their rows, which is that of the numbers.
        None if search.is_some_and(|search| search.query.is_some()) => {
            if let Some(after) = &query.after {
                sql.push(" AND s.rowid")
                    .push(beyond)
                    .push("(SELECT row FROM members WHERE organization_id = ");
                sql.push_bind(organization)
                    .push(" AND number = ")
                    .push_bind(after.number)
                    .push(")");
            }
            sql.push(" ORDER BY s.rowid").push(direction);
        }
        None => {
            let number = if search.is_none() && query.filter.team.is_some() {
                "t.member"
            } else {
                "m.number"
            };
            if let Some(after) = &query.after {
                sql.push(" AND ")
                    .push(number)
                    .push(beyond)
                    .push_bind(after.number);
            }
            sql.push(" ORDER BY ").push(number).push(direction);
        }
    }
    limit(&mut sql, query);
    sql
}

/// The page, if it is full of those who are next by number: where many match, they need not be found by the index first.
async fn near(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    query: &MemberQuery,
) -> Result<Option<Vec<Member>>> {
    let page = members(connection, near_statement(organization, query)).await?;
    Ok((page.len() as u64 == u64::from(query.limit)).then_some(page))
}

fn near_statement(organization: OrganizationId, query: &MemberQuery) -> QueryBuilder<Sqlite> {
    let each = Search::of_each(&query.filter);
    let mut sql = statement(&COLUMNS, organization, &query.filter, each.as_ref());
    sql.push(" AND m.number").push(beyond(query));
    begin(&mut sql, organization, query);
    sql.push(if query.descending {
        " AND m.number >= -"
    } else {
        " AND m.number <= "
    })
    .push_bind(SAMPLE.cast_signed())
    .push(" + ");
    begin(&mut sql, organization, query);
    sql.push(" ORDER BY m.number").push(direction(query));
    limit(&mut sql, query);
    sql
}

/// The number that a page by number begins behind.
fn begin(sql: &mut QueryBuilder<Sqlite>, organization: OrganizationId, query: &MemberQuery) {
    match &query.after {
        Some(after) => sql.push_bind(after.number),
        None if query.descending => sql
            .push("(SELECT max(number) + 1 FROM members WHERE organization_id = ")
            .push_bind(organization)
            .push(")"),
        None => sql.push("0"),
    };
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

/// One page of those who were revoked at a moment or later and are not erased, the last first; of one moment, the one who
/// was linked last.
pub(super) fn revoked(
    organization: OrganizationId,
    from: Timestamp,
    page: &PageRequest<(Timestamp, MemberNumber)>,
) -> Select<'static, Member> {
    // Rows grow as numbers do, and the index has them.
    let after = page.after.map_or("", |_| {
        " AND (m.revoked_at, m.row) < ($4, (SELECT row FROM members WHERE organization_id = $1 AND number = $5))"
    });
    let sql = format!(
        "SELECT {} FROM members AS m
         WHERE m.organization_id = $1 AND m.revoked_at IS NOT NULL AND m.erased_at IS NULL AND m.revoked_at >= $2{after}
         ORDER BY m.revoked_at DESC, m.row DESC LIMIT $3",
        *COLUMNS
    );
    // Safe: it is put together from constants.
    let query = sqlx::query_as(AssertSqlSafe(sql))
        .bind(organization)
        .bind(from)
        .bind(page.limit);
    match page.after {
        Some((at, number)) => query.bind(at).bind(number),
        None => query,
    }
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

async fn search(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    filter: &MemberFilter,
) -> Result<Option<Search>> {
    if filter.name_parts.is_empty() && filter.email_parts.is_empty() && filter.text.is_none() {
        return Ok(None);
    }
    let query = sqlx::query("SELECT ordinal FROM organizations WHERE id = $1").bind(organization);
    let found: Option<(i64,)> = rows::optional(connection, query).await?;
    Ok(Search::new(filter, found.unwrap_or_default().0))
}

/// The search for all who match. The index finds them one by one, in places that lie apart: if many members match, or those who
/// may are few, it is quicker to look at each. Told by the first members; where they mislead, it takes a few times as long.
async fn search_of_all(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    filter: &MemberFilter,
) -> Result<Option<Search>> {
    let search = search(&mut *connection, organization, filter).await?;
    if search.is_none() {
        return Ok(None);
    }
    let of_text = MemberFilter {
        name_parts: filter.name_parts.clone(),
        email_parts: filter.email_parts.clone(),
        text: filter.text.clone(),
        ..MemberFilter::default()
    };
    if is_of_few(&mut *connection, organization, filter).await?
        || sample(connection, organization, &of_text).await? * MANY > SAMPLE
    {
        return Ok(Search::of_each(filter));
    }
    Ok(search)
}

/// How many of the organization's first members a search lets through.
async fn sample(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    filter: &MemberFilter,
) -> Result<u64> {
    let each = Search::of_each(filter);
    let mut sql = statement("count(*)", organization, filter, each.as_ref());
    sql.push(" AND m.number <= ").push_bind(SAMPLE.cast_signed());
    number(connection, sql).await
}
