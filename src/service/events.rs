//! The event log: reading it, and following it.

use std::{collections::VecDeque, time::Duration};

use futures_util::{Stream, stream};
use tokio::{sync::watch, time::Instant};

use super::{Directory, Read, ServiceError, grant::Credential};
use crate::{domain::Event, storage::EventQuery};

/// Most events to read from the log at once. Also the most that a slow watcher keeps in memory.
const STEP: u32 = 500;

/// How often a watcher looks for what other processes have written.
const POLL: Duration = Duration::from_millis(500);

/// How often a watcher's key is looked at again.
const CHECK_KEY: Duration = Duration::from_secs(30);

impl Directory {
    /// The organization's events in order.
    ///
    /// # Errors
    ///
    /// Only those of the storage.
    pub async fn events(&self, grant: Read, query: EventQuery) -> Result<Vec<Event>, ServiceError> {
        Ok(self.storage.events(Some(grant.organization), query).await?)
    }

    /// Every event after one, in order and without gaps: those in the log, then each as it is committed. It reads the
    /// log as fast as the events are taken and no faster. It ends with the first error, such as that of a key that has
    /// died.
    pub fn watch_events(
        &self,
        grant: Read,
        credential: Credential,
        after: i64,
    ) -> impl Stream<Item = Result<Event, ServiceError>> + Send + use<> {
        let watcher = Watcher {
            commits: self.storage.commits(),
            directory: self.clone(),
            grant,
            credential,
            after,
            read: VecDeque::new(),
            check_key_at: Instant::now() + CHECK_KEY,
        };
        stream::try_unfold(watcher, |mut watcher| async move {
            let event = watcher.next().await?;
            Ok(Some((event, watcher)))
        })
    }
}

struct Watcher {
    directory: Directory,
    grant: Read,
    credential: Credential,
    after: i64,
    read: VecDeque<Event>,
    commits: watch::Receiver<u64>,
    check_key_at: Instant,
}

impl Watcher {
    async fn next(&mut self) -> Result<Event, ServiceError> {
        loop {
            if self.check_key_at <= Instant::now() {
                self.grant = self.directory.grant_read(self.credential).await?;
                self.check_key_at = Instant::now() + CHECK_KEY;
            }
            if let Some(event) = self.read.pop_front() {
                self.after = event.sequence;
                return Ok(event);
            }
            // Before the log is read: a commit in between is seen by one of the two.
            self.commits.mark_unchanged();
            let query = EventQuery {
                after: self.after,
                limit: STEP,
                ..EventQuery::default()
            };
            self.read = self.directory.events(self.grant, query).await?.into();
            if self.read.is_empty() {
                // An error means that the storage is closing, which the next read will say.
                let _ = tokio::time::timeout(POLL, self.commits.changed()).await;
            }
        }
    }
}
