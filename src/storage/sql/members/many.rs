//! Many new members at once: what is written the same way on every engine.

use std::{collections::BTreeMap, sync::Arc};

use sqlx::AssertSqlSafe;

use super::{
    super::{EngineTransaction, columns::Statement, dialect::kept},
    row,
};
use crate::{
    domain::{Conflict, Member, OrganizationId},
    storage::Result,
};

/// Members of one statement: with all their columns far fewer parameters than an engine takes.
pub(super) const PART: usize = 250;

impl EngineTransaction<'_> {
    /// Adds their rows. Columns that only this engine has come last; `bind` binds them, and is told the member's place.
    pub(super) async fn insert_rows(
        &mut self,
        organization: OrganizationId,
        members: &[Member],
        more: &[&'static str],
        bind: impl for<'q> Fn(usize, &Member, Statement<'q>) -> Statement<'q> + Send + Sync,
    ) -> Result<()> {
        let of_a_part: Arc<str> = row::insert_many(more, PART).into();
        let statements = (0..)
            .step_by(PART)
            .zip(members.chunks(PART))
            .map(|(first, members)| {
                let is_full = members.len() == PART;
                let sql = if is_full {
                    of_a_part.clone()
                } else {
                    row::insert_many(more, members.len()).into()
                };
                // Safe: it is put together from constants.
                let mut statement = kept(sqlx::query(AssertSqlSafe(sql)), is_full);
                for (place, member) in (first..).zip(members) {
                    statement = bind(place, member, row::bind(member, statement));
                }
                statement.bind(organization)
            });
        self.execute_each(statements, Some(Conflict::Member)).await
    }

    /// Counts them among those of their roles.
    pub(super) async fn count_new(&mut self, organization: OrganizationId, members: &[Member]) -> Result<()> {
        let mut counts = BTreeMap::<_, i64>::new();
        for member in members {
            *counts.entry(row::counted_role(member)).or_default() += 1;
        }
        for (role, count) in counts {
            let statement = sqlx::query(
                "INSERT INTO member_counts (organization_id, role, live) VALUES ($1, $2, $3)
                     ON CONFLICT (organization_id, role) DO UPDATE SET live = member_counts.live + excluded.live",
            );
            self.execute(statement.bind(organization).bind(role).bind(count))
                .await?;
        }
        Ok(())
    }
}
