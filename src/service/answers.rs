//! Answers kept for repeated requests: they go when they are not given again any more.

use std::time::Duration;

use super::{Directory, ServiceError};

/// Most answers to remove at once.
const STEP: u32 = 256;

/// A pause after each step, so that the writes of callers come between.
const PAUSE: Duration = Duration::from_millis(20);

impl Directory {
    /// Removes every answer that is not given again any more, in steps, and returns how many.
    ///
    /// # Errors
    ///
    /// Only those of the storage. What was removed before stays removed.
    pub async fn remove_old_answers(&self) -> Result<u64, ServiceError> {
        let mut all = 0;
        loop {
            let removed = self.storage.remove_old_answers(self.clock.now(), STEP).await?;
            all += removed;
            if removed < STEP.into() {
                return Ok(all);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
