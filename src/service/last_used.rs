//! Times of last use: noted in memory at once, written down some moments later, many together.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use super::{Result, ServiceError, rules::Rule};
use crate::{
    domain::{ApiKey, ApiKeyId, KeyDigest, Member, MemberId, OrganizationId, Timestamp, TokenKind},
    storage::{Storage, TokenHolder},
};

/// A member's time is written at most this often.
const SEEN_EVERY: Duration = Duration::from_mins(1);

/// A session's time is written at most this often.
const TOKEN_USED_EVERY: Duration = Duration::from_mins(1);

/// A key's time is written at most this often.
const USED_EVERY: Duration = Duration::from_hours(1);

/// How long a time may wait in memory. A server that is killed loses what waits; one that stops writes it down.
pub const FLUSH_EVERY: Duration = Duration::from_secs(2);

/// Most times that one transaction writes, so that the changes of callers come between.
const AT_ONCE: usize = 64;

/// Most times of a kind that are kept while they can't be written: some tens of megabytes.
const MOST: usize = 100_000;

/// Times that wait to be written.
#[derive(Debug, Default)]
pub(super) struct LastUsed {
    seen: Mutex<HashMap<(OrganizationId, MemberId), Timestamp>>,
    used: Mutex<HashMap<(Option<OrganizationId>, ApiKeyId), Timestamp>>,
    tokens: Mutex<HashMap<(OrganizationId, KeyDigest), Timestamp>>,
}

impl LastUsed {
    /// The member was active now.
    pub(super) fn seen(&self, organization: OrganizationId, member: &Member, now: Timestamp) {
        if is_due(member.last_seen_at, SEEN_EVERY, now) {
            note(&self.seen, (organization, member.id), now);
        }
    }

    /// The key was used now. Costs nothing unless its time is an hour old.
    pub(super) fn key_used(&self, key: &ApiKey, now: Timestamp) {
        if is_due(key.last_used_at, USED_EVERY, now) {
            note(&self.used, (key.organization_id, key.id), now);
        }
    }

    /// The token was used now. Only of sessions that matters: their members are seen as well.
    pub(super) fn token_used(&self, holder: &TokenHolder, now: Timestamp) {
        let token = &holder.token;
        let last = token.last_used_at.unwrap_or(token.created_at);
        if token.kind != TokenKind::Session {
            return;
        }
        self.seen(holder.organization, &holder.member, now);
        if is_due(Some(last), TOKEN_USED_EVERY, now) {
            note(&self.tokens, (holder.organization, token.digest), now);
        }
    }

    /// How many wait to be written down.
    pub(super) fn waiting(&self) -> usize {
        lock(&self.seen).len() + lock(&self.used).len() + lock(&self.tokens).len()
    }

    /// Writes down what waits. What can't be written at present waits on; what can't for another reason is dropped, and
    /// noted again by the next use. Whoever is not waited for to the end has left the rest waiting.
    pub(super) async fn flush(&self, storage: &dyn Storage, now: Timestamp) -> Result<()> {
        let seen = flush(&self.seen, storage, now, |tx, (times, now)| {
            Box::pin(async move {
                for ((organization, member), at) in times {
                    tx.record_seen(*organization, *member, *at, *now).await?;
                }
                Ok(())
            })
        });
        let seen = seen.await;
        let used = flush(&self.used, storage, now, |tx, (times, now)| {
            Box::pin(async move {
                for ((organization, key), at) in times {
                    tx.record_key_use(*organization, *key, *at, *now).await?;
                }
                Ok(())
            })
        });
        let used = used.await;
        let tokens = flush(&self.tokens, storage, now, |tx, (times, _)| {
            Box::pin(async move {
                for ((organization, token), at) in times {
                    tx.record_token_use(*organization, *token, *at).await?;
                }
                Ok(())
            })
        });
        tokens.await.and(used).and(seen)
    }
}

/// Writes down some times in steps, and returns the last error. Each waits until it is written.
async fn flush<K: Clone + Eq + Hash + Send + Sync + 'static>(
    waiting: &Mutex<HashMap<K, Timestamp>>,
    storage: &dyn Storage,
    now: Timestamp,
    write: Rule<(Vec<(K, Timestamp)>, Timestamp), ()>,
) -> Result<()> {
    let times: Vec<_> = lock(waiting).iter().map(|(key, at)| (key.clone(), *at)).collect();
    let mut result = Ok(());
    for some in times.chunks(AT_ONCE) {
        let written = storage.write(None, (some.to_vec(), now), write).await;
        if !written.as_ref().is_err_and(is_passing) {
            let mut waiting = lock(waiting);
            for (key, at) in some {
                // Later ones came in the meantime.
                if waiting.get(key) == Some(at) {
                    waiting.remove(key);
                }
            }
        }
        result = written.and(result);
    }
    result
}

/// Whether it may work the next time.
const fn is_passing(error: &ServiceError) -> bool {
    matches!(error, ServiceError::Unavailable(_) | ServiceError::Overloaded)
}

fn note<K: Eq + Hash>(waiting: &Mutex<HashMap<K, Timestamp>>, key: K, at: Timestamp) {
    let mut waiting = lock(waiting);
    if waiting.len() < MOST || waiting.contains_key(&key) {
        waiting.insert(key, at);
    }
}

fn is_due(last: Option<Timestamp>, every: Duration, now: Timestamp) -> bool {
    last.is_none_or(|last| last.saturating_add(every) <= now || last.is_ahead_of(now))
}

/// A thread that panicked while it held a map of times left it whole.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
