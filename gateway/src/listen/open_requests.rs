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

/// An extension of answers that go on for as long as the client likes: they are never too old.
#[derive(Clone, Copy, Debug)]
pub struct Endless;

#[derive(Debug)]
pub(super) struct OpenRequests(Mutex<State>);

#[derive(Debug)]
struct State {
    /// When those began that are to end, in no order.
    begun: Vec<Instant>,
    endless: usize,
    /// Since when there is none, if there is none.
    quiet_since: Instant,
}

/// A request until its answer is sent. It ends when it is dropped.
pub(super) struct OpenRequest {
    connection: Arc<Connection>,
    /// None: its answer is endless.
    begun: Option<Instant>,
}

impl OpenRequests {
    pub(super) fn new() -> Self {
        Self(Mutex::new(State {
            begun: Vec::new(),
            endless: 0,
            quiet_since: Instant::now(),
        }))
    }

    /// Returns when one is older than it may be, or there was none for too long.
    pub(super) async fn overdue(&self, limits: Patience) {
        let look = limits.request.min(limits.idle) / LOOKS;
        while !self.is_overdue(limits, Instant::now()) {
            sleep(look).await;
        }
    }

    fn is_overdue(&self, limits: Patience, now: Instant) -> bool {
        let state = self.state();
        match state.begun.iter().min() {
            Some(begun) => now.duration_since(*begun) >= limits.request,
            None => state.endless == 0 && now.duration_since(state.quiet_since) >= limits.idle,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn end(&mut self, begun: Instant) {
        if let Some(place) = self.begun.iter().position(|other| *other == begun) {
            self.begun.swap_remove(place);
        }
    }
}

impl OpenRequest {
    /// One more of this connection, from now on.
    pub(super) fn begin(connection: Arc<Connection>) -> Self {
        let now = Instant::now();
        connection.requests.state().begun.push(now);
        Self {
            connection,
            begun: Some(now),
        }
    }

    /// Its answer goes on for as long as the client likes.
    pub(super) fn is_endless(&mut self) {
        if let Some(begun) = self.begun.take() {
            let mut state = self.connection.requests.state();
            state.end(begun);
            state.endless += 1;
        }
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        let mut state = self.connection.requests.state();
        match self.begun {
            Some(begun) => state.end(begun),
            None => state.endless -= 1,
        }
        if state.begun.is_empty() && state.endless == 0 {
            state.quiet_since = Instant::now();
        }
    }
}

/// How long to wait for clients.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    request: Duration,
    idle: Duration,
}

impl Patience {
    pub(super) const fn new(limits: &Limits) -> Self {
        Self {
            request: limits.request,
            idle: limits.idle,
        }
    }

    /// What the other requests of a connection that is overdue still have.
    pub(super) fn farewell(self) -> Duration {
        self.request / LOOKS
    }
}
