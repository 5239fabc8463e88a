//! Lists: one statement for each page, which begins where the page before ended.

use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use super::{row::COLUMNS, search::Search};
use crate::{
    domain::{Member, MemberFilter, MemberOrder, MemberQuery, OrganizationId, Role, TimeRange},
    storage::{Result, sqlite::error::store_error},
};

/// One page.
pub(super) async fn page(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    query: MemberQuery,
) -> Result<Vec<Member>> {
    let search = search(&mut *connection, organization, &query.filter).await?;
    let mut sql = page_statement(organization, query, search.as_ref());
    sql.build_query_as()
        .fetch_all(connection)
        .await
        .map_err(store_error)
}

fn page_statement(
    organization: OrganizationId,
    query: MemberQuery,
    search: Option<&Search>,
) -> QueryBuilder<Sqlite> {
    let mut sql = statement(&COLUMNS, organization, &query.filter, search);
    let direction = if query.descending { " DESC" } else { "" };
    let beyond = if query.descending { " < " } else { " > " };
    // Matches come out of the index in the order of their rows, which is that of the numbers.
    let by_row = search.is_some_and(|search| search.query.is_some());
    let number = if search.is_none() && query.filter.team.is_some() {
        "t.member"
    } else {
        "m.number"
    };
    match query.order {
        MemberOrder::Number if by_row => {
            if let Some(after) = query.after {
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
        MemberOrder::Number => {
            if let Some(after) = query.after {
                sql.push(" AND ")
                    .push(number)
                    .push(beyond)
                    .push_bind(after.number);
            }
            sql.push(" ORDER BY ").push(number).push(direction);
        }
        MemberOrder::Name => {
            if let Some(after) = query.after {
                sql.push(" AND (m.sort_name, m.number)").push(beyond).push("(");
                sql.push_bind(after.name.unwrap_or_default())
                    .push(", ")
                    .push_bind(after.number)
                    .push(")");
            }
            sql.push(" ORDER BY m.sort_name")
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
    sql
}

/// How many there are on all pages.
pub(super) async fn count(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    filter: &MemberFilter,
) -> Result<u64> {
    let mut sql = if filter.is_of_roles() {
        role_counts(organization, &filter.roles)
    } else {
        let search = search(&mut *connection, organization, filter).await?;
        statement("count(*)", organization, filter, search.as_ref())
    };
    let count = sql.build_query_scalar().fetch_one(connection).await;
    let count: i64 = count.map_err(store_error)?;
    Ok(u64::try_from(count).unwrap_or_default())
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

async fn search(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    filter: &MemberFilter,
) -> Result<Option<Search>> {
    if filter.name_parts.is_empty() && filter.email_parts.is_empty() {
        return Ok(None);
    }
    let ordinal: Option<i64> = sqlx::query_scalar("SELECT ordinal FROM organizations WHERE id = $1")
        .bind(organization)
        .fetch_optional(connection)
        .await
        .map_err(store_error)?;
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
        None if filter.team.is_some() => {
            // CROSS: the team first, which is in the order of the numbers, then its members.
            sql.push(
                " FROM team_members AS t CROSS JOIN members AS m
                  ON m.organization_id = t.organization_id AND m.number = t.member WHERE ",
            )
        }
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
        .push_bind(organization)
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

/// Which indexes a page is read from. A page must not depend on how many members there are before it.
#[cfg(test)]
mod tests {
    use sqlx::{AssertSqlSafe, SqlitePool};

    use super::*;
    use crate::{
        domain::{Cursor, MemberNumber, TeamNumber},
        storage::{Migrate, connect},
    };

    async fn database() -> (tempfile::TempDir, SqlitePool) {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("users.db").display());
        connect(&url, Migrate::Always).await.unwrap().close().await;
        (folder, SqlitePool::connect(&url).await.unwrap())
    }

    /// What SQLite says it will do for a page of this query, but for what is done for each member on the page.
    async fn plan(pool: &SqlitePool, query: MemberQuery) -> Vec<String> {
        let search = Search::new(&query.filter, 7);
        let organization = OrganizationId::from_uuid(uuid::Uuid::nil());
        let sql = page_statement(organization, query, search.as_ref());
        let explain = format!("EXPLAIN QUERY PLAN {}", sql.sql().as_str());
        let steps: Vec<(i64, i64, i64, String)> = sqlx::query_as(AssertSqlSafe(explain))
            .fetch_all(pool)
            .await
            .unwrap();
        let inner: Vec<_> = steps
            .iter()
            .filter(|(.., step)| step.contains("SUBQUERY"))
            .map(|step| step.0)
            .collect();
        steps
            .into_iter()
            .filter(|(id, parent, ..)| !inner.contains(id) && !inner.contains(parent))
            .map(|(.., step)| step)
            .collect()
    }

    /// The first page and a later one, in both directions.
    fn pages(filter: &MemberFilter, order: MemberOrder) -> Vec<MemberQuery> {
        let later = Cursor {
            number: MemberNumber(5_000_000),
            name: Some("Sally".to_owned()),
        };
        [None, Some(later)]
            .into_iter()
            .flat_map(|after| [(after.clone(), false), (after, true)])
            .map(|(after, descending)| MemberQuery {
                filter: filter.clone(),
                order,
                descending,
                after,
                skip: 0,
                limit: 51,
            })
            .collect()
    }

    /// That each page takes these steps. In a step, `{...}` is what only a later page has; `<>` is the direction.
    async fn assert_plan(filter: MemberFilter, order: MemberOrder, steps: &[&str]) {
        let (_folder, pool) = database().await;
        for query in pages(&filter, order) {
            let (later, direction) = (query.after.is_some(), if query.descending { "<" } else { ">" });
            let expected: Vec<_> = steps
                .iter()
                .map(|step| {
                    let (begin, rest) = step.split_once('{').unwrap_or((step, "}"));
                    let (only_later, end) = rest.split_once('}').unwrap();
                    let only_later = if later { only_later } else { "" };
                    format!("{begin}{only_later}{end}").replace("<>", direction)
                })
                .collect();
            assert_eq!(plan(&pool, query.clone()).await, expected, "{query:?}");
        }
    }

    fn of_roles(roles: &[Role]) -> MemberFilter {
        MemberFilter {
            roles: roles.iter().copied().map(Some).collect(),
            ..MemberFilter::default()
        }
    }

    #[tokio::test]
    async fn a_page_by_number_begins_where_the_one_before_ended() {
        let step = "SEARCH m USING INDEX members_number (organization_id=?{ AND number<>?})";
        let nobody = MemberFilter {
            roles: vec![None],
            ..MemberFilter::default()
        };
        for filter in [MemberFilter::default(), nobody] {
            assert_plan(filter, MemberOrder::Number, &[step]).await;
        }
    }

    #[tokio::test]
    async fn a_page_by_name_begins_where_the_one_before_ended() {
        let step = "SEARCH m USING INDEX members_name (organization_id=?{ AND (sort_name,number)<>(?,?)})";
        for filter in [MemberFilter::default(), of_roles(&[Role::Owner])] {
            assert_plan(filter, MemberOrder::Name, &[step]).await;
        }
    }

    #[tokio::test]
    async fn a_page_of_one_role_reads_only_those_who_have_it() {
        let step = "SEARCH m USING INDEX members_live_role (organization_id=? AND role=?{ AND number<>?})";
        assert_plan(of_roles(&[Role::Owner]), MemberOrder::Number, &[step]).await;
    }

    #[tokio::test]
    async fn a_page_of_several_roles_reads_only_those_who_have_one() {
        let step = "SEARCH m USING INDEX members_live_staff (organization_id=?{ AND number<>?})";
        for roles in [&[Role::Owner, Role::Admin][..], Role::ALL] {
            assert_plan(of_roles(roles), MemberOrder::Number, &[step]).await;
        }
    }

    #[tokio::test]
    async fn a_page_of_those_who_are_only_staff_reads_only_staff() {
        let step = "SEARCH m USING INDEX members_live_staff (organization_id=?{ AND number<>?})";
        let filter = MemberFilter {
            end_user: Some(false),
            ..MemberFilter::default()
        };
        assert_plan(filter, MemberOrder::Number, &[step]).await;
    }

    #[tokio::test]
    async fn a_page_of_a_team_reads_only_its_members() {
        let filter = MemberFilter {
            team: Some(TeamNumber(3)),
            ..MemberFilter::default()
        };
        let steps = [
            "SEARCH t USING PRIMARY KEY (organization_id=? AND team=?{ AND member<>?})",
            "SEARCH m USING INDEX members_number (organization_id=? AND number=?)",
        ];
        assert_plan(filter, MemberOrder::Number, &steps).await;
    }

    /// `M` is the match, and `64` and `192` say that the rows come in their order, up and down.
    #[tokio::test]
    async fn a_page_of_a_search_is_read_from_the_index_of_parts() {
        let part = |part: &str| vec![part.to_owned()];
        let plain = MemberFilter::default;
        for filter in [
            MemberFilter {
                name_parts: part("sally"),
                ..plain()
            },
            MemberFilter {
                email_parts: part("sally"),
                roles: vec![Some(Role::Owner)],
                ..plain()
            },
            MemberFilter {
                name_parts: part("sally"),
                email_parts: part("sa"),
                ..plain()
            },
        ] {
            let (_folder, pool) = database().await;
            for query in pages(&filter, MemberOrder::Number) {
                let order = if query.descending { "192" } else { "64" };
                let beyond = match (&query.after, query.descending) {
                    (None, _) => "",
                    (Some(_), false) => ">",
                    (Some(_), true) => "<",
                };
                let expected = [
                    format!("SCAN s VIRTUAL TABLE INDEX {order}:M3{beyond}"),
                    "SEARCH m USING INTEGER PRIMARY KEY (rowid=?)".to_owned(),
                ];
                assert_eq!(plan(&pool, query.clone()).await, expected, "{query:?}");
            }
        }
    }

    /// By name, the matches are sorted; but nobody else is read.
    #[tokio::test]
    async fn a_search_by_name_reads_only_what_matches() {
        let filter = MemberFilter {
            name_parts: vec!["sally".to_owned()],
            ..MemberFilter::default()
        };
        let steps = [
            "SCAN s VIRTUAL TABLE INDEX 0:M3",
            "SEARCH m USING INTEGER PRIMARY KEY (rowid=?)",
            "USE TEMP B-TREE FOR ORDER BY",
        ];
        assert_plan(filter, MemberOrder::Name, &steps).await;
    }

    #[tokio::test]
    async fn a_part_too_short_for_the_index_is_looked_for_from_where_the_page_before_ended() {
        let filter = MemberFilter {
            name_parts: vec!["sa".to_owned()],
            ..MemberFilter::default()
        };
        let steps = [
            "SEARCH m USING INDEX members_number (organization_id=?{ AND number<>?})",
            "SCAN s VIRTUAL TABLE INDEX 0:=",
        ];
        assert_plan(filter, MemberOrder::Number, &steps).await;
    }
}
