//! Where the pages that were handed out ended.
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

/// How long an end is kept.
const KEEP: Duration = Duration::from_mins(10);

/// Most ends to keep. When there are more, those used longest ago are given up.
const MOST: u64 = 10_000;

/// A list as one caller asks for it, and the number of a page. The key is in it, so only its digest is kept.
type Digest = (u64, u64);

/// The ends of pages: tokens with which the directory goes on.
#[derive(Debug)]
pub(super) struct Walks {
    hashers: (RandomState, RandomState),
    ends: Cache<Digest, String>,
}

impl Default for Walks {
    fn default() -> Self {
        let ends = Cache::builder()
            .max_capacity(MOST)
            .time_to_live(KEEP)
            .eviction_policy(EvictionPolicy::lru())
            .build();
        Self {
            hashers: (RandomState::new(), RandomState::new()),
            ends,
        }
    }
}

impl Walks {
    /// Where a page of a list ended, if it was handed out a short while ago and was not the last one.
    pub(super) fn end(&self, list: &impl Hash, page: u64) -> Option<String> {
        self.ends.get(&self.digest(list, page))
    }

    /// Notes where a page of a list ended. An empty token: it was the last one.
    pub(super) fn note(&self, list: &impl Hash, page: u64, token: String) {
        let digest = self.digest(list, page);
        if token.is_empty() {
            self.ends.invalidate(&digest);
        } else {
            self.ends.insert(digest, token);
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
    fn an_end_belongs_to_its_list_and_page() {
        let walks = Walks::default();
        walks.note(&("key", 15), 1, "one".to_owned());
        assert_eq!(walks.end(&("key", 15), 1).as_deref(), Some("one"));
        assert_eq!(walks.end(&("key", 15), 2), None);
        assert_eq!(walks.end(&("key", 16), 1), None);
        assert_eq!(walks.end(&("other", 15), 1), None);
        walks.note(&("key", 15), 1, String::new());
        assert_eq!(walks.end(&("key", 15), 1), None);
    }

    #[test]
    fn the_oldest_are_given_up_when_there_are_too_many() {
        let walks = Walks::default();
        for page in 0..20_000 {
            walks.note(&"list", page, page.to_string());
        }
        walks.ends.run_pending_tasks();
        assert!(walks.end(&"list", 0).is_none());
        assert_eq!(walks.end(&"list", 19_999).as_deref(), Some("19999"));
        assert!(walks.ends.entry_count() <= MOST);
    }
}
