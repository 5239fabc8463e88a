//! Tables spread over the nodes of a Citus cluster, by organization, where the extension is there.

use std::{collections::HashSet, time::Duration};

use sqlx::{AssertSqlSafe, PgConnection};

use super::connect::in_time;

/// Tables that every node holds.
const EVERYWHERE: [&str; 4] = ["organizations", "api_keys", "tokens", "address_locks"];

/// The first of the tables that are spread by organization: what belongs to one is on one node with its row here.
const FIRST: &str = "organization_counters";

/// The others. Each comes after those that it refers to.
const BY_ORGANIZATION: [&str; 9] = [
    "members",
    "member_counts",
    "former_addresses",
    "teams",
    "team_members",
    "events",
    "idempotency_keys",
    "passwords",
    "mails",
];

/// Look-up tables, and the columns that they are spread by.
const BY_KEY: [(&str, &str); 3] = [("users", "id"), ("links", "user_id"), ("addresses", "email")];

/// Whether the database is one that can be spread.
///
/// # Errors
///
/// PostgreSQL's.
pub(super) async fn are_possible(
    connection: &mut PgConnection,
    patience: Duration,
) -> Result<bool, sqlx::Error> {
    let query = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'citus')");
    in_time(patience, query.fetch_one(connection)).await
}

/// Spreads the tables that are not spread yet, with what is in them. As long as moving their rows takes.
///
/// # Errors
///
/// PostgreSQL's. Tables that were spread before stay so.
pub(super) async fn spread(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let query = sqlx::query_scalar("SELECT logicalrelid::text FROM pg_dist_partition");
    let spread: Vec<String> = query.fetch_all(&mut *connection).await?;
    let spread: HashSet<_> = spread.iter().map(String::as_str).collect();
    let everywhere = EVERYWHERE.map(|table| (table, format!("create_reference_table('{table}')")));
    let distributed = |table, column: &str, with: &str| {
        let call = format!("create_distributed_table('{table}', '{column}', colocate_with => '{with}')");
        (table, call)
    };
    let first = distributed(FIRST, "organization_id", "none");
    let by_organization = BY_ORGANIZATION.map(|table| distributed(table, "organization_id", FIRST));
    let by_key = BY_KEY.map(|(table, column)| distributed(table, column, "none"));
    let all = everywhere
        .into_iter()
        .chain([first])
        .chain(by_organization)
        .chain(by_key);
    for (table, call) in all.filter(|(table, _)| !spread.contains(table)) {
        tracing::info!(table, "spreading a table over the nodes");
        // Safe: it is put together from constants.
        sqlx::query(AssertSqlSafe(format!("SELECT {call}")))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
