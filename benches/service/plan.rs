//! What a run measures, and for how long.

use std::time::Duration;

use crate::load::Phase;

/// Load that is not counted, before each phase.
const WARM_UP: Duration = Duration::from_millis(300);

pub(crate) struct Plan {
    pub(crate) members: Vec<u64>,
    pub(crate) rounds: u32,
    pub(crate) measured: Duration,
    /// Sections to run; empty: all but those that are only run if they are named.
    pub(crate) only: Vec<String>,
}

impl Plan {
    pub(crate) fn includes(&self, section: &str) -> bool {
        self.only.is_empty() || self.names(section)
    }

    /// For sections that need what few machines have.
    pub(crate) fn names(&self, section: &str) -> bool {
        self.only.iter().any(|only| only == section)
    }

    pub(crate) const fn phase(&self) -> Phase {
        Phase {
            warm_up: WARM_UP,
            measured: self.measured,
        }
    }
}
