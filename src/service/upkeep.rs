//! Work that nobody asks for: times of last use, members whose retention time has passed, and kept answers that are too
//! old.

use std::time::Duration;

use super::{Directory, ServiceError, touches::FLUSH_EVERY};
use crate::{domain::Actor, storage::StoreError};

/// How often to look for members to erase.
const RETENTION_EVERY: Duration = Duration::from_mins(10);

/// How often to remove answers that are not given again any more.
const ANSWERS_EVERY: Duration = Duration::from_mins(1);

/// Most members to look for at once.
const STEP: u32 = 100;

/// A pause after each step, so that the writes of callers come between.
const PAUSE: Duration = Duration::from_millis(20);

impl Directory {
    /// Does the upkeep until `stop` ends, and writes down what waits then.
    pub async fn upkeep(self, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        let mut flush = tokio::time::interval(FLUSH_EVERY);
        let mut retention = tokio::time::interval(RETENTION_EVERY);
        let mut answers = tokio::time::interval(ANSWERS_EVERY);
        loop {
            tokio::select! {
                () = &mut stop => break,
                _ = flush.tick() => self.flush_touches().await,
                _ = answers.tick() => tokio::select! {
                    () = &mut stop => break,
                    removed = self.remove_old_answers() => if let Err(error) = removed {
                        tracing::warn!(%error, "old answers could not be removed; it will be tried again");
                    },
                },
                // There may be more to erase than a server that stops can wait for.
                _ = retention.tick() => tokio::select! {
                    () = &mut stop => break,
                    erased = self.erase_due() => match erased {
                        Ok(0) => {}
                        Ok(erased) => tracing::info!(erased, "erased members whose retention time has passed"),
                        Err(error) => tracing::error!(%error, "the retention job failed; it will try again"),
                    },
                },
            }
        }
        self.flush_touches().await;
    }

    /// Erases members whose retention time has passed, one after the other, and returns how many.
    ///
    /// # Errors
    ///
    /// Only those of the storage. What was erased before stays erased.
    pub async fn erase_due(&self) -> Result<usize, ServiceError> {
        let mut erased = 0;
        loop {
            let due = self.storage.retention_due(self.clock.now(), STEP).await?;
            if due.is_empty() {
                return Ok(erased);
            }
            for (organization, member) in due {
                match self
                    .storage
                    .erase_member(organization, member, self.change(Actor::Retention))
                    .await
                {
                    Ok(_) => erased += 1,
                    // In the meantime it was restored, or is to be kept longer.
                    Err(StoreError::NotFound(_)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Writes down the times of last use that wait.
    pub async fn flush_touches(&self) {
        if let Err(error) = self.touches.flush(&*self.storage).await {
            tracing::warn!(%error, "times of last use could not be written");
        }
    }
}
