//! Where the pages that were handed out ended.
//!
//! The vendor's links number pages and say nothing else, so a user who is removed moves everyone behind them one place
//! forward, and whoever walks from page to page would miss somebody at each boundary. So a page that is asked for soon
//! after the one before it, by the same key and for the same list, begins where that one ended. This is kept in memory
//! and may be lost: then the page begins where its number says.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, Hash, RandomState},
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// An end is kept at least so long, and at most twice so long.
const KEEP: Duration = Duration::from_mins(5);

/// Most ends to keep, in two halves. When one is full, the other, older one is given up.
const HALF: usize = 5_000;

/// A list as one caller asks for it, and the number of a page. The key is in it, so only its digest is kept.
type Digest = (u64, u64);

/// The ends of pages: tokens with which the directory goes on.
#[derive(Debug)]
pub(super) struct Walks {
    hashers: (RandomState, RandomState),
    ends: Mutex<Ends>,
}

#[derive(Debug)]
struct Ends {
    young: HashMap<Digest, String>,
    old: HashMap<Digest, String>,
    since: Instant,
}

impl Default for Walks {
    fn default() -> Self {
        Self {
            hashers: (RandomState::new(), RandomState::new()),
            ends: Mutex::new(Ends {
                young: HashMap::new(),
                old: HashMap::new(),
                since: Instant::now(),
            }),
        }
    }
}

impl Walks {
    /// Where a page of a list ended, if it was handed out a short while ago and was not the last one.
    pub(super) fn end(&self, list: &impl Hash, page: u64) -> Option<String> {
        let digest = self.digest(list, page);
        let mut ends = self.lock();
        ends.turn();
        ends.young.get(&digest).or_else(|| ends.old.get(&digest)).cloned()
    }

    /// Notes where a page of a list ended. An empty token: it was the last one.
    pub(super) fn note(&self, list: &impl Hash, page: u64, token: String) {
        let digest = self.digest(list, page);
        let mut ends = self.lock();
        ends.turn();
        ends.old.remove(&digest);
        if token.is_empty() {
            ends.young.remove(&digest);
        } else {
            ends.young.insert(digest, token);
        }
    }

    fn digest(&self, list: &impl Hash, page: u64) -> Digest {
        let whole = (list, page);
        (self.hashers.0.hash_one(whole), self.hashers.1.hash_one(whole))
    }

    fn lock(&self) -> MutexGuard<'_, Ends> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ends {
    /// Lets the young grow old, and gives up the old.
    fn turn(&mut self) {
        if self.young.len() >= HALF || self.since.elapsed() >= KEEP {
            self.old = mem::take(&mut self.young);
            self.since = Instant::now();
        }
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
        assert!(walks.end(&"list", 0).is_none());
        assert_eq!(walks.end(&"list", 19_999).as_deref(), Some("19999"));
        let ends = walks.lock();
        assert!(ends.young.len() + ends.old.len() <= 2 * HALF);
    }
}
