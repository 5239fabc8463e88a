//! Time, passed in so that tests set it.

use std::{
    fmt,
    sync::OnceLock,
    time::{Duration, Instant},
};

use serde::Deserialize;

/// How far clocks may be apart that are right: those of replicas, or one before and after a correction. A time that is later than now
/// by more is of a clock that was wrong.
pub const CLOCKS_DIFFER: Duration = Duration::from_mins(5);

/// A moment in UTC, as milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The moment this many milliseconds after 1970 began.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970 began.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// This moment, moved later; the last one that can be told if there is none so late.
    #[must_use]
    pub fn saturating_add(self, by: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// Whether it is later than now by more than [`CLOCKS_DIFFER`].
    #[must_use]
    pub fn is_ahead_of(self, now: Self) -> bool {
        self > now.saturating_add(CLOCKS_DIFFER)
    }
}

/// RFC 3339 with milliseconds, such as `2026-04-01T08:00:00.000Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::MAX);
        write!(f, "{time:.3}")
    }
}

/// Where the time comes from.
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;

    /// The time since some moment, which no correction of the machine's clock moves: to tell how much has passed.
    fn steady(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.now().as_millis()).unwrap_or_default())
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the machine's clock"
    )]
    fn now(&self) -> Timestamp {
        Timestamp(jiff::Timestamp::now().as_millisecond())
    }

    fn steady(&self) -> Duration {
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_prints_with_milliseconds_even_when_they_are_zero() {
        assert_eq!(
            Timestamp::from_millis(1_775_030_400_000).to_string(),
            "2026-04-01T08:00:00.000Z"
        );
        assert_eq!(
            Timestamp::from_millis(1_775_030_400_012).to_string(),
            "2026-04-01T08:00:00.012Z"
        );
    }

    #[test]
    fn adding_too_much_stops_at_the_last_moment() {
        let end = Timestamp::from_millis(0).saturating_add(Duration::MAX);
        assert_eq!(end.as_millis(), i64::MAX);
        assert!(!end.to_string().is_empty());
    }
}
