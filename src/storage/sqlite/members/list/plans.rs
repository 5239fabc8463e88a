//! Which indexes a page is read from. A page must not depend on how many members there are before it.

use sqlx::{AssertSqlSafe, Execute as _, SqlitePool, sqlite::SqlitePoolOptions};

use super::*;
use crate::{
    domain::{Cursor, TeamNumber},
    storage::{Migrate, connect},
};

async fn database() -> (tempfile::TempDir, SqlitePool) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("users.db").display());
    connect(&url, Migrate::Always).await.unwrap().close().await;
    // One connection, as its temporary table is its own.
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .connect(&url)
        .await
        .unwrap();
    sqlx::query(matches::TABLE).execute(&pool).await.unwrap();
    (folder, pool)
}

/// What SQLite says it will do for a page of this query, but for what is done for each member on the page.
async fn plan(pool: &SqlitePool, query: &MemberQuery, found: Option<&Found>, few: bool) -> Vec<String> {
    let organization = OrganizationId::from_uuid(uuid::Uuid::nil());
    let sql = page_statement(organization, query, found, few);
    steps(pool, sql.sql().as_str()).await
}

/// What a search has found.
fn few() -> Found {
    Found::new(&[MemberNumber(7)], FEW)
}

/// What a search has found of which there is too much to look for each.
fn many() -> Found {
    Found::new(&[MemberNumber(7)], 0)
}

async fn steps(pool: &SqlitePool, statement: &str) -> Vec<String> {
    let explain = format!("EXPLAIN QUERY PLAN {statement}");
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
        value: Some(SortValue::Text("Sally".to_owned())),
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
    assert_plan_of(filter, order, None, steps).await;
}

async fn assert_plan_of(filter: MemberFilter, order: MemberOrder, found: Option<Found>, steps: &[&str]) {
    let is_sorted = order != MemberOrder::Number && matches!(found, Some(Found::Few(_)));
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
        let plan = plan(&pool, &query, found.as_ref(), is_sorted).await;
        assert_eq!(plan, expected, "{query:?}");
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
    let step = "SEARCH m USING INDEX members_name (organization_ordinal=?{ AND (sort_name,number)<>(?,?)})";
    for filter in [MemberFilter::default(), of_roles(&[Role::Owner])] {
        assert_plan(filter, MemberOrder::Name, &[step]).await;
    }
}

#[tokio::test]
async fn a_page_in_any_other_order_begins_where_the_one_before_ended() {
    for (order, column) in [
        (MemberOrder::Email, "sort_email"),
        (MemberOrder::Role, "sort_role"),
        (MemberOrder::LastSeen, "sort_seen"),
    ] {
        let step = format!(
            "SEARCH m USING INDEX members_{column} ({}=?{{ AND {}}})",
            organization_of(order),
            beyond(column)
        );
        assert_plan(MemberFilter::default(), order, &[&step]).await;
        if order != MemberOrder::Role {
            for roles in [&[Role::Owner][..], Role::ALL] {
                assert_plan(of_roles(roles), order, &[&step]).await;
            }
        }
    }
}

/// By what the index of an order has organizations.
fn organization_of(order: MemberOrder) -> &'static str {
    match Key::of(order) {
        Key::Id => "organization_id",
        Key::Ordinal => "organization_ordinal",
    }
}

/// How a later page begins in the order of a column. Nobody has the place of another one in a list by address.
fn beyond(column: &str) -> String {
    match column {
        "sort_email" => "sort_email<>?".to_owned(),
        column => format!("({column},number)<>(?,?)"),
    }
}

/// Nobody is read who has a role before or behind these. A page by one role is one by number.
#[tokio::test]
async fn a_page_of_roles_by_role_reads_only_those_who_may_have_one() {
    let (_folder, pool) = database().await;
    for query in pages(&of_roles(Role::ALL), MemberOrder::Role) {
        let step =
            "SEARCH m USING INDEX members_sort_role (organization_id=? AND sort_role>? AND sort_role<?)";
        let later = if query.descending {
            "SEARCH m USING INDEX members_sort_role (organization_id=? AND sort_role>? AND (sort_role,number)<(?,?))"
        } else {
            "SEARCH m USING INDEX members_sort_role (organization_id=? AND (sort_role,number)>(?,?) AND sort_role<?)"
        };
        let expected = if query.after.is_some() { later } else { step };
        assert_eq!(plan(&pool, &query, None, false).await, [expected], "{query:?}");
    }
    let step = "SEARCH m USING INDEX members_live_role (organization_id=? AND role=?{ AND number<>?})";
    assert_plan(of_roles(&[Role::Owner]), MemberOrder::Role, &[step]).await;
}

/// A few are read and sorted, rather than looked for among all.
#[tokio::test]
async fn a_page_of_few_reads_nobody_else() {
    let (_folder, pool) = database().await;
    for order in [
        MemberOrder::Name,
        MemberOrder::Email,
        MemberOrder::Role,
        MemberOrder::LastSeen,
    ] {
        for query in pages(&of_roles(Role::ALL), order) {
            let expected = [
                "SEARCH m USING INDEX members_live_role (organization_id=? AND role>?)",
                "USE TEMP B-TREE FOR ORDER BY",
            ];
            assert_eq!(plan(&pool, &query, None, true).await, expected, "{query:?}");
        }
    }
}

/// But for those who were revoked in the same millisecond, who are read once more.
#[tokio::test]
async fn a_page_of_those_who_were_revoked_begins_where_the_one_before_ended() {
    let (_folder, pool) = database().await;
    let organization = OrganizationId::from_uuid(uuid::Uuid::nil());
    let at = Timestamp::from_millis(1);
    for (after, expected) in [
        (None, "revoked_at>?"),
        (Some((at, MemberNumber(1))), "revoked_at>? AND revoked_at<?"),
    ] {
        let page = PageRequest { after, limit: 51 };
        let query = revoked(organization, &at.into(), &page);
        let step = format!("SEARCH m USING INDEX members_revoked (organization_id=? AND {expected})");
        // Of one moment there are few.
        let sort = "USE TEMP B-TREE FOR LAST TERM OF ORDER BY".to_owned();
        assert_eq!(steps(&pool, query.sql().as_str()).await, [step, sort]);
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

/// The list of their numbers is in order, and so is the page.
#[tokio::test]
async fn a_page_of_a_search_reads_only_whom_it_found() {
    let by = |index: &str| format!("SEARCH m USING INDEX {index}");
    for (filter, step) in [
        (
            MemberFilter::default(),
            by("members_number (organization_id=? AND number=?)"),
        ),
        (
            of_roles(&[Role::Owner]),
            by("members_live_role (organization_id=? AND role=? AND number=?)"),
        ),
        (
            of_roles(Role::ALL),
            by("members_live_staff (organization_id=? AND number=?)"),
        ),
    ] {
        assert_plan_of(filter.clone(), MemberOrder::Number, Some(few()), &[&step]).await;
        let steps = [&step[..], "USE TEMP B-TREE FOR ORDER BY"];
        assert_plan_of(filter, MemberOrder::Name, Some(few()), &steps).await;
    }
}

#[tokio::test]
async fn a_page_of_a_search_that_found_many_is_read_in_its_order() {
    for (order, index, column) in [
        (MemberOrder::Number, "members_number", "number<>?"),
        (MemberOrder::Name, "members_name", "(sort_name,number)<>(?,?)"),
        (MemberOrder::Email, "members_sort_email", "sort_email<>?"),
    ] {
        let organization = organization_of(order);
        let step = format!("SEARCH m USING INDEX {index} ({organization}=?{{ AND {column}}})");
        assert_plan_of(MemberFilter::default(), order, Some(many()), &[&step]).await;
    }
}

/// All staff, or all who have one role, are counted without reading anybody else, and everybody in the order of their rows.
#[tokio::test]
async fn who_is_counted_or_collected_is_found_by_an_index() {
    let (_folder, pool) = database().await;
    let organization = OrganizationId::from_uuid(uuid::Uuid::nil());
    let only_staff = MemberFilter {
        end_user: Some(false),
        ..MemberFilter::default()
    };
    let anybody = MemberFilter {
        roles: vec![Some(Role::Owner), None],
        ..MemberFilter::default()
    };
    for (filter, index) in [
        (MemberFilter::default(), "members_number (organization_id=?"),
        (anybody, "members_number (organization_id=?"),
        (only_staff, "members_live_staff (organization_id=?"),
        (of_roles(Role::ALL), "members_live_staff (organization_id=?"),
        (
            of_roles(&[Role::Owner, Role::Admin]),
            "members_live_staff (organization_id=?",
        ),
        (
            of_roles(&[Role::Owner]),
            "members_live_role (organization_id=? AND role=?",
        ),
    ] {
        for (found, index) in [
            (None, format!("{index})")),
            (Some(few()), format!("{index} AND number=?)")),
            (Some(many()), format!("{index})")),
        ] {
            let filter = MemberFilter {
                enabled: Some(true),
                ..filter.clone()
            };
            let expected = [format!("SEARCH m USING INDEX {index}")];
            let count = statement_of_all("SELECT count(*)", organization, &filter, found.as_ref());
            assert_eq!(steps(&pool, count.sql().as_str()).await, expected, "{filter:?}");
            let collect = matches::collect_statement(organization, &filter, found.as_ref());
            assert_eq!(steps(&pool, collect.sql().as_str()).await, expected, "{filter:?}");
        }
    }
}

/// Many are found by going through the index of the order, which has their rows; a few are read and sorted.
#[tokio::test]
async fn a_page_of_those_who_were_collected_reads_nobody_else() {
    let (_folder, pool) = database().await;
    let organization = OrganizationId::from_uuid(uuid::Uuid::nil());
    for (order, column) in [
        (MemberOrder::Name, "name"),
        (MemberOrder::Email, "email"),
        (MemberOrder::LastSeen, "seen"),
    ] {
        for query in pages(&of_roles(Role::ALL), order) {
            let index = if order == MemberOrder::Name {
                "members_name".to_owned()
            } else {
                format!("members_sort_{column}")
            };
            let direction = if query.descending { "<" } else { ">" };
            let later = query.after.as_ref().map_or_else(String::new, |_| {
                format!(
                    " AND {}",
                    beyond(&format!("sort_{column}")).replace("<>", direction)
                )
            });
            let many = [
                format!(
                    "SEARCH m USING INDEX {index} ({}=?{later})",
                    organization_of(order)
                ),
                "USING ROWID SEARCH ON TABLE matches FOR IN-OPERATOR".to_owned(),
            ];
            let sql = matches::page_statement(organization, &query, false);
            assert_eq!(steps(&pool, sql.sql().as_str()).await, many, "{query:?}");
            let few = [
                "SCAN s",
                "SEARCH m USING INTEGER PRIMARY KEY (rowid=?)",
                "USE TEMP B-TREE FOR ORDER BY",
            ];
            let sql = matches::page_statement(organization, &query, true);
            assert_eq!(steps(&pool, sql.sql().as_str()).await, few, "{query:?}");
        }
    }
}
