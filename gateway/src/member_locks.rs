//! Changes of one member, one after the other.
//!
//! A change of a role depends on the role that the member had, so the directory makes it only if the member is still as
//! it was read. Changes that come through this gateway wait for a lock. One that finds the member changed by somebody
//! else is tried again after a pause.

use std::{sync::Arc, time::Duration};

use backon::{BackoffBuilder as _, ExponentialBuilder};
use moka::sync::Cache;
use tokio::{
    sync::{Mutex, OwnedMutexGuard},
    time::timeout,
};

/// Most locks to keep, and how long after the last use. A member whose lock is dropped too early may be changed by two at
/// once, of whom one tries again.
const MAX_LOCKS: u64 = 10_000;
const KEEP: Duration = Duration::from_mins(1);

/// The longest wait for a lock.
const WAIT: Duration = Duration::from_secs(10);

/// By member id.
#[derive(Debug)]
pub(crate) struct MemberLocks(Cache<String, Arc<Mutex<()>>>);

/// Unlocks when it is dropped.
pub(crate) struct MemberLock {
    _guard: OwnedMutexGuard<()>,
    /// Whether others came before: what was read earlier may have changed.
    pub(crate) waited: bool,
}

impl Default for MemberLocks {
    fn default() -> Self {
        Self(
            Cache::builder()
                .max_capacity(MAX_LOCKS)
                .time_to_idle(KEEP)
                .build(),
        )
    }
}

impl MemberLocks {
    /// None: it took longer than 10 seconds.
    pub(crate) async fn lock(&self, member_id: &str) -> Option<MemberLock> {
        let lock = self.0.get_with_by_ref(member_id, Arc::default);
        if let Ok(guard) = lock.clone().try_lock_owned() {
            return Some(MemberLock {
                _guard: guard,
                waited: false,
            });
        }
        let guard = timeout(WAIT, lock.lock_owned()).await.ok()?;
        Some(MemberLock {
            _guard: guard,
            waited: true,
        })
    }
}

/// The pauses between attempts: 15, from 2 ms to 200 ms, growing and with jitter.
pub(crate) fn backoff() -> impl Iterator<Item = Duration> + Send {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(2))
        .with_max_delay(Duration::from_millis(200))
        .with_factor(1.5)
        .with_max_times(15)
        .with_jitter()
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_member_is_changed_by_one_at_a_time() {
        let locks = MemberLocks::default();
        let first = locks.lock("a").await.unwrap();
        assert!(!first.waited);
        assert!(!locks.lock("b").await.unwrap().waited);
        let (second, ()) = tokio::join!(locks.lock("a"), async { drop(first) });
        assert!(second.unwrap().waited);
        assert!(!locks.lock("a").await.unwrap().waited);
    }

    #[test]
    fn a_change_is_tried_for_a_while_and_not_for_ever() {
        let pauses: Vec<_> = backoff().collect();
        assert_eq!(pauses.len(), 15);
        assert!(pauses.iter().all(|pause| *pause >= Duration::from_millis(2)));
        assert!(pauses.iter().sum::<Duration>() < Duration::from_secs(5));
    }
}
