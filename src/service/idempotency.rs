//! Repeated requests: the first response is kept with the change that it tells of, and given again.

use std::time::Duration;

use super::{
    Directory, Result,
    rules::{Rule, Transaction},
};
use crate::{
    domain::{
        Idempotency, IdempotencyKey, Idempotent, OrganizationId, Precondition, RESPONSE_KEPT, Timestamp,
    },
    storage::Storage,
};

/// Most responses to remove at once.
const STEP: u32 = 256;

/// A pause after each step, so that the writes of callers come between.
const PAUSE: Duration = Duration::from_millis(20);

/// Makes a change that may be a repetition: then nothing happens. The response is kept if and only if the change was
/// made; with those of the organization, or of the deployment where it is None.
///
/// # Errors
///
/// Those of the rule and of the storage. [`Precondition::MemberErased`]: the first response was about a member whose data
/// is erased since. [`Precondition::IdempotencyKeyReused`]: it answered another request.
pub async fn write_once<I, T>(
    storage: &dyn Storage,
    organization: Option<OrganizationId>,
    idempotency: Idempotency<T>,
    at: Timestamp,
    input: I,
    rule: Rule<I, T>,
) -> Result<Idempotent<T>>
where
    I: Send + Sync + 'static,
    T: Send + Sync + 'static,
{
    let input = (organization, idempotency, at, input, rule);
    let write = storage.write(
        organization,
        input,
        |tx, (organization, idempotency, at, input, rule)| {
            Box::pin(async move {
                let Some(key) = &idempotency.key else {
                    return Ok(Idempotent::Fresh(rule(tx, input).await?));
                };
                if let Some(response) = replay(tx, *organization, key, *at).await? {
                    return Ok(Idempotent::Replayed(response));
                }
                let value = rule(tx, input).await?;
                let response = (idempotency.encode)(&value);
                tx.keep_response(*organization, key, &response, *at).await?;
                Ok(Idempotent::Fresh(value))
            })
        },
    );
    write.await
}

impl Directory {
    /// Removes every response that is not given again any more, in steps, and returns how many.
    ///
    /// # Errors
    ///
    /// Only those of the storage. What was removed before stays removed.
    pub async fn remove_old_responses(&self) -> Result<u64> {
        let mut all = 0;
        // One moment for all: a clock that is set meanwhile makes none old.
        let until = newest_expired(self.clock.now());
        loop {
            // Mostly there is none, and then there is nothing to commit.
            if self
                .storage
                .oldest_response()
                .await?
                .is_none_or(|oldest| oldest > until)
            {
                return Ok(all);
            }
            let step = self.storage.write(None, until, |tx, until| {
                Box::pin(tx.remove_responses(*until, STEP))
            });
            all += step.await?;
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// What was answered to the same request before. None: nothing, or longer ago than responses are kept.
///
/// # Errors
///
/// [`Precondition::MemberErased`]: the response was about a member whose data is erased since.
/// [`Precondition::IdempotencyKeyReused`]: it answered another request.
async fn replay(
    tx: &mut dyn Transaction,
    organization: Option<OrganizationId>,
    key: &IdempotencyKey,
    now: Timestamp,
) -> Result<Option<Vec<u8>>> {
    let kept = tx.kept_response(organization, key).await?;
    match kept.filter(|kept| kept.at > newest_expired(now)) {
        None => Ok(None),
        Some(kept) if kept.erased => Err(Precondition::MemberErased.into()),
        Some(kept) if kept.request == key.request => Ok(Some(kept.response)),
        Some(_) => Err(Precondition::IdempotencyKeyReused.into()),
    }
}

/// Responses of this moment and before are not given again.
fn newest_expired(now: Timestamp) -> Timestamp {
    let kept = i64::try_from(RESPONSE_KEPT.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(now.as_millis().saturating_sub(kept))
}
