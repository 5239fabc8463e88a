//! Times in which the database can't be written or read: when they begin, how they are told, when to try again.

use std::{fmt::Display, time::Duration};

use tokio::{sync::watch, time::Instant};

use crate::domain::{Condition, Outage};

/// One line of the log in this time, however often something fails.
const SAID_EVERY: Duration = Duration::from_secs(30);

/// The first pause before it is tried again, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Writes,
    Reads,
}

/// The outages of one side of a database, one after the other.
pub(super) struct Outages {
    side: Side,
    database: String,
    condition: watch::Sender<Condition>,
    current: Option<Current>,
    said_at: Option<Instant>,
    pause: Duration,
}

struct Current {
    outage: Outage,
    since: Instant,
    is_said: bool,
}

impl Outages {
    pub(super) fn new(side: Side, database: String, condition: watch::Sender<Condition>) -> Self {
        Self {
            side,
            database,
            condition,
            current: None,
            said_at: None,
            pause: FIRST_PAUSE,
        }
    }

    /// What is wrong now.
    pub(super) fn current(&self) -> Option<Outage> {
        self.current.as_ref().map(|current| current.outage)
    }

    /// Something failed, and is not to be tried before [`Self::pause`] has passed. The log hears of the first time, and
    /// every half minute while it lasts.
    pub(super) fn begin(&mut self, outage: Outage, error: &dyn Display) {
        let since = self
            .current
            .as_ref()
            .map_or_else(Instant::now, |current| current.since);
        let was_said = self.current.as_ref().is_some_and(|current| current.is_said);
        let is_said = self.say(error, since);
        self.current = Some(Current {
            outage,
            since,
            is_said: is_said || was_said,
        });
        self.tell(Some(outage));
    }

    /// Something failed that did not last. Such failures share the lines of the log with outages.
    pub(super) fn passed(&mut self, error: &dyn Display) {
        self.say(error, Instant::now());
    }

    fn say(&mut self, error: &dyn Display, since: Instant) -> bool {
        if self.said_at.is_some_and(|at| at.elapsed() < SAID_EVERY) {
            return false;
        }
        self.said_at = Some(Instant::now());
        let database = &self.database;
        let seconds = since.elapsed().as_secs();
        match self.side {
            Side::Writes => tracing::error!(%error, database, seconds, "the database can't be written"),
            Side::Reads => tracing::error!(%error, database, seconds, "the database can't be read"),
        }
        true
    }

    /// It works again.
    pub(super) fn end(&mut self) {
        let Some(current) = self.current.take() else {
            return;
        };
        if current.is_said {
            let database = &self.database;
            let seconds = current.since.elapsed().as_secs();
            match self.side {
                Side::Writes => tracing::info!(database, seconds, "the database can be written again"),
                Side::Reads => tracing::info!(database, seconds, "the database can be read again"),
            }
        }
        self.tell(None);
    }

    /// A caller's work succeeded: the next outage is met with the shortest pause again.
    pub(super) const fn worked(&mut self) {
        self.pause = FIRST_PAUSE;
    }

    /// How long to wait before the next attempt. Longer each time.
    pub(super) fn pause(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST_PAUSE);
        pause
    }

    fn tell(&self, outage: Option<Outage>) {
        self.condition.send_if_modified(|condition| {
            let before = *condition;
            match self.side {
                Side::Writes => condition.writes = outage,
                Side::Reads => condition.reads = outage,
            }
            *condition != before
        });
    }
}
