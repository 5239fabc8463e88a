//! The event log: reading it, and following it.

use std::{collections::VecDeque, time::Duration};

use futures_util::{Stream, stream};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

use super::{Directory, Read, Result, ServiceError, grant::Credential, watches::Place};
use crate::domain::{Event, EventQuery, Page, one_more};

/// Most events to read from the log at once. Also the most that a slow watcher keeps in memory.
const STEP: u32 = 100;

/// How long a watcher waits that is refused because much else of its organization is read.
const PAUSE: Duration = Duration::from_millis(500);

/// How often a watcher's key is looked at again.
const CHECK_KEY: Duration = Duration::from_secs(30);

/// What a watch tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// The next event. None: there is none yet.
    pub event: Option<Event>,
    /// The sequence number of the last event in the log, as far as it is known: at least that of `event`.
    pub head: i64,
}

impl Directory {
    /// A page of the organization's events, in the order asked for.
    ///
    /// # Errors
    ///
    /// Only those of the storage.
    pub async fn events(&self, grant: Read, mut query: EventQuery) -> Result<Page<Event>> {
        let limit = query.limit;
        query.limit = one_more(limit);
        let events = self.storage.events(Some(grant.organization), query).await?;
        Ok(Page::of(events, limit))
    }

    /// Every event after one, in order and without gaps: those in the log, then each as it is committed. It reads the
    /// log as fast as the events are taken and no faster. While there is none, it tells from time to time where the log
    /// ends. It ends with the first error, such as that of a key that has died.
    ///
    /// # Errors
    ///
    /// [`ServiceError::TooManyWatches`]. [`ServiceError::BeyondEnd`]: the log has no event with the number `after`.
    pub async fn watch_events(
        &self,
        grant: Read,
        credential: Credential,
        after: i64,
    ) -> Result<impl Stream<Item = Result<Watched>> + Send + use<>> {
        let place = self
            .watches
            .place(grant.organization, &credential, &self.storage)?;
        let heads = self.storage.heads(vec![grant.organization]).await?;
        let head = heads.first().map_or(0, |(_, head)| *head);
        if after > head {
            return Err(ServiceError::BeyondEnd(head));
        }
        let now = Instant::now();
        let watcher = Watcher {
            place,
            directory: self.clone(),
            grant,
            credential,
            after,
            behind: after < head,
            head,
            read: VecDeque::new(),
            check_key_at: now + CHECK_KEY,
            quiet_at: now + self.watches.limits.quiet,
        };
        Ok(stream::try_unfold(watcher, |mut watcher| async move {
            let told = watcher.next().await?;
            Ok(Some((told, watcher)))
        }))
    }
}

struct Watcher {
    directory: Directory,
    place: Place,
    grant: Read,
    credential: Credential,
    /// The last event that was told.
    after: i64,
    /// The last event that is known to be in the log.
    head: i64,
    /// Whether there may be events in the log that were not read.
    behind: bool,
    read: VecDeque<Event>,
    check_key_at: Instant,
    quiet_at: Instant,
}

impl Watcher {
    async fn next(&mut self) -> Result<Watched> {
        loop {
            if self.check_key_at <= Instant::now() {
                self.grant = self.directory.grant_read(self.credential).await?;
                self.check_key_at = Instant::now() + CHECK_KEY;
            }
            if let Some(event) = self.read.pop_front() {
                self.after = event.sequence;
                return Ok(self.tell(Some(event)));
            }
            if self.behind {
                self.read().await?;
                continue;
            }
            tokio::select! {
                changed = self.place.head.changed() => {
                    let known = *self.place.head.borrow_and_update();
                    // None: it could not be read. An error: nobody looks any more. The log will say.
                    self.behind = changed.is_err() || known.is_none_or(|head| head > self.after);
                    self.head = self.head.max(known.unwrap_or_default());
                }
                () = sleep_until(self.check_key_at) => {}
                () = sleep_until(self.quiet_at) => return Ok(self.tell(None)),
            }
        }
    }

    async fn read(&mut self) -> Result<()> {
        let query = EventQuery {
            after: self.after,
            limit: STEP,
            ..EventQuery::default()
        };
        let (turn, directory, grant) = (self.place.turn.clone(), self.directory.clone(), self.grant);
        // A task of its own, which ends with this: a watch whose client takes nothing is not polled, and would keep its
        // turn and its place among the readers.
        let mut reading = JoinSet::new();
        reading.spawn(async move {
            // It fails if the semaphore is closed, which nobody does.
            let _turn = turn.acquire_owned().await;
            directory.events(grant, query).await
        });
        let Some(events) = reading.join_next().await else {
            return Ok(());
        };
        match events.map_err(|error| ServiceError::Internal(Box::new(error)))? {
            Ok(events) => {
                self.behind = events.more;
                self.read = events.items.into();
                Ok(())
            }
            Err(ServiceError::Overloaded) => {
                sleep(PAUSE).await;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn tell(&mut self, event: Option<Event>) -> Watched {
        self.quiet_at = Instant::now() + self.directory.watches.limits.quiet;
        self.head = self.head.max(self.after);
        Watched {
            event,
            head: self.head,
        }
    }
}
