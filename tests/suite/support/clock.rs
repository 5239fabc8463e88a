//! A time that is the test's.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use userbridge::domain::{Clock, Timestamp};

/// Stands still until it is moved.
#[derive(Clone)]
pub(crate) struct TestClock(Arc<AtomicI64>);

impl TestClock {
    /// At some moment of 2026.
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicI64::new(1_775_030_400_000)))
    }

    pub(crate) fn pass(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }
}
