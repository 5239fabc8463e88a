//! Log lines about what may happen with every request.

use std::{sync::Mutex, time::Duration};

use tokio::time::Instant;

/// At least this much time is between two lines about the same thing.
const PERIOD: Duration = Duration::from_secs(30);

/// Says when the next line is due: now and then while something goes on happening.
#[derive(Debug, Default)]
pub(crate) struct Seldom(Mutex<Option<Instant>>);

impl Seldom {
    /// The first line is due at once.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Whether a line is due. Then none is for 30 seconds.
    pub(crate) fn is_due(&self) -> bool {
        let now = Instant::now();
        let mut last = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let due = last.is_none_or(|last| now.duration_since(last) >= PERIOD);
        if due {
            *last = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_line_is_due_at_once_and_then_every_thirty_seconds() {
        let seldom = Seldom::new();
        let mut lines = 0;
        for _ in 0..61 {
            lines += u32::from(seldom.is_due());
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(lines, 3);
    }
}
