//! Log lines about what may happen with every request.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// The least time between two lines about the same thing.
const PERIOD: Duration = Duration::from_secs(30);

/// Bounds how often one thing is logged: at once when it begins, then every 30 seconds while it goes on.
#[derive(Debug, Default)]
pub(crate) struct LogThrottle(Mutex<Option<Instant>>);

impl LogThrottle {
    /// Whether a line is due now. Then none is due for 30 seconds.
    pub(crate) fn is_due(&self) -> bool {
        let now = Instant::now();
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
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
        let throttle = LogThrottle::default();
        let mut lines = 0;
        for _ in 0..61 {
            lines += u32::from(throttle.is_due());
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(lines, 3);
    }
}
