//! Changes of one user, one after the other.
//!
//! A change of a role depends on what the user was, so the directory makes it only if the user is still as it was read.
//! Those that come through this gateway take turns. One that somebody else comes before is tried again after a pause.

use std::{sync::Arc, time::Duration};

use backon::{BackoffBuilder as _, ExponentialBuilder};
use moka::sync::Cache;
use tokio::{
    sync::{Mutex, OwnedMutexGuard},
    time::timeout,
};

/// Most users to keep turns for, and how long after the last one. A user whose turns are given up too early is changed by
/// two at once, of whom one tries again.
const MOST: u64 = 10_000;
const KEEP: Duration = Duration::from_mins(1);

/// The longest to wait for a turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// The turns of all users, by the ids of their members.
#[derive(Debug)]
pub(super) struct Turns(Cache<String, Arc<Mutex<()>>>);

/// A turn. It is over when this is dropped.
pub(super) struct Turn {
    _guard: OwnedMutexGuard<()>,
    /// Whether others came before: what was read earlier may have changed.
    pub(super) waited: bool,
}

impl Default for Turns {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(MOST).time_to_idle(KEEP).build())
    }
}

impl Turns {
    /// Waits for a turn. None: it took too long.
    pub(super) async fn turn(&self, member_id: &str) -> Option<Turn> {
        let turns = self.0.get_with_by_ref(member_id, Arc::default);
        if let Ok(guard) = turns.clone().try_lock_owned() {
            return Some(Turn {
                _guard: guard,
                waited: false,
            });
        }
        let guard = timeout(PATIENCE, turns.lock_owned()).await.ok()?;
        Some(Turn {
            _guard: guard,
            waited: true,
        })
    }
}

/// How long to pause after each of some attempts: some milliseconds first, then longer, by chance.
pub(super) fn pauses() -> impl Iterator<Item = Duration> + Send {
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
    async fn one_user_is_changed_by_one_at_a_time() {
        let turns = Turns::default();
        let first = turns.turn("a").await.unwrap();
        assert!(!first.waited);
        assert!(!turns.turn("b").await.unwrap().waited);
        let (second, ()) = tokio::join!(turns.turn("a"), async { drop(first) });
        assert!(second.unwrap().waited);
        assert!(!turns.turn("a").await.unwrap().waited);
    }

    #[test]
    fn who_is_not_first_tries_for_a_while_and_not_for_ever() {
        let pauses: Vec<_> = pauses().collect();
        assert_eq!(pauses.len(), 15);
        assert!(pauses.iter().all(|pause| *pause >= Duration::from_millis(2)));
        assert!(pauses.iter().sum::<Duration>() < Duration::from_secs(5));
    }
}
