//! The requests of one connection, and since when each is there: who takes too long is cut, and who wants nothing any more is sent
//! away.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::{Limits, connection::Connection};

/// How often it is looked whether a request is too old, or all are gone: so many times in the shortest of the times.
const LOOKS: u32 = 4;

/// An extension of answers that may take longer than requests may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endless {
    /// For as long as the client likes: they are never too old.
    Always,
    /// For as long as the client takes what comes: they are too old when it has taken nothing for a while.
    WhileTaken,
}

#[derive(Debug)]
pub(super) struct OpenRequests {
    patience: Patience,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// By when those are to end that have to, in no order.
    ends: Vec<Instant>,
    endless: usize,
    /// Since when there is none, if there is none.
    quiet_since: Instant,
}

/// A request until its answer is sent. It ends when it is dropped.
pub(super) struct OpenRequest {
    connection: Arc<Connection>,
    /// By when it is to end. None: its answer is endless, or waits for what the server does.
    end: Option<Instant>,
    endless: Option<Endless>,
}

impl OpenRequests {
    pub(super) fn new(patience: Patience) -> Self {
        let state = State {
            ends: Vec::new(),
            endless: 0,
            quiet_since: Instant::now(),
        };
        Self {
            patience,
            state: Mutex::new(state),
        }
    }

    /// Returns when one is older than it may be, or there was none for too long.
    pub(super) async fn overdue(&self) {
        let Patience {
            request,
            untaken,
            idle,
        } = self.patience;
        let look = request.min(untaken).min(idle) / LOOKS;
        while !self.is_overdue(Instant::now()) {
            sleep(look).await;
        }
    }

    fn is_overdue(&self, now: Instant) -> bool {
        let state = self.state();
        match state.ends.iter().min() {
            Some(end) => now >= *end,
            None => state.endless == 0 && now.duration_since(state.quiet_since) >= self.patience.idle,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, end: Option<Instant>) {
        match end {
            Some(end) => self.ends.push(end),
            None => self.endless += 1,
        }
    }

    fn remove(&mut self, end: Option<Instant>) {
        let Some(end) = end else {
            self.endless -= 1;
            return;
        };
        if let Some(place) = self.ends.iter().position(|other| *other == end) {
            self.ends.swap_remove(place);
        }
    }
}

impl OpenRequest {
    /// One more of this connection, from now on.
    pub(super) fn begin(connection: Arc<Connection>) -> Self {
        let end = Some(Instant::now() + connection.requests.patience.request);
        connection.requests.state().add(end);
        Self {
            connection,
            end,
            endless: None,
        }
    }

    /// Its answer has begun, and may go on for so long.
    pub(super) fn is_endless(&mut self, endless: Endless) {
        self.endless = Some(endless);
        match endless {
            Endless::Always => self.end_by(None),
            Endless::WhileTaken => self.end_by(Some(self.untaken())),
        }
    }

    /// Somebody has asked for more of its answer, which there was or was not: the one who is waited for then is the client, or the
    /// server.
    pub(super) fn is_taken(&mut self, more: bool) {
        if self.endless == Some(Endless::WhileTaken) {
            self.end_by(more.then(|| self.untaken()));
        }
    }

    /// By when the client is to take something.
    fn untaken(&self) -> Instant {
        Instant::now() + self.connection.requests.patience.untaken
    }

    fn end_by(&mut self, end: Option<Instant>) {
        let mut state = self.connection.requests.state();
        state.remove(self.end);
        state.add(end);
        self.end = end;
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        let mut state = self.connection.requests.state();
        state.remove(self.end);
        if state.ends.is_empty() && state.endless == 0 {
            state.quiet_since = Instant::now();
        }
    }
}

/// How long to wait for clients.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    request: Duration,
    untaken: Duration,
    idle: Duration,
}

impl Patience {
    pub(super) const fn new(limits: &Limits) -> Self {
        Self {
            request: limits.request,
            untaken: limits.untaken,
            idle: limits.idle,
        }
    }

    /// What the other requests of a connection that is overdue still have.
    pub(super) fn farewell(self) -> Duration {
        self.request / LOOKS
    }
}
