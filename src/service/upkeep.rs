//! Work that nobody asks for: times of last use, members whose retention time has passed, and kept answers that are too
//! old.

use std::{convert::Infallible, time::Duration};

use tokio::time::interval;

use super::{Directory, ServiceError, touches::FLUSH_EVERY};
use crate::domain::Actor;

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
        // Side by side: there may be more to erase than times of use can wait for, or a server that stops.
        let work = async {
            tokio::join!(
                every(FLUSH_EVERY, || self.flush_touches()),
                every(ANSWERS_EVERY, || self.old_answers()),
                every(RETENTION_EVERY, || self.retention()),
            )
        };
        tokio::select! {
            () = stop => {}
            _ = work => {}
        }
        self.flush_touches().await;
    }

    async fn old_answers(&self) {
        match self.remove_old_answers().await {
            // In the second case the storage has told the log.
            Ok(_) | Err(ServiceError::Unavailable(_)) => {}
            Err(error) => tracing::warn!(%error, "old answers could not be removed; it will be tried again"),
        }
    }

    async fn retention(&self) {
        match self.erase_due().await {
            // In the second case the storage has told the log.
            Ok(0) | Err(ServiceError::Unavailable(_)) => {}
            Ok(erased) => tracing::info!(erased, "erased members whose retention time has passed"),
            Err(error) => tracing::error!(%error, "the retention job failed; it will try again"),
        }
    }

    /// Erases members whose retention time has passed, one after the other, and returns how many. Those that can't be
    /// erased are left for the next time.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unavailable`], or that it can't be known who is due. What was erased before stays erased.
    pub async fn erase_due(&self) -> Result<usize, ServiceError> {
        let mut erased = 0;
        let mut left = Left::default();
        loop {
            // Those that are left come first again each time.
            let due = self
                .storage
                .retention_due(self.clock.now(), STEP, left.members)
                .await?;
            if due.is_empty() {
                break;
            }
            for (organization, member) in due {
                let change = self.change(Actor::Retention);
                match self.storage.erase_member(organization, member, change).await {
                    Ok(_) => erased += 1,
                    Err(error) => match ServiceError::from(error) {
                        error @ (ServiceError::Unavailable(_) | ServiceError::Overloaded) => {
                            return Err(error);
                        }
                        // In the meantime it was restored, or is to be kept longer.
                        ServiceError::NotFound(_) => left.members += 1,
                        error => left.add(error),
                    },
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
        if let Some(error) = left.first {
            let members = left.failed;
            tracing::error!(%error, members, "some members could not be erased; it will try again");
        }
        Ok(erased)
    }

    /// Writes down the times of last use that wait.
    pub async fn flush_touches(&self) {
        match self
            .touches
            .flush(&*self.storage)
            .await
            .map_err(ServiceError::from)
        {
            // In the second case the storage has told the log.
            Ok(()) | Err(ServiceError::Unavailable(_)) => {}
            Err(error) => tracing::warn!(%error, "times of last use could not be written"),
        }
    }
}

/// Works at once and then in this rhythm.
async fn every<F: Future<Output = ()>>(period: Duration, mut work: impl FnMut() -> F) -> Infallible {
    let mut ticks = interval(period);
    loop {
        ticks.tick().await;
        work().await;
    }
}

/// Members that were due and are not erased.
#[derive(Default)]
struct Left {
    members: u32,
    failed: u32,
    first: Option<ServiceError>,
}

impl Left {
    fn add(&mut self, error: ServiceError) {
        self.members += 1;
        self.failed += 1;
        self.first.get_or_insert(error);
    }
}
