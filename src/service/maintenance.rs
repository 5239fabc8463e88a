//! Work that nobody asks for: times of last use, members whose retention time has passed, and kept responses, tokens and
//! mails that are too old.

use std::{convert::Infallible, time::Duration};

use tokio::time::{MissedTickBehavior, interval, sleep};

use super::{Directory, Result, ServiceError, last_used::FLUSH_EVERY};
use crate::domain::{Actor, Clock, Timestamp};

/// How often to look for members to erase.
const RETENTION_EVERY: Duration = Duration::from_mins(10);

/// How often to remove responses that are not given again any more.
const RESPONSES_EVERY: Duration = Duration::from_mins(1);

/// How often to forget who tried passwords or keys.
const TRIES_EVERY: Duration = Duration::from_mins(1);

/// How often to remove tokens that are over.
const TOKENS_EVERY: Duration = Duration::from_mins(1);

/// How often to remove mails that were sent or given up long ago.
const MAILS_EVERY: Duration = Duration::from_mins(10);

/// Most members to look for at once.
const STEP: u32 = 100;

/// Most tokens to remove at once.
const TOKENS_STEP: u32 = 256;

/// A pause after each step, so that the writes of callers come between.
pub(super) const PAUSE: Duration = Duration::from_millis(20);

impl Directory {
    /// Does what is to be done from time to time until `stop` ends, and writes down what waits then.
    pub async fn maintenance(self, stop: impl Future<Output = ()>) {
        let clock = &*self.clock;
        // Side by side: there may be more to erase than times of use can wait for, or a server that stops.
        let work = async {
            tokio::join!(
                every(FLUSH_EVERY, || self.flush_last_used()),
                every(TRIES_EVERY, || async { self.forget_tries() }),
                every_even(clock, RESPONSES_EVERY, "responses", || self.old_responses()),
                every_even(clock, TOKENS_EVERY, "tokens", || self.old_tokens()),
                every_even(clock, MAILS_EVERY, "mails", || self.old_mails()),
                every_even(clock, RETENTION_EVERY, "members", || self.retention()),
            )
        };
        tokio::select! {
            () = stop => {}
            _ = work => {}
        }
        self.flush_last_used().await;
    }

    async fn old_responses(&self) {
        match self.remove_old_responses().await {
            // In the second case the storage has told the log.
            Ok(_) | Err(ServiceError::Unavailable(_)) => {}
            Err(error) => {
                tracing::warn!(%error, "old responses could not be removed; it will be tried again");
            }
        }
    }

    /// Not by the wall clock.
    fn forget_tries(&self) {
        self.throttle.shrink();
        self.limits.sweep();
    }

    async fn old_tokens(&self) {
        match self.remove_old_tokens().await {
            // In the second case the storage has told the log.
            Ok(_) | Err(ServiceError::Unavailable(_)) => {}
            Err(error) => {
                tracing::warn!(%error, "tokens that are over could not be removed; it will be tried again");
            }
        }
    }

    /// Removes every token that is over, in steps, and returns how many.
    ///
    /// # Errors
    ///
    /// Only those of the storage. What was removed before stays removed.
    pub async fn remove_old_tokens(&self) -> Result<u64> {
        let mut all = 0;
        // One moment for all: a clock that is set meanwhile ends no token.
        let now = self.clock.now();
        loop {
            // Mostly there is none, and then there is nothing to commit.
            if self.storage.first_token_end().await?.is_none_or(|end| end > now) {
                return Ok(all);
            }
            let step = self.storage.write(None, now, |tx, now| {
                Box::pin(
                    async move { Ok::<_, ServiceError>(tx.remove_tokens_over(*now, TOKENS_STEP).await?) },
                )
            });
            all += step.await?;
            tokio::time::sleep(PAUSE).await;
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
    pub async fn erase_due(&self) -> Result<usize> {
        let mut erased = 0;
        let mut left = Left::default();
        // One moment for all: a clock that is set meanwhile makes nobody due.
        let now = self.clock.now();
        loop {
            // Those that are left come first again each time.
            let due = self.storage.retention_due(now, STEP, left.members).await?;
            if due.is_empty() {
                break;
            }
            for (organization, member) in due {
                match self.erase_as(Actor::Retention, organization, member).await {
                    Ok(_) => erased += 1,
                    Err(error @ (ServiceError::Unavailable(_) | ServiceError::Overloaded)) => {
                        return Err(error);
                    }
                    // In the meantime it was restored, or is to be kept longer.
                    Err(ServiceError::NotFound(_)) => left.members += 1,
                    Err(error) => left.add(error),
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
    ///
    /// # Errors
    ///
    /// The last one of the storage. What may work the next time waits on.
    pub async fn write_last_used(&self) -> Result<()> {
        self.last_used.flush(&*self.storage, self.clock.now()).await
    }

    /// The same for those who can't do anything about an error: the log has it.
    pub async fn flush_last_used(&self) {
        match self.write_last_used().await {
            // In the second case the storage has told the log.
            Ok(()) | Err(ServiceError::Unavailable(_)) => {}
            Err(error) => tracing::warn!(%error, "times of last use could not be written"),
        }
    }
}

/// Works at once and then in this rhythm.
async fn every<F: Future<Output = ()>>(period: Duration, mut work: impl FnMut() -> F) -> Infallible {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        work().await;
    }
}

/// Works in this rhythm where a clock that is wrong would take what can't be had again: not at once, and only after a period over
/// which the wall clock has gone as the steady one.
async fn every_even<F: Future<Output = ()>>(
    clock: &dyn Clock,
    period: Duration,
    what: &'static str,
    mut work: impl FnMut() -> F,
) -> Infallible {
    let mut last = Reading::of(clock);
    loop {
        sleep(period).await;
        let now = Reading::of(clock);
        if now.is_even_with(last) {
            work().await;
        } else {
            tracing::warn!(
                what,
                "the clock was set: nothing is erased or removed until it has gone evenly for {period:?}"
            );
        }
        last = now;
    }
}

/// Both clocks at one moment.
#[derive(Clone, Copy)]
struct Reading {
    wall: Timestamp,
    steady: Duration,
}

impl Reading {
    fn of(clock: &dyn Clock) -> Self {
        Self {
            wall: clock.now(),
            steady: clock.steady(),
        }
    }

    /// Whether both have gone on by the same since then, as far as right clocks do.
    fn is_even_with(self, last: Self) -> bool {
        let expected = last.wall.saturating_add(self.steady.saturating_sub(last.steady));
        !self.wall.is_ahead_of(expected) && !expected.is_ahead_of(self.wall)
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
