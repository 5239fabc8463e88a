//! Runs the rules of what fits together.

use std::time::Duration;

use sqlx::AssertSqlSafe;
use tokio::time::timeout;
use uuid::Uuid;

use super::{Row, checks, copied::Connection, error::store_error};
use crate::{
    domain::{OrganizationId, Outage},
    storage::{
        Result, StoreError,
        check::{Finding, MOST, RULES, Rule, Tell},
        from_row::from_row,
        values::organization_of,
    },
};

/// How long one rule may take. Some read every row of a table.
const PATIENCE: Duration = Duration::from_mins(60);

/// What breaks a rule.
struct Breach {
    organization_id: Option<OrganizationId>,
    number: Option<i64>,
    found: Option<i64>,
    wanted: Option<i64>,
}

from_row!(Row => Breach {
    organization_id,
    number,
    found,
    wanted,
});

/// Looks at everything, in the transaction of one moment that the connection is in.
pub(super) async fn run(connection: &mut Connection, tell: Tell<'_>) -> Result<Vec<Finding>> {
    let rules = || RULES.iter().chain(checks::RULES);
    let of = rules().count() as u64 + 1;
    tell(0, of);
    let mut findings = in_time(checks::damage(connection)).await?;
    if !findings.is_empty() {
        return Ok(findings);
    }
    findings = in_time(checks::broken_keys(connection)).await?;
    findings.extend(in_time(checks::derived(connection)).await?);
    for (done, rule) in (1..).zip(rules()) {
        tell(done, of);
        let broken = broken(connection, rule).await?;
        let more = broken.len() > MOST;
        findings.extend(broken.iter().take(MOST).map(|found| found.by(rule)));
        if more {
            findings.push(Finding {
                check: rule.name,
                organization_id: None,
                finding: format!("there are more than these {MOST}"),
            });
        }
    }
    tell(of, of);
    Ok(findings)
}

/// One more than are told of, at most.
async fn broken(connection: &mut Connection, rule: &Rule) -> Result<Vec<Breach>> {
    // The numbers have other types in sums and where there is none.
    let sql = format!(
        "SELECT f.organization_id, CAST(f.number AS BIGINT) AS number, CAST(f.found AS BIGINT) AS found,
             CAST(f.wanted AS BIGINT) AS wanted
         FROM ({}) AS f ORDER BY 1, 2 LIMIT {}",
        rule.sql,
        MOST + 1
    );
    // Safe: it is put together from constants.
    let mut query = sqlx::query_as(AssertSqlSafe(sql));
    if rule.sql.contains("$1") {
        query = query.bind(Uuid::nil());
    }
    in_time(async { query.fetch_all(connection).await.map_err(store_error) }).await
}

async fn in_time<T>(answer: impl Future<Output = Result<T>>) -> Result<T> {
    let answer = timeout(PATIENCE, answer).await;
    answer.unwrap_or(Err(StoreError::Unavailable(Outage::Unreachable)))
}

impl Breach {
    fn by(&self, rule: &Rule) -> Finding {
        let text =
            |number: Option<i64>| number.map_or_else(|| "none".to_owned(), |number| number.to_string());
        Finding {
            check: rule.name,
            organization_id: self.organization_id.and_then(organization_of),
            finding: rule
                .says
                .replace("{number}", &text(self.number))
                .replace("{found}", &text(self.found))
                .replace("{wanted}", &text(self.wanted)),
        }
    }
}
