//! The directory's clock, in the terms of governor.

use std::{sync::Arc, time::Duration};

use governor::clock::Clock as GovernorClock;

use crate::domain::Clock;

#[derive(Clone)]
pub(in crate::service) struct Time(Arc<dyn Clock>);

impl Time {
    pub(in crate::service) const fn new(clock: Arc<dyn Clock>) -> Self {
        Self(clock)
    }

    pub(in crate::service) fn read(&self) -> Duration {
        self.0.steady()
    }
}

impl GovernorClock for Time {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.read()
    }
}
