//! Keeps the runtime going while the disk lets a look-up wait.
//!
//! One thread of the runtime at a time waits for sockets and clocks, and while it runs tasks, nobody does. That it should be
//! relieved it finds out between two tasks. So where one blocks, and the other threads sleep because there was nothing for
//! them, no socket is read and no deadline ends until the disk answers. A task that is spawned from elsewhere wakes one of
//! them, which then waits in its place.

use std::{
    convert::Infallible,
    io,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use tokio::runtime::Handle;

/// How often it looks. What has gone on since the last time wakes another thread, so others wait twice as long at most.
const TICK: Duration = Duration::from_millis(20);

/// A thread that looks at what one task does, and ends when this is dropped. To be looked at costs the task two additions.
pub(super) struct Watchdog {
    /// How often anything has begun or ended: odd while it goes on.
    changes: Arc<AtomicU32>,
    _alive: mpsc::Sender<Infallible>,
}

impl Watchdog {
    /// Of the runtime that this is called from.
    ///
    /// # Errors
    ///
    /// The operating system gives no thread.
    pub(super) fn start() -> io::Result<Self> {
        let changes = Arc::new(AtomicU32::new(0));
        let (alive, end) = mpsc::channel();
        let (runtime, seen) = (Handle::current(), changes.clone());
        thread::Builder::new()
            .name("lookup-watchdog".to_owned())
            .spawn(move || watch(&runtime, &seen, &end))?;
        Ok(Self {
            changes,
            _alive: alive,
        })
    }

    /// Something begins that may block.
    pub(super) fn begin(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
    }

    /// It has ended.
    pub(super) fn end(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
    }
}

fn watch(runtime: &Handle, changes: &AtomicU32, end: &mpsc::Receiver<Infallible>) {
    let mut before = 0;
    while end.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
        let now = changes.load(Ordering::Relaxed);
        if now == before && now % 2 == 1 {
            runtime.spawn(async {});
        }
        before = now;
    }
}
