//! What may be chosen, for tests above all.

use std::time::Duration;

/// Bounds and times of one open database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Changes that may wait. One more is refused at once with [`crate::storage::StoreError::Overloaded`]. At least 1.
    pub write_queue: usize,
    /// Look-ups that may wait, in the same way.
    pub lookup_queue: usize,
    /// How long a connection waits for another process's lock before it gives up.
    pub busy_timeout: Duration,
    /// How long `compact` waits for those who read the write-ahead log.
    pub log_patience: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            write_queue: 1024,
            lookup_queue: 4096,
            busy_timeout: Duration::from_secs(5),
            log_patience: Duration::from_secs(10),
        }
    }
}
