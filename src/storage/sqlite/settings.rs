//! What may be chosen, for tests above all.

use std::time::Duration;

use tokio::runtime::Handle;

/// Bounds and times of one open database.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Changes that may wait. One more is refused at once with [`crate::storage::StoreError::Overloaded`], or one of an
    /// organization that has more of them there. At least 1.
    pub write_queue: usize,
    /// Look-ups that may wait in a runtime, in the same way.
    pub lookup_queue: usize,
    /// Runtimes that answer their own look-ups, and hold one of their two threads for when the disk lets the other wait. All others
    /// share the one that opens the database.
    pub runtimes: Vec<Handle>,
    /// How much of the file the connection that writes keeps in memory, once it has read it, in KiB.
    pub writer_cache: u32,
    /// Pages in the write-ahead log from which on the writer itself moves them into the file, at 4 KiB each.
    pub log_pages: u32,
    /// How long a connection waits for another process's lock before it gives up.
    pub busy_timeout: Duration,
    /// How long `compact` waits for those who read the write-ahead log.
    pub log_patience: Duration,
}

impl Settings {
    /// For large transactions, one after the other, which go through the indexes in their order.
    #[must_use]
    pub fn bulk() -> Self {
        Self {
            writer_cache: 12 * 1024,
            // Several times what one of them writes: so what one has written is moved beside the next.
            log_pages: 120_000,
            ..Self::default()
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            write_queue: 1024,
            lookup_queue: 4096,
            runtimes: Vec::new(),
            writer_cache: 16 * 1024,
            // 120 MB that a start after a crash reads back: it does not grow for ever while changes come without a pause.
            log_pages: 30_000,
            busy_timeout: Duration::from_secs(5),
            log_patience: Duration::from_secs(10),
        }
    }
}
