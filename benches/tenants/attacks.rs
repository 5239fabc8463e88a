//! The load of organization X.

use std::{
    fmt,
    ops::AddAssign,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::task::JoinSet;
use tokio_stream::StreamExt as _;

use crate::{
    Result,
    calls::{accepted, feedier_update, feedier_url, head, new_address},
    directory::{Directory, clients, with_key},
    proto::{LinkMemberRequest, ListMembersRequest, WatchEventsRequest},
};

/// Streams on one connection: the server allows 256.
const STREAMS: usize = 50;

/// How long a refused caller waits before it calls again.
const PAUSE: Duration = Duration::from_millis(10);

/// A kind of load, and how much of it.
#[derive(Clone, Copy)]
pub(crate) enum Attack {
    /// Watches of X's events, of which there are none.
    Watchers(usize),
    /// Callers who list members by a hundred parts of names that no index finds and nobody has, and count them.
    Scans(usize),
    /// Callers who link new members.
    Links(usize),
    /// Callers who change one and the same user over Feedier's contract.
    FeedierUpdates(usize),
}

impl fmt::Display for Attack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Watchers(count) => write!(f, "{count} idle watchers"),
            Self::Scans(count) => write!(f, "{count} scanning callers"),
            Self::Links(count) => write!(f, "{count} linking callers"),
            Self::FeedierUpdates(count) => write!(f, "{count} updates of one user"),
        }
    }
}

#[derive(Default)]
pub(crate) struct Done {
    pub(crate) done: u64,
    pub(crate) refused: u64,
}

impl AddAssign for Done {
    fn add_assign(&mut self, other: Self) {
        self.done += other.done;
        self.refused += other.refused;
    }
}

#[derive(Default)]
struct Counters {
    done: AtomicU64,
    refused: AtomicU64,
}

impl Counters {
    /// Counts an answer, and waits after a refusal.
    async fn note(&self, accepted: bool) {
        if accepted {
            self.done.fetch_add(1, Ordering::Relaxed);
        } else {
            self.refused.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Load that goes on until it is stopped.
pub(crate) struct Running {
    tasks: JoinSet<Result<()>>,
    counters: Arc<Counters>,
}

impl Running {
    pub(crate) async fn stop(mut self) -> Done {
        self.tasks.shutdown().await;
        Done {
            done: self.counters.done.load(Ordering::Relaxed),
            refused: self.counters.refused.load(Ordering::Relaxed),
        }
    }
}

impl Attack {
    pub(crate) async fn start(self, directory: &Directory) -> Result<Running> {
        let mut running = Running {
            tasks: JoinSet::new(),
            counters: Arc::default(),
        };
        match self {
            Self::Watchers(count) => watchers(directory, count, &mut running).await?,
            Self::Scans(count) => scans(directory, count, &mut running)?,
            Self::Links(count) => links(directory, count, &mut running)?,
            Self::FeedierUpdates(count) => feedier_updates(directory, count, &mut running),
        }
        Ok(running)
    }
}

/// Returns when all streams are open or refused.
async fn watchers(directory: &Directory, count: usize, running: &mut Running) -> Result<()> {
    let (mut events, _) = clients(directory)?;
    let after_sequence = head(&mut events, &directory.x).await?;
    let keys = directory.x.keys.iter().cycle();
    for (index, key) in (0..count).zip(keys) {
        if index % STREAMS == 0 {
            (events, _) = clients(directory)?;
        }
        let opened = events.watch_events(with_key(WatchEventsRequest { after_sequence }, key)?);
        match opened.await {
            Ok(stream) => {
                running.counters.note(true).await;
                let mut stream = stream.into_inner();
                running.tasks.spawn(async move {
                    while let Some(message) = stream.next().await {
                        message?;
                    }
                    Ok(())
                });
            }
            Err(status) => {
                accepted(Err::<(), _>(status))?;
                running.counters.refused.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
    Ok(())
}

fn scans(directory: &Directory, count: usize, running: &mut Running) -> Result<()> {
    // Two letters are too few for the index, and nobody has a z or a q.
    let name_parts: Vec<String> = ["z", "q"]
        .into_iter()
        .flat_map(|letter| {
            ('a'..='z').flat_map(move |other| [format!("{letter}{other}"), format!("{other}{letter}")])
        })
        .take(100)
        .collect();
    for _ in 0..count {
        let (_, mut members) = clients(directory)?;
        let (x, name_parts, counters) = (directory.x.clone(), name_parts.clone(), running.counters.clone());
        running.tasks.spawn(async move {
            loop {
                let request = x.request(ListMembersRequest {
                    name_parts: name_parts.clone(),
                    with_total: true,
                    ..ListMembersRequest::default()
                })?;
                counters
                    .note(accepted(members.list_members(request).await)?)
                    .await;
            }
        });
    }
    Ok(())
}

fn links(directory: &Directory, count: usize, running: &mut Running) -> Result<()> {
    let (_, mut members) = clients(directory)?;
    for index in 0..count {
        if index % STREAMS == 0 {
            (_, members) = clients(directory)?;
        }
        let (mut members, x, counters) = (members.clone(), directory.x.clone(), running.counters.clone());
        running.tasks.spawn(async move {
            loop {
                let request = x.request(LinkMemberRequest {
                    email: Some(new_address()),
                    ..LinkMemberRequest::default()
                })?;
                counters.note(accepted(members.link_member(request).await)?).await;
            }
        });
    }
    Ok(())
}

fn feedier_updates(directory: &Directory, count: usize, running: &mut Running) {
    let url = feedier_url(directory, &directory.x);
    for (_, key) in (0..count).zip(directory.x.keys.iter().cycle()) {
        let (url, key, counters) = (url.clone(), key.clone(), running.counters.clone());
        running.tasks.spawn(async move {
            let http = reqwest::Client::new();
            loop {
                counters.note(feedier_update(&http, &url, &key).await?).await;
            }
        });
    }
}
