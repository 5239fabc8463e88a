//! Whom a list lets through: everything of its statement up to the order.

use sqlx::{QueryBuilder, Sqlite};

use crate::{
    domain::{MemberFilter, OrganizationId, Role, TimeRange},
    storage::sqlite::members::search::{Scan, Search},
};

/// The texts of a member, with letter case folded.
const TEXTS: &str = " CROSS JOIN member_texts AS x ON x.row = m.row";

/// Columns, tables, filters, for those who come in an order, which finds its index.
pub(super) fn statement(
    columns: &str,
    organization: OrganizationId,
    filter: &MemberFilter,
    search: Option<&Search>,
) -> QueryBuilder<Sqlite> {
    tables_and_filters(&format!("SELECT {columns}"), organization, filter, search, "")
}

/// The same for all at once, in any order, after what begins the statement. SQLite knows no better than to take any index of
/// the organization's members: the one that is named has them in the order of their rows. In another order, each would be on
/// a page of the file that is no longer in memory.
pub(super) fn statement_of_all(
    begin: &str,
    organization: OrganizationId,
    filter: &MemberFilter,
    search: Option<&Search>,
) -> QueryBuilder<Sqlite> {
    let index = match &filter.roles[..] {
        [Some(_)] => " INDEXED BY members_live_role",
        [] if filter.end_user == Some(false) => " INDEXED BY members_live_staff",
        [] => " INDEXED BY members_number",
        roles if roles.contains(&None) => " INDEXED BY members_number",
        _ => " INDEXED BY members_live_staff",
    };
    tables_and_filters(begin, organization, filter, search, index)
}

fn tables_and_filters(
    begin: &str,
    organization: OrganizationId,
    filter: &MemberFilter,
    search: Option<&Search>,
    index: &str,
) -> QueryBuilder<Sqlite> {
    let mut sql = QueryBuilder::new(begin);
    match search {
        None if filter.team.is_some() => {
            // CROSS: the team first, which is in the order of the numbers, then its members.
            sql.push(
                " FROM team_members AS t CROSS JOIN members AS m
                  ON m.organization_id = t.organization_id AND m.number = t.member WHERE ",
            )
        }
        None => sql.push(" FROM members AS m").push(index).push(" WHERE "),
        // CROSS: the index first, then the members it found, and their texts if it does not know them well enough.
        Some(Search {
            query: Some(query),
            scan,
        }) => sql
            .push(" FROM member_parts AS s CROSS JOIN members AS m ON m.row = s.rowid")
            .push(if scan.is_empty() { "" } else { TEXTS })
            .push(" WHERE s.member_parts MATCH ")
            .push_bind(query.clone())
            .push(" AND "),
        Some(Search { query: None, .. }) => sql
            .push(" FROM members AS m")
            .push(index)
            .push(TEXTS)
            .push(" WHERE "),
    };
    sql.push("m.organization_id = ")
        .push_bind(organization)
        .push(" AND m.revoked_at IS NULL");
    for scan in search.map(|search| &search.scan[..]).unwrap_or_default() {
        sql.push(" AND (");
        contains(&mut sql, scan);
        sql.push(")");
    }
    roles(&mut sql, &filter.roles);
    match filter.end_user {
        Some(true) => sql.push(" AND m.portal_role IS NOT NULL"),
        // Whoever is no end user has a role: staff have an index.
        Some(false) => sql.push(" AND m.portal_role IS NULL AND m.role IS NOT NULL"),
        None => &mut sql,
    };
    if let Some(team) = filter.team {
        if search.is_none() {
            sql.push(" AND t.organization_id = ")
                .push_bind(organization)
                .push(" AND t.team = ")
                .push_bind(team);
        } else {
            sql.push(
                " AND EXISTS (SELECT 1 FROM team_members WHERE organization_id = m.organization_id AND team = ",
            )
            .push_bind(team)
            .push(" AND member = m.number)");
        }
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

/// That one of the columns has one of the parts.
fn contains(sql: &mut QueryBuilder<Sqlite>, scan: &Scan) {
    let mut either = "";
    for column in scan.columns {
        for part in &scan.parts {
            sql.push(either).push("instr(x.").push(column.name()).push(", ");
            sql.push_bind(part.clone()).push(") > 0");
            either = " OR ";
        }
    }
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
                .push_bind(**role);
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
                    list.push_bind(**role);
                }
                list.push_unseparated(")");
            }
            sql.push(")");
        }
    }
}

fn range(sql: &mut QueryBuilder<Sqlite>, column: &str, range: TimeRange) {
    if let Some(from) = range.from {
        sql.push(" AND ").push(column).push(" >= ").push_bind(from);
    }
    if let Some(until) = range.until {
        sql.push(" AND ").push(column).push(" < ").push_bind(until);
    }
}
