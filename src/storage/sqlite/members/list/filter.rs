//! Whom a list lets through: everything of its statement up to the order.

use sqlx::{QueryBuilder, Sqlite};

use crate::{
    domain::{MemberFilter, MemberNumber, MemberOrder, OrganizationId, Role, TimeRange},
    storage::sqlite::dialect::numbers,
};

/// Those whom a search has found, of all or of a part of the organization.
pub(super) enum Found {
    /// Their numbers, to be looked for in an index.
    Few(String),
    /// Of each number from 1 on, whether it is theirs: to be asked of members who are found otherwise.
    Many(Vec<u8>),
}

impl Found {
    /// Of ascending numbers, of which so many are few.
    pub(super) fn new(found: &[MemberNumber], few: u64) -> Self {
        if found.len() as u64 <= few {
            return Self::Few(numbers(found));
        }
        let mut is_found = Vec::new();
        for number in found {
            is_found.resize(usize::try_from(number.0).unwrap_or_default(), 0);
            if let Some(last) = is_found.last_mut() {
                *last = 1;
            }
        }
        Self::Many(is_found)
    }
}

/// By what an index has the members of an organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Id,
    Ordinal,
}

impl Key {
    /// That of the index of an order.
    pub(super) const fn of(order: MemberOrder) -> Self {
        match order {
            MemberOrder::Name | MemberOrder::Email => Self::Ordinal,
            MemberOrder::Number | MemberOrder::Role | MemberOrder::LastSeen => Self::Id,
        }
    }

    /// That a member `m` is of the organization.
    pub(super) fn condition(self, sql: &mut QueryBuilder<Sqlite>, organization: OrganizationId) {
        match self {
            Self::Id => sql.push("m.organization_id = ").push_bind(organization),
            Self::Ordinal => sql
                .push("m.organization_ordinal = (SELECT ordinal FROM organizations WHERE id = ")
                .push_bind(organization)
                .push(")"),
        };
    }
}

/// Columns, tables, filters, for those who come in the order of an index, unless a few are looked for.
pub(super) fn statement(
    columns: &str,
    organization: OrganizationId,
    key: Key,
    filter: &MemberFilter,
    found: Option<&Found>,
) -> QueryBuilder<Sqlite> {
    let (index, key) = match found {
        Some(Found::Few(_)) => (index(filter), Key::Id),
        _ if filter.team.is_some() => ("", Key::Id),
        Some(Found::Many(_)) | None => ("", key),
    };
    let begin = format!("SELECT {columns}");
    tables_and_filters(&begin, organization, key, filter, found, index)
}

/// The same for all at once, in any order, after what begins the statement.
pub(super) fn statement_of_all(
    begin: &str,
    organization: OrganizationId,
    filter: &MemberFilter,
    found: Option<&Found>,
) -> QueryBuilder<Sqlite> {
    tables_and_filters(begin, organization, Key::Id, filter, found, index(filter))
}

/// SQLite knows no better than to take any index of the organization's members. The one that is named has their numbers, for a
/// search, and has them in the order of their rows. In another order, each would be on a page of the file that is no longer in
/// memory.
fn index(filter: &MemberFilter) -> &'static str {
    match &filter.roles[..] {
        [Some(_)] => " INDEXED BY members_live_role",
        [] if filter.end_user == Some(false) => " INDEXED BY members_live_staff",
        roles if !roles.is_empty() && !roles.contains(&None) => " INDEXED BY members_live_staff",
        _ => " INDEXED BY members_number",
    }
}

fn tables_and_filters(
    begin: &str,
    organization: OrganizationId,
    key: Key,
    filter: &MemberFilter,
    found: Option<&Found>,
    index: &str,
) -> QueryBuilder<Sqlite> {
    let mut sql = QueryBuilder::new(begin);
    if filter.team.is_some() {
        // CROSS: the team first, which is in the order of the numbers, then its members.
        sql.push(
            " FROM team_members AS t CROSS JOIN members AS m
              ON m.organization_id = t.organization_id AND m.number = t.member WHERE ",
        );
    } else {
        sql.push(" FROM members AS m").push(index).push(" WHERE ");
    }
    key.condition(&mut sql, organization);
    sql.push(" AND m.revoked_at IS NULL");
    match found {
        None => {}
        Some(Found::Few(numbers)) => {
            sql.push(" AND m.number IN (SELECT value FROM json_each(")
                .push_bind(numbers.clone())
                .push("))");
        }
        Some(Found::Many(is_found)) => {
            sql.push(" AND substr(")
                .push_bind(is_found.clone())
                .push(", m.number, 1) = x'01'");
        }
    }
    roles(&mut sql, &filter.roles);
    match filter.end_user {
        Some(true) => sql.push(" AND m.portal_role IS NOT NULL"),
        // Whoever is no end user has a role: staff have an index.
        Some(false) => sql.push(" AND m.portal_role IS NULL AND m.role IS NOT NULL"),
        None => &mut sql,
    };
    if let Some(team) = filter.team {
        sql.push(" AND t.organization_id = ")
            .push_bind(organization)
            .push(" AND t.team = ")
            .push_bind(team);
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
