//! Keeps runtimes going while the disk lets a look-up wait.
//!
//! One thread of a runtime at a time waits for sockets and clocks, and while it runs tasks, nobody does. That it should be
//! relieved it finds out between two tasks. So where one blocks, and the other threads sleep because there was nothing for
//! them, no socket is read and no deadline ends until the disk answers.

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

use tokio::{runtime::Handle, time::sleep};

/// How often it looks. What has gone on since the last time brings another thread, so others wait twice as long at most.
const TICK: Duration = Duration::from_millis(20);

/// A thread that looks at what some tasks do, and ends when this is dropped.
pub(super) struct Watchdog {
    _alive: mpsc::Sender<Infallible>,
}

/// What one task does. To be looked at costs the task two additions.
#[derive(Clone, Default)]
pub(super) struct Progress {
    /// How often anything has begun or ended: odd while it goes on.
    changes: Arc<AtomicU32>,
}

/// A task, and who goes on while it blocks its thread.
pub(super) struct Watched {
    progress: Progress,
    relief: Relief,
    before: u32,
}

enum Relief {
    /// Another thread of this runtime, which a task that is spawned from elsewhere wakes.
    Any(Handle),
    /// The thread that [`stand_by`] holds.
    Standby(mpsc::Sender<()>),
}

impl Progress {
    /// Something begins that may block.
    pub(super) fn begin(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
    }

    /// It has ended.
    pub(super) fn end(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
    }
}

impl Watched {
    /// A task of a runtime whose other threads sleep while there is nothing for them.
    pub(super) fn by_others(progress: Progress, runtime: Handle) -> Self {
        Self::new(progress, Relief::Any(runtime))
    }

    /// A task of a runtime that has two threads, of which one is held for this.
    pub(super) fn by_standby(progress: Progress, runtime: &Handle) -> Self {
        let (call, calls) = mpsc::channel();
        runtime.spawn(stand_by(calls));
        Self::new(progress, Relief::Standby(call))
    }

    const fn new(progress: Progress, relief: Relief) -> Self {
        Self {
            progress,
            relief,
            before: 0,
        }
    }

    fn look(&mut self) {
        let now = self.progress.changes.load(Ordering::Relaxed);
        if now == self.before && now % 2 == 1 {
            match &self.relief {
                Relief::Any(runtime) => {
                    runtime.spawn(async {});
                }
                // It ends with the runtime.
                Relief::Standby(call) => drop(call.send(())),
            }
        }
        self.before = now;
    }
}

impl Watchdog {
    /// # Errors
    ///
    /// The operating system gives no thread.
    pub(super) fn start(mut watched: Vec<Watched>) -> io::Result<Self> {
        let (alive, end) = mpsc::channel::<Infallible>();
        thread::Builder::new()
            .name("lookup-watchdog".to_owned())
            .spawn(move || {
                while end.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                    watched.iter_mut().for_each(Watched::look);
                }
            })?;
        Ok(Self { _alive: alive })
    }
}

/// Holds the thread that it runs on, so that the other has no rival for its tasks, until that one blocks: then this one serves in
/// its place, as long as there are calls. It ends when nobody can call any more.
async fn stand_by(calls: mpsc::Receiver<()>) {
    while calls.recv().is_ok() {
        while calls.try_recv().is_ok() {}
        sleep(2 * TICK).await;
    }
}
