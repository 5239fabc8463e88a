//! Times in which the file can't be written or read: when they begin, how they are told, when to try again.

use std::{
    fmt::Display,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

use crate::domain::{Condition, Outage};

/// One line of the log in this time, however often something fails.
const SAID_EVERY: Duration = Duration::from_secs(30);

/// The first pause before it is tried again, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Writes,
    Reads,
}

/// The outages of one side, one after the other.
pub(super) struct Outages {
    side: Side,
    path: PathBuf,
    condition: watch::Sender<Condition>,
    current: Option<Current>,
    said_at: Option<Instant>,
    pause: Duration,
}

struct Current {
    outage: Outage,
    since: Instant,
    is_said: bool,
}

impl Outages {
    pub(super) fn new(side: Side, path: &Path, condition: watch::Sender<Condition>) -> Self {
        Self {
            side,
            path: path.to_owned(),
            condition,
            current: None,
            said_at: None,
            pause: FIRST_PAUSE,
        }
    }

    /// What is wrong now.
    pub(super) fn current(&self) -> Option<Outage> {
        self.current.as_ref().map(|current| current.outage)
    }

    /// Something failed, and is not to be tried before [`Self::pause`] has passed. The log hears of the first time, and
    /// every half minute while it lasts.
    pub(super) fn begin(&mut self, outage: Outage, error: &dyn Display) {
        let since = self
            .current
            .as_ref()
            .map_or_else(Instant::now, |current| current.since);
        let was_said = self.current.as_ref().is_some_and(|current| current.is_said);
        let is_said = self.say(error, since);
        self.current = Some(Current {
            outage,
            since,
            is_said: is_said || was_said,
        });
        self.tell(Some(outage));
    }

    /// Something failed that did not last. Such failures share the lines of the log with outages.
    pub(super) fn passed(&mut self, error: &dyn Display) {
        self.say(error, Instant::now());
    }

    fn say(&mut self, error: &dyn Display, since: Instant) -> bool {
        if self.said_at.is_some_and(|at| at.elapsed() < SAID_EVERY) {
            return false;
        }
        self.said_at = Some(Instant::now());
        let path = self.path.display();
        let seconds = since.elapsed().as_secs();
        match self.side {
            Side::Writes => tracing::error!(%error, %path, seconds, "the database can't be written"),
            Side::Reads => tracing::error!(%error, %path, seconds, "the database can't be read"),
        }
        true
    }

    /// It works again.
    pub(super) fn end(&mut self) {
        let Some(current) = self.current.take() else {
            return;
        };
        if current.is_said {
            let path = self.path.display();
            let seconds = current.since.elapsed().as_secs();
            match self.side {
                Side::Writes => tracing::info!(%path, seconds, "the database can be written again"),
                Side::Reads => tracing::info!(%path, seconds, "the database can be read again"),
            }
        }
        self.tell(None);
    }

    /// A caller's work succeeded: the next outage is met with the shortest pause again.
    pub(super) const fn worked(&mut self) {
        self.pause = FIRST_PAUSE;
    }

    /// How long to wait before the next attempt. Longer each time.
    pub(super) fn pause(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST_PAUSE);
        pause
    }

    fn tell(&self, outage: Option<Outage>) {
        self.condition.send_if_modified(|condition| {
            let before = *condition;
            match self.side {
                Side::Writes => condition.writes = outage,
                Side::Reads => condition.reads = outage,
            }
            *condition != before
        });
    }
}

/// Which files the connections have open: the database, its write-ahead log and that log's index. While they are open,
/// SQLite makes no others in their places.
pub(super) struct Files(Vec<(PathBuf, (u64, u64))>);

impl Files {
    /// Those that are there now. All connections must be open.
    pub(super) fn of(path: &Path) -> std::io::Result<Self> {
        let files = ["", "-wal", "-shm"].map(|suffix| {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            let path = PathBuf::from(name);
            let identity = identity(&path)?;
            Ok((path, identity))
        });
        Ok(Self(files.into_iter().collect::<std::io::Result<_>>()?))
    }

    /// That each of them is still where it was: what is written to one that is not would be gone with its last user.
    pub(super) fn check(&self) -> Result<(), Outage> {
        for (path, known) in &self.0 {
            match identity(path) {
                Ok(found) if found == *known => {}
                Ok(_) => return Err(Outage::FileReplaced),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(Outage::FileGone),
                // It can't be looked at; whether it can be written is told by writing.
                Err(_) => {}
            }
        }
        Ok(())
    }
}

/// Device and inode.
fn identity(path: &Path) -> std::io::Result<(u64, u64)> {
    let metadata = fs::metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}
