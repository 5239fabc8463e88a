//! Cursors of the pages that were handed out.
//!
//! The vendor's links number pages and say nothing else, so a user who is removed moves everyone behind them one place
//! forward, and whoever walks from page to page would miss somebody at each boundary. So a page that is asked for soon
//! after the one before it, by the same key and for the same list, begins where that one ended. This is kept in memory
//! and may be lost: then the page begins where its number says.

use std::{
    hash::{BuildHasher as _, Hash, RandomState},
    time::Duration,
};

use moka::{policy::EvictionPolicy, sync::Cache};

const KEEP: Duration = Duration::from_mins(10);

/// When there are more, those used longest ago are dropped.
const MAX_CURSORS: u64 = 10_000;

/// A list as one caller asks for it, and the number of a page. The key is in it, so only its digest is kept.
type Digest = (u64, u64);

/// Page tokens of the directory.
#[derive(Debug)]
pub(super) struct PageCursors {
    hashers: (RandomState, RandomState),
    tokens: Cache<Digest, String>,
}

impl Default for PageCursors {
    fn default() -> Self {
        let tokens = Cache::builder()
            .max_capacity(MAX_CURSORS)
            .time_to_live(KEEP)
            .eviction_policy(EvictionPolicy::lru())
            .build();
        Self {
            hashers: (RandomState::new(), RandomState::new()),
            tokens,
        }
    }
}

impl PageCursors {
    /// The token for what follows this page of a list, if the page was handed out in the last 10 minutes and was not the
    /// last.
    pub(super) fn after(&self, list: &impl Hash, page: u64) -> Option<String> {
        self.tokens.get(&self.digest(list, page))
    }

    /// Keeps the token for what follows this page of a list; it is empty after the last.
    pub(super) fn keep(&self, list: &impl Hash, page: u64, token: String) {
        let digest = self.digest(list, page);
        if token.is_empty() {
            self.tokens.invalidate(&digest);
        } else {
            self.tokens.insert(digest, token);
        }
    }

    fn digest(&self, list: &impl Hash, page: u64) -> Digest {
        let whole = (list, page);
        (self.hashers.0.hash_one(whole), self.hashers.1.hash_one(whole))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_belongs_to_its_list_and_page() {
        let cursors = PageCursors::default();
        cursors.keep(&("key", 15), 1, "one".to_owned());
        assert_eq!(cursors.after(&("key", 15), 1).as_deref(), Some("one"));
        assert_eq!(cursors.after(&("key", 15), 2), None);
        assert_eq!(cursors.after(&("key", 16), 1), None);
        assert_eq!(cursors.after(&("other", 15), 1), None);
        cursors.keep(&("key", 15), 1, String::new());
        assert_eq!(cursors.after(&("key", 15), 1), None);
    }

    #[test]
    fn the_oldest_are_dropped_when_there_are_too_many() {
        let cursors = PageCursors::default();
        for page in 0..20_000 {
            cursors.keep(&"list", page, page.to_string());
        }
        cursors.tokens.run_pending_tasks();
        assert!(cursors.after(&"list", 0).is_none());
        assert_eq!(cursors.after(&"list", 19_999).as_deref(), Some("19999"));
        assert!(cursors.tokens.entry_count() <= MAX_CURSORS);
    }
}
