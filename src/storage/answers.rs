//! Answers that are kept to be given again.

use std::time::Duration;

use async_trait::async_trait;

use super::{StoreError, Token};
use crate::domain::{OrganizationId, Timestamp};

/// How long an answer is given again.
pub const ANSWER_KEPT: Duration = Duration::from_hours(24);

/// Kept answers. Each was written in the transaction of the change that it tells of.
#[async_trait]
pub trait AnswerStore: Send + Sync {
    /// What was answered to this request, [`ANSWER_KEPT`] ago at most. Where the organization is None, answers about what
    /// belongs to none.
    ///
    /// # Errors
    ///
    /// [`super::Precondition::IdempotencyKeyReused`]: another request was answered.
    /// [`super::Precondition::MemberErased`]: the answer was about a member whose data is erased.
    async fn kept_answer(
        &self,
        organization: Option<OrganizationId>,
        token: &Token,
        now: Timestamp,
    ) -> Result<Option<Vec<u8>>, StoreError>;

    /// Removes answers that are not given again any more, of all organizations, the oldest first and at most `limit`, and
    /// returns how many. For the upkeep, which belongs to none of them.
    async fn remove_old_answers(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError>;
}
