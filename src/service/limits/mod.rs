//! How often a key may call, and how many keys that open nothing one address may show. In memory, of this process.
//!
//! A call is let in before its key is looked up ([`Directory::let_in`]), and what the key turned out to be is noted afterwards
//! ([`Directory::judged`]). So who calls too often, or guesses, costs no look-up.

mod failures;
mod time;

use std::{
    collections::HashMap,
    net::IpAddr,
    num::NonZeroU32,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering},
    },
};

use governor::{
    Quota, RateLimiter,
    middleware::StateInformationMiddleware,
    state::{InMemoryState, NotKeyed},
};

use self::failures::Failures;
use super::{Directory, Result, ServiceError};
use crate::domain::{Clock, KeyDigest, Presented};

pub(super) use self::time::Time;

/// For so many sweeps, one a minute, a key that opened something is remembered: a day.
const REMEMBERED: u16 = 24 * 60;

/// How often may be called. The default sets no limit.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallLimits {
    /// What one key may call.
    pub per_key: Option<CallRate>,
    /// So many keys that open nothing may come from one address at once, and then so many a minute.
    pub failed_keys: Option<NonZeroU32>,
}

/// So many calls a second, and so many at once by who has not called for a while.
#[derive(Clone, Copy, Debug)]
pub struct CallRate {
    pub per_second: NonZeroU32,
    pub burst: NonZeroU32,
}

/// A call, as far as limits go.
#[derive(Clone, Copy, Debug)]
pub struct Shown {
    pub presented: Presented,
    /// Where it comes from. None, and an address of this machine, is nobody's: that of a proxy that is not known, or of a gateway.
    pub from: Option<IpAddr>,
    /// An earlier call of the same request has been counted.
    pub counted: bool,
}

/// What a key turned out to be.
#[derive(Clone, Copy, Debug)]
pub enum Judgement {
    Good,
    /// It opens nothing.
    Bad,
    /// Nobody could say.
    Unknown,
}

impl<T> From<&Result<T>> for Judgement {
    fn from(judged: &Result<T>) -> Self {
        match judged {
            Ok(_) => Self::Good,
            Err(ServiceError::InvalidApiKey) => Self::Bad,
            Err(_) => Self::Unknown,
        }
    }
}

/// What a key may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// At once.
    pub limit: u32,
    /// Now, after this call.
    pub remaining: u32,
}

/// How many calls were refused, by reason.
#[derive(Clone, Copy, Debug)]
pub struct Refused {
    pub call_rate: u64,
    pub failed_keys: u64,
}

/// Calls in a time that has not passed yet.
pub(super) struct KeyLimits {
    time: Time,
    calls: Option<Quota>,
    failures: Option<Failures>,
    /// Keys that have opened something. A key that never did is never in it, so strangers don't make it grow.
    known: RwLock<HashMap<KeyDigest, Known>>,
    refused_calls: AtomicU64,
    refused_unknown: AtomicU64,
}

type Calls = RateLimiter<NotKeyed, InMemoryState, Time, StateInformationMiddleware>;

struct Known {
    /// None: it may call as often as it likes.
    calls: Option<Calls>,
    /// Whether it did the last time. What it may call stays the same: a key that is shown where it opens nothing is as good elsewhere.
    opens: AtomicBool,
    /// Sweeps since it opened something.
    idle: AtomicU16,
}

impl KeyLimits {
    pub(super) fn new(limits: CallLimits, clock: &Arc<dyn Clock>) -> Self {
        let time = Time::new(clock.clone());
        let calls = limits
            .per_key
            .map(|rate| Quota::per_second(rate.per_second).allow_burst(rate.burst));
        Self {
            calls,
            failures: limits.failed_keys.map(|most| Failures::new(most, time.clone())),
            time,
            known: RwLock::default(),
            refused_calls: AtomicU64::new(0),
            refused_unknown: AtomicU64::new(0),
        }
    }

    fn admit(&self, shown: Shown) -> Result<Option<Allowance>> {
        let key = shown.presented.digest;
        if let (Some(failures), Some(from)) = (&self.failures, outside(shown.from))
            && failures.has_any()
            && !self.is_good(key)
            && let Some(wait) = failures.wait(from)
        {
            self.refused_unknown.fetch_add(1, Ordering::Relaxed);
            return Err(ServiceError::TooManyFailedKeys(wait));
        }
        if self.calls.is_none() || shown.counted {
            return Ok(None);
        }
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        match known.get(&key).and_then(|known| known.calls.as_ref()) {
            Some(calls) => self.count(calls).map(Some),
            None => Ok(None),
        }
    }

    fn count(&self, calls: &Calls) -> Result<Allowance> {
        match calls.check() {
            Ok(state) => Ok(Allowance {
                limit: state.quota().burst_size().get(),
                remaining: state.remaining_burst_capacity(),
            }),
            Err(refused) => {
                self.refused_calls.fetch_add(1, Ordering::Relaxed);
                Err(ServiceError::RateLimited {
                    wait: refused.wait_time_from(self.time.read()),
                    limit: refused.quota().burst_size().get(),
                })
            }
        }
    }

    fn is_good(&self, key: KeyDigest) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known
            .get(&key)
            .is_some_and(|known| known.opens.load(Ordering::Relaxed))
    }

    /// The allowance of a key that was not known when its call was let in.
    fn opened(&self, key: KeyDigest) -> Option<Allowance> {
        if self.calls.is_none() && self.failures.is_none() {
            return None;
        }
        let all = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get(&key) {
            if known.idle.load(Ordering::Relaxed) > 0 {
                known.idle.store(0, Ordering::Relaxed);
            }
            if !known.opens.load(Ordering::Relaxed) {
                known.opens.store(true, Ordering::Relaxed);
            }
            return None;
        }
        drop(all);
        let mut all = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let known = all.entry(key).or_insert_with(|| Known {
            calls: self
                .calls
                .map(|quota| RateLimiter::direct_with_clock(quota, self.time.clone()).with_middleware()),
            opens: AtomicBool::new(true),
            idle: AtomicU16::new(0),
        });
        // One of several first calls that came at once may be beyond the rate: it is done already.
        known.calls.as_ref().and_then(|calls| self.count(calls).ok())
    }

    fn opened_nothing(&self, shown: Shown) {
        let Some(failures) = &self.failures else { return };
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(&shown.presented.digest) {
            known.opens.store(false, Ordering::Relaxed);
        }
        drop(known);
        if let Some(from) = outside(shown.from) {
            failures.count(from);
        }
    }

    /// Once a minute: forgets keys that were not used for a day, and addresses from which all is well again.
    pub(super) fn sweep(&self) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, known| {
            let idle = known.idle.get_mut();
            *idle = idle.saturating_add(1);
            *idle <= REMEMBERED
        });
        drop(known);
        if let Some(failures) = &self.failures {
            failures.sweep();
        }
    }

    pub(super) fn refused(&self) -> Refused {
        Refused {
            call_rate: self.refused_calls.load(Ordering::Relaxed),
            failed_keys: self.refused_unknown.load(Ordering::Relaxed),
        }
    }
}

/// The address, unless it is this machine's own.
fn outside(from: Option<IpAddr>) -> Option<IpAddr> {
    from.filter(|address| !address.is_loopback())
}

impl Directory {
    /// Lets a call in, before its key is looked up, and counts it. What is left to the key comes with it, if it is limited and
    /// was good before. Tokens are not limited here.
    ///
    /// # Errors
    ///
    /// [`ServiceError::RateLimited`]. [`ServiceError::TooManyFailedKeys`]: the address has shown too many keys that open
    /// nothing, and this one has opened nothing lately either.
    pub fn let_in(&self, shown: Shown) -> Result<Option<Allowance>> {
        match shown.presented.token {
            None => self.limits.admit(shown),
            Some(_) => Ok(None),
        }
    }

    /// Notes what the key of a call turned out to be. When it is good for the first time, what is left to it is told.
    #[must_use]
    pub fn judged(&self, shown: Shown, judgement: Judgement) -> Option<Allowance> {
        match (shown.presented.token, judgement) {
            (None, Judgement::Good) => self.limits.opened(shown.presented.digest),
            (None, Judgement::Bad) => {
                self.limits.opened_nothing(shown);
                None
            }
            (Some(_), _) | (None, Judgement::Unknown) => None,
        }
    }
}

#[cfg(test)]
mod tests;
