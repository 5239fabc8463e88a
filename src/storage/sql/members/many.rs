//! Many new members at once: what is written the same way on every engine.

use std::collections::BTreeMap;

use super::{super::EngineTransaction, row};
use crate::{
    domain::{Member, OrganizationId},
    storage::Result,
};

impl EngineTransaction<'_> {
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
