//! A time that is the test's.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use userbridge::domain::{Clock, Timestamp};

/// Stands still until it is moved.
#[derive(Clone)]
pub(crate) struct TestClock {
    steady: Arc<AtomicI64>,
    /// How far the wall clock is ahead of the steady one.
    ahead: Arc<AtomicI64>,
}

impl TestClock {
    /// At some moment of 2026.
    pub(crate) fn new() -> Self {
        Self {
            steady: Arc::new(AtomicI64::new(1_775_030_400_000)),
            ahead: Arc::default(),
        }
    }

    pub(crate) fn pass(&self, millis: i64) {
        self.steady.fetch_add(millis, Ordering::Relaxed);
    }

    /// Sets the clock to a time that is wrong by so much; 0 sets it right. No time passes.
    pub(crate) fn set_wrong_by(&self, millis: i64) {
        self.ahead.store(millis, Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        let steady = self.steady.load(Ordering::Relaxed);
        Timestamp::from_millis(steady + self.ahead.load(Ordering::Relaxed))
    }

    fn steady(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.steady.load(Ordering::Relaxed)).unwrap())
    }
}
