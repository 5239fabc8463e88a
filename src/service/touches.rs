//! Times of last use: noted in memory at once, written down some moments later, many together.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::{
    domain::{ApiKey, ApiKeyId, MemberEntry, MemberId, OrganizationId, Timestamp},
    storage::{Storage, StoreError},
};

/// A member's time is written at most this often.
const SEEN_EVERY: Duration = Duration::from_mins(1);

/// A key's time is written at most this often.
const USED_EVERY: Duration = Duration::from_hours(1);

/// How long a time may wait in memory. A server that is killed loses what waits; one that stops writes it down.
pub const FLUSH_EVERY: Duration = Duration::from_secs(2);

/// Most times that one transaction writes, so that the changes of callers come between.
const AT_ONCE: usize = 64;

/// Times that wait to be written.
#[derive(Debug, Default)]
pub(super) struct Touches {
    seen: Mutex<HashMap<(OrganizationId, MemberId), Timestamp>>,
    used: Mutex<HashMap<(Option<OrganizationId>, ApiKeyId), Timestamp>>,
}

impl Touches {
    /// The member was active now.
    pub(super) fn seen(&self, organization: OrganizationId, entry: &MemberEntry, now: Timestamp) {
        if is_due(entry.last_seen_at, SEEN_EVERY, now) {
            lock(&self.seen).insert((organization, entry.member.id), now);
        }
    }

    /// The key was used now. Costs nothing unless its time is an hour old.
    pub(super) fn key_used(&self, key: &ApiKey, now: Timestamp) {
        if is_due(key.last_used_at, USED_EVERY, now) {
            lock(&self.used).insert((key.organization_id, key.id), now);
        }
    }

    /// Writes down what waits. What can't be written is dropped: the next use notes it again.
    pub(super) async fn flush(&self, storage: &dyn Storage) -> Result<(), StoreError> {
        let seen = std::mem::take(&mut *lock(&self.seen));
        let seen: Vec<_> = seen
            .into_iter()
            .map(|((organization, member), at)| (organization, member, at))
            .collect();
        for some in seen.chunks(AT_ONCE) {
            storage.record_seen(some.to_vec()).await?;
        }
        let used = std::mem::take(&mut *lock(&self.used));
        let used: Vec<_> = used
            .into_iter()
            .map(|((organization, key), at)| (organization, key, at))
            .collect();
        for some in used.chunks(AT_ONCE) {
            storage.record_key_use(some.to_vec()).await?;
        }
        Ok(())
    }
}

fn is_due(last: Option<Timestamp>, every: Duration, now: Timestamp) -> bool {
    last.is_none_or(|last| last.saturating_add(every) <= now)
}

/// A thread that panicked while it held a map of times left it whole.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
