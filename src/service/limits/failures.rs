//! Addresses from which keys come that open nothing.

use std::{
    collections::{HashMap, hash_map::Entry},
    net::IpAddr,
    num::NonZeroU32,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use governor::{Quota, RateLimiter, middleware::StateInformationMiddleware, state::keyed::HashMapStateStore};

use super::Time;

/// Most addresses that are remembered at once: some megabytes. What comes from others meanwhile is not counted.
const MOST: usize = 100_000;

/// A minute: what takes an address to have its full number again.
const FULL: Duration = Duration::from_mins(1);

pub(super) struct Failures {
    time: Time,
    counted: RateLimiter<IpAddr, HashMapStateStore<IpAddr>, Time, StateInformationMiddleware>,
    /// How long one takes to be forgiven.
    interval: Duration,
    /// Addresses that have none left, and when the next unknown key from there is looked up.
    spent: Mutex<HashMap<IpAddr, Duration>>,
    /// How many these are.
    any: AtomicUsize,
}

impl Failures {
    /// So many at once, and so many a minute.
    pub(super) fn new(most: NonZeroU32, time: Time) -> Self {
        let quota = Quota::per_minute(most);
        Self {
            counted: RateLimiter::hashmap_with_clock(quota, time.clone()).with_middleware(),
            interval: quota.replenish_interval(),
            time,
            spent: Mutex::default(),
            any: AtomicUsize::new(0),
        }
    }

    /// Whether any address has none left.
    pub(super) fn has_any(&self) -> bool {
        self.any.load(Ordering::Relaxed) > 0
    }

    /// How long an unknown key from there has to wait. None: it is looked up, and the next one waits.
    pub(super) fn wait(&self, from: IpAddr) -> Option<Duration> {
        let now = self.time.read();
        let mut spent = self.spent();
        let next = spent.get_mut(&from)?;
        if let Some(wait) = next.checked_sub(now).filter(|wait| !wait.is_zero()) {
            return Some(wait);
        }
        *next = now + self.interval;
        None
    }

    /// One more key from there has opened nothing.
    pub(super) fn count(&self, from: IpAddr) {
        if self.counted.len() >= MOST {
            self.counted.retain_recent();
            if self.counted.len() >= MOST {
                return;
            }
        }
        let left = self.counted.check_key(&from);
        if left.is_ok_and(|state| state.remaining_burst_capacity() > 0) {
            return;
        }
        let next = self.time.read() + self.interval;
        let mut spent = self.spent();
        match spent.entry(from) {
            Entry::Occupied(mut entry) => {
                entry.insert(next);
            }
            Entry::Vacant(entry) => {
                entry.insert(next);
                self.any.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Forgets addresses that have their full number again, and says so in the log if others are left.
    pub(super) fn sweep(&self) {
        self.counted.retain_recent();
        self.counted.shrink_to_fit();
        let now = self.time.read();
        let mut spent = self.spent();
        spent.retain(|_, next| *next + FULL > now);
        spent.shrink_to_fit();
        self.any.store(spent.len(), Ordering::Relaxed);
        let addresses = spent.len();
        let example = spent.keys().next().copied();
        drop(spent);
        if let Some(address) = example {
            tracing::warn!(
                addresses,
                %address,
                "too many keys that open nothing: of those that come from there, only known ones are looked up"
            );
        }
    }

    fn spent(&self) -> MutexGuard<'_, HashMap<IpAddr, Duration>> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
