//! Who follows the event logs: how many may, and how they hear of what is written.
//!
//! One task looks for all of them where the watched logs end, after the commits of this process and every half second
//! for those of others. A watcher is woken only when the log of its own organization has grown.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Semaphore, watch},
    time::{Instant, sleep, timeout},
};

use super::{
    Result, ServiceError,
    grant::Credential,
    places::{KeyPlace, KeyPlaces},
};
use crate::{
    domain::OrganizationId,
    storage::{Storage, StoreError},
};

/// How often to look for what other processes have written.
const POLL: Duration = Duration::from_millis(500);

/// After a look, the next one waits this many times as long as the look took: looking takes a tenth of the time at most.
const REST: u32 = 9;

/// How many watches there may be, and how often they say something.
#[derive(Clone, Copy, Debug)]
pub struct WatchLimits {
    pub total: usize,
    /// Of one organization's events.
    pub organization: usize,
    /// Of one organization's events with one key.
    pub key: usize,
    /// How long a watch is silent before it tells where the log ends.
    pub quiet: Duration,
}

impl Default for WatchLimits {
    fn default() -> Self {
        Self {
            total: 1000,
            organization: 300,
            key: 100,
            quiet: Duration::from_secs(15),
        }
    }
}

/// All watches of one process.
pub(super) struct Watches {
    pub(super) limits: WatchLimits,
    places: KeyPlaces,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    logs: HashMap<OrganizationId, Log>,
    /// Whether the task that looks is running.
    following: bool,
}

/// A log that somebody watches.
struct Log {
    watches: usize,
    head: watch::Sender<Option<i64>>,
    turn: Arc<Semaphore>,
}

/// A watch's place. It is free again when this is dropped.
pub(super) struct Place {
    /// The sequence number of the log's last event. None: it could not be read.
    pub(super) head: watch::Receiver<Option<i64>>,
    /// One permit: the watches of an organization read its log one after the other.
    pub(super) turn: Arc<Semaphore>,
    watches: Arc<Watches>,
    organization: OrganizationId,
    _taken: KeyPlace,
}

impl Watches {
    pub(super) fn new(limits: WatchLimits) -> Self {
        Self {
            limits,
            places: KeyPlaces::new(limits.total, limits.organization, limits.key),
            state: Mutex::default(),
        }
    }

    /// How many watches there are.
    pub(super) fn count(&self) -> usize {
        self.places.count()
    }

    /// A place for a watch, which from now on hears of what is written.
    ///
    /// # Errors
    ///
    /// [`ServiceError::TooManyWatches`].
    pub(super) fn place(
        self: &Arc<Self>,
        organization: OrganizationId,
        credential: &Credential,
        storage: &Arc<dyn Storage>,
    ) -> Result<Place> {
        let place = self.places.take(organization, credential.presented.digest);
        let place = place.ok_or(ServiceError::TooManyWatches)?;
        let mut state = self.state();
        let log = state.logs.entry(organization).or_insert_with(|| Log {
            watches: 0,
            head: watch::Sender::new(None),
            turn: Arc::new(Semaphore::new(1)),
        });
        log.watches += 1;
        let place = Place {
            head: log.head.subscribe(),
            turn: log.turn.clone(),
            watches: self.clone(),
            organization,
            _taken: place,
        };
        if !std::mem::replace(&mut state.following, true) {
            tokio::spawn(self.clone().follow(storage.clone()));
        }
        Ok(place)
    }

    /// Looks where the watched logs end, until none is watched.
    async fn follow(self: Arc<Self>, storage: Arc<dyn Storage>) {
        let mut commits = storage.commits();
        while let Some(watched) = self.watched() {
            // Before the logs are read: a commit in between is seen by one of the two.
            commits.mark_unchanged();
            let begun = Instant::now();
            match storage.heads(watched).await {
                Ok(heads) => self.tell(&heads),
                Err(error) => self.tell_failure(&error),
            }
            sleep((begun.elapsed() * REST).min(POLL)).await;
            if let Ok(Err(_)) = timeout(POLL, commits.changed()).await {
                // The storage is closing, which the watchers hear when they read.
                sleep(POLL).await;
            }
        }
    }

    /// None: none is, and the task that looks is to end.
    fn watched(&self) -> Option<Vec<OrganizationId>> {
        let mut state = self.state();
        state.following = !state.logs.is_empty();
        state.following.then(|| state.logs.keys().copied().collect())
    }

    /// Wakes those whose log has grown.
    fn tell(&self, heads: &[(OrganizationId, i64)]) {
        let state = self.state();
        for (organization, head) in heads {
            if let Some(log) = state.logs.get(organization) {
                log.head.send_if_modified(|known| {
                    let grown = known.is_none_or(|known| known < *head);
                    if grown {
                        *known = Some(*head);
                    }
                    grown
                });
            }
        }
    }

    /// Wakes everybody, to read for themselves: what is wrong ends them.
    fn tell_failure(&self, error: &StoreError) {
        tracing::debug!(%error, "the ends of the watched logs could not be read");
        for log in self.state().logs.values() {
            log.head.send_replace(None);
        }
    }

    /// A thread that panicked while it held the state left it whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.watches.state();
        let Some(log) = state.logs.get_mut(&self.organization) else {
            return;
        };
        log.watches -= 1;
        if log.watches == 0 {
            state.logs.remove(&self.organization);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt as _, StreamExt as _};

    use super::*;
    use crate::domain::Presented;
    use crate::{
        domain::{Idempotency, Idempotent, LinkRequest, OrganizationName, Slug},
        service::{Admin, Directory, Read, Write},
        storage::{Migrate, connect},
    };

    async fn organization(directory: &Directory, slug: &str) -> OrganizationId {
        let (slug, name) = (Slug::new(slug).unwrap(), OrganizationName::new(slug).unwrap());
        let created = directory.create_organization(Admin::OPERATOR, slug, name, Idempotency::never());
        match created.await.unwrap() {
            Idempotent::Fresh(organization) => organization.id,
            Idempotent::Replayed(_) => unreachable!("nothing is repeated"),
        }
    }

    #[tokio::test]
    async fn only_the_watches_of_what_was_written_are_woken() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("users.db").display());
        let storage = connect(&url, Migrate::Always).await.unwrap();
        let directory = Directory::new(storage.clone());
        let acme = organization(&directory, "acme").await;
        let globex = organization(&directory, "globex").await;
        let credential = Credential {
            presented: Presented::new("any"),
            organization: None,
        };
        let watches = Arc::new(Watches::new(WatchLimits::default()));
        let place = |organization| watches.place(organization, &credential, &storage).unwrap();
        let (mut written, mut other) = (place(acme), place(globex));
        for place in [&mut written, &mut other] {
            place.head.changed().await.unwrap();
            assert_eq!(*place.head.borrow_and_update(), Some(1));
        }
        for head in [2, 3] {
            let grant = Write::operator(acme);
            let linked = directory.link_member(grant, LinkRequest::default(), Idempotency::never());
            linked.await.unwrap();
            written.head.changed().await.unwrap();
            assert_eq!(*written.head.borrow_and_update(), Some(head));
        }
        assert!(!other.head.has_changed().unwrap());
        drop((written, other));
        assert!(watches.state().logs.is_empty());
    }

    /// A stream is polled only while its client takes what it sends.
    #[tokio::test]
    async fn a_watch_that_is_left_in_the_middle_of_a_read_holds_up_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("users.db").display());
        let storage = connect(&url, Migrate::Always).await.unwrap();
        let directory = Directory::new(storage.clone());
        let acme = organization(&directory, "acme").await;
        let credential = Credential {
            presented: Presented::new("any"),
            organization: None,
        };
        let place = directory.watches.place(acme, &credential, &storage).unwrap();
        let turn = place.turn.acquire().await.unwrap();
        let watch = async || {
            let watch = directory.watch_events(Read::operator(acme), credential, 0);
            Box::pin(watch.await.unwrap())
        };
        let (mut left, mut other) = (watch().await, watch().await);
        assert!(left.next().now_or_never().is_none());
        assert!(other.next().now_or_never().is_none());
        drop(turn);
        let told = timeout(Duration::from_secs(25), other.next()).await;
        let told = told.expect("it waits for the one that is left").unwrap().unwrap();
        assert_eq!(told.event.unwrap().sequence, 1);
    }
}
