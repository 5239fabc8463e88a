//! Use cases: what may happen, and who may ask for it.
//!
//! One file for each subject: methods of [`Directory`], each with the grant that its caller must have, and under them the
//! [`rules`] that they run in a transaction. `grant` gives grants, for a key or a session that allows it and to the operator; `acting` judges members who act
//! themselves, inside each change. Only the
//! published contract (`users`) judges the key itself, because there the key and the user are found in one step.
//!
//! To add a change: its rule, a method that runs it, a line in [`rules`], and cases in `tests/suite/storage/`.

mod acting;
mod api_keys;
mod credentials;
mod error;
mod events;
mod grant;
mod idempotency;
mod last_used;
mod limits;
mod mails;
mod maintenance;
mod members;
mod organizations;
mod places;
mod readiness;
pub mod rules;
mod sessions;
mod teams;
mod users;
mod watches;

use std::sync::Arc;

use tokio::sync::{Notify, watch};

pub use api_keys::{CreatedApiKey, Expiry, MAX_OVERLAP};
pub use credentials::{Attempt, IssuedToken, PasswordLink, Verified};
pub use error::{Result, ServiceError};
pub use events::Watched;
pub use grant::{Access, Admin, Area, Caller, Credential, Read, Write};
pub use limits::{Allowance, CallLimits, CallRate, Judgement, Refused, Shown};
pub use mails::{Claim, Letter, Retries};
pub use members::{AllPlace, Batch, ExportPlace, Exported, Imported, MemberPage, Rejection};
pub use places::KeyPlace;
pub(crate) use places::Places;
pub use sessions::{OpenedSession, Session};
pub use users::Ping;
pub use watches::WatchLimits;

use self::{
    credentials::{Hasher, Throttle},
    last_used::LastUsed,
    limits::KeyLimits,
    places::KeyPlaces,
    readiness::Readiness,
    watches::Watches,
};
use crate::{
    domain::{Author, Change, Clock, Condition, OsRandom, Random, Source, SystemClock, Timestamp},
    storage::{Storage, shares::Shares},
};

/// The directory: all its use cases on one storage.
#[derive(Clone)]
pub struct Directory {
    storage: Arc<dyn Storage>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    last_used: Arc<LastUsed>,
    watches: Arc<Watches>,
    /// Told when a mail may have been queued.
    mail_queued: Arc<Notify>,
    hasher: Arc<Hasher>,
    imports: Arc<Shares>,
    transfers: Arc<KeyPlaces>,
    throttle: Arc<Throttle>,
    limits: Arc<KeyLimits>,
    readiness: Arc<Readiness>,
}

/// What waits in a directory, and who is there, at a moment.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Passwords that are being hashed, and those that wait for it.
    pub hashes_running: usize,
    pub hashes_waiting: usize,
    /// Times of last use that are not written down yet.
    pub times_waiting: usize,
    /// Callers who follow an event log.
    pub watches: usize,
    /// Calls that were refused because there were too many.
    pub refused: Refused,
}

impl Directory {
    /// On this storage, with the machine's time and randomness.
    #[must_use]
    pub fn new(storage: Arc<dyn Storage>) -> Self {
        Self::with(storage, Arc::new(SystemClock), Arc::new(OsRandom))
    }

    /// On this storage, with time and randomness from elsewhere.
    #[must_use]
    pub fn with(storage: Arc<dyn Storage>, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        let throttle = Arc::new(Throttle::new(&clock));
        let limits = Arc::new(KeyLimits::new(CallLimits::default(), &clock));
        Self {
            storage,
            clock,
            random,
            last_used: Arc::default(),
            watches: Arc::new(Watches::new(WatchLimits::default())),
            mail_queued: Arc::default(),
            hasher: Arc::default(),
            imports: Arc::new(Shares::new(members::IMPORTS)),
            transfers: Arc::new(KeyPlaces::new(64, 16, 8)),
            throttle,
            limits,
            readiness: Arc::default(),
        }
    }

    /// The same with these limits for those who follow events.
    #[must_use]
    pub fn with_watch_limits(self, limits: WatchLimits) -> Self {
        Self {
            watches: Arc::new(Watches::new(limits)),
            ..self
        }
    }

    /// The same with these limits for those who call.
    #[must_use]
    pub fn with_call_limits(self, limits: CallLimits) -> Self {
        Self {
            limits: Arc::new(KeyLimits::new(limits, &self.clock)),
            ..self
        }
    }

    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What the storage can't do at present.
    #[must_use]
    pub fn condition(&self) -> watch::Receiver<Condition> {
        self.storage.condition()
    }

    /// What waits, and who is there, now.
    #[must_use]
    pub fn load(&self) -> Load {
        let (hashes_running, hashes_waiting) = self.hasher.load();
        Load {
            hashes_running,
            hashes_waiting,
            times_waiting: self.last_used.waiting(),
            watches: self.watches.count(),
            refused: self.limits.refused(),
        }
    }

    /// Is told when this process may have queued a mail.
    #[must_use]
    pub fn mail_queued(&self) -> Arc<Notify> {
        self.mail_queued.clone()
    }

    fn change(&self, author: impl Into<Author>) -> Change {
        self.change_from(author, None)
    }

    fn change_from(&self, author: impl Into<Author>, source: Option<Source>) -> Change {
        let Author { actor, client } = author.into();
        Change {
            actor,
            client,
            at: self.clock.now(),
            source,
        }
    }
}
