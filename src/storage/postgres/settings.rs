//! What may be chosen, for tests above all.

use std::time::Duration;

/// Bounds and times of one open database. The connections to the server are those that these name, and seven more: for
/// look-ups two, for revocations one, one that tries whether changes can be made, one that looks whether the server is there, one
/// that tells of commits and one that hears of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// A replica that may lag behind. Lists of members are read from it, by connections of its own, and nothing else.
    pub replica_url: Option<String>,
    /// Changes that may wait for one organization. One more is refused at once with
    /// [`crate::storage::StoreError::Overloaded`]. At least 1.
    pub write_queue: usize,
    /// Look-ups, and revocations, that may wait, in the same way.
    pub lookup_queue: usize,
    /// Changes that are made side by side, of different organizations.
    pub writers: u32,
    /// Reads of some rows side by side.
    pub short_reads: u32,
    /// Reads of any number of rows side by side.
    pub long_reads: u32,
    /// How long a connection may take to be opened: longer, and the server is taken for unreachable. And how long a statement of a
    /// bounded number of rows may take to be answered: a read that takes longer is given up, and so is a rule that takes three times
    /// as long.
    pub patience: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            replica_url: None,
            write_queue: 1024,
            lookup_queue: 4096,
            writers: 8,
            short_reads: 4,
            long_reads: 4,
            patience: Duration::from_secs(5),
        }
    }
}
