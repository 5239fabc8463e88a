//! How often passwords may be tried: for each member and from each source. In memory, of this process.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use governor::{Quota, RateLimiter, middleware::NoOpMiddleware, state::keyed::HashMapStateStore};

use crate::{
    domain::{Clock, KeyDigest, OrganizationId},
    service::{Result, ServiceError, limits::Time},
};

/// Most members, and most sources, that are remembered at once: some tens of megabytes. They are forgotten when they have
/// their full number of attempts again.
const MOST: usize = 100_000;

/// For each member: 10 attempts, then one in 30 seconds.
fn of_member() -> Quota {
    Quota::per_minute(number(2)).allow_burst(number(10))
}

/// From each source: 60 attempts, then one a second.
fn of_source() -> Quota {
    Quota::per_second(number(1)).allow_burst(number(60))
}

/// 0 is taken for 1.
const fn number(number: u32) -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(number.saturating_sub(1))
}

/// Attempts in a time that has not passed yet.
pub(in crate::service) struct Throttle {
    members: Limiter,
    sources: Limiter,
}

impl Throttle {
    pub(in crate::service) fn new(clock: &Arc<dyn Clock>) -> Self {
        Self {
            members: Limiter::new(of_member(), clock.clone()),
            sources: Limiter::new(of_source(), clock.clone()),
        }
    }

    /// Counts an attempt on whoever is meant: a member's id, or an address that nobody has.
    ///
    /// # Errors
    ///
    /// [`ServiceError::TooManyAttempts`]. [`ServiceError::Overloaded`]: too many members were tried lately.
    pub(super) fn member(&self, organization: OrganizationId, member: &str) -> Result<()> {
        self.members.attempt(organization, member)
    }

    /// Counts an attempt from a source.
    ///
    /// # Errors
    ///
    /// As [`Self::member`].
    pub(super) fn source(&self, organization: OrganizationId, source: &str) -> Result<()> {
        self.sources.attempt(organization, source)
    }

    /// Forgets those who have their full number of attempts again.
    pub(in crate::service) fn shrink(&self) {
        self.members.shrink();
        self.sources.shrink();
    }
}

struct Limiter {
    time: Time,
    attempts: RateLimiter<KeyDigest, HashMapStateStore<KeyDigest>, Time, NoOpMiddleware<Duration>>,
}

impl Limiter {
    fn new(quota: Quota, clock: Arc<dyn Clock>) -> Self {
        let time = Time::new(clock);
        Self {
            attempts: RateLimiter::hashmap_with_clock(quota, time.clone()),
            time,
        }
    }

    fn attempt(&self, organization: OrganizationId, whose: &str) -> Result<()> {
        if self.attempts.len() >= MOST {
            self.attempts.retain_recent();
            if self.attempts.len() >= MOST {
                return Err(ServiceError::Overloaded);
            }
        }
        // A digest, so that each takes the same little memory.
        let key = KeyDigest::of(&format!("{organization} {whose}"));
        self.attempts
            .check_key(&key)
            .map_err(|refused| ServiceError::TooManyAttempts(refused.wait_time_from(self.time.read())))
    }

    fn shrink(&self) {
        self.attempts.retain_recent();
        self.attempts.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use uuid::Uuid;

    use super::*;
    use crate::domain::Timestamp;

    #[derive(Default)]
    struct Hand(AtomicI64);

    impl Clock for Hand {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(1_775_030_400_000 + self.0.load(Ordering::Relaxed))
        }
    }

    const ACME: OrganizationId = OrganizationId::from_uuid(Uuid::from_u128(1));
    const GLOBEX: OrganizationId = OrganizationId::from_uuid(Uuid::from_u128(2));

    #[test]
    fn ten_attempts_on_a_member_then_one_in_thirty_seconds() {
        let hand = Arc::new(Hand::default());
        let clock: Arc<dyn Clock> = hand.clone();
        let throttle = Throttle::new(&clock);
        for _ in 0..10 {
            throttle.member(ACME, "sally").unwrap();
        }
        let refused = throttle.member(ACME, "sally");
        let Err(ServiceError::TooManyAttempts(wait)) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(wait, Duration::from_secs(30));
        // Nobody else waits for that.
        throttle.member(ACME, "tom").unwrap();
        throttle.member(GLOBEX, "sally").unwrap();
        hand.0.fetch_add(30_000, Ordering::Relaxed);
        throttle.member(ACME, "sally").unwrap();
        throttle.member(ACME, "sally").unwrap_err();
    }

    #[test]
    fn sixty_attempts_from_a_source_then_one_a_second() {
        let hand = Arc::new(Hand::default());
        let clock: Arc<dyn Clock> = hand.clone();
        let throttle = Throttle::new(&clock);
        for _ in 0..60 {
            throttle.source(ACME, "192.0.2.1").unwrap();
        }
        throttle.source(ACME, "192.0.2.1").unwrap_err();
        throttle.source(ACME, "192.0.2.2").unwrap();
        hand.0.fetch_add(1_000, Ordering::Relaxed);
        throttle.source(ACME, "192.0.2.1").unwrap();
    }

    #[test]
    fn those_who_may_try_as_often_as_ever_are_forgotten() {
        let hand = Arc::new(Hand::default());
        let clock: Arc<dyn Clock> = hand.clone();
        let throttle = Throttle::new(&clock);
        throttle.member(ACME, "sally").unwrap();
        throttle.shrink();
        assert_eq!(throttle.members.attempts.len(), 1);
        hand.0.fetch_add(600_000, Ordering::Relaxed);
        throttle.shrink();
        assert_eq!(throttle.members.attempts.len(), 0);
    }
}
