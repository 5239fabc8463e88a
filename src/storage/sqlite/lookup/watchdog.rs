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
        atomic::{AtomicBool, AtomicU32, Ordering},
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

/// A task of a runtime, and who goes on while it blocks its thread: another one, which a task that is spawned from elsewhere wakes.
pub(super) struct Watched {
    progress: Progress,
    runtime: Handle,
    standby: Option<Standby>,
    before: u32,
}

/// The thread that [`stand_by`] holds.
struct Standby {
    call: mpsc::SyncSender<()>,
    /// Whether it is held since this was asked for last.
    is_held: Arc<AtomicBool>,
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
    pub(super) const fn by_others(progress: Progress, runtime: Handle) -> Self {
        Self {
            progress,
            runtime,
            standby: None,
            before: 0,
        }
    }

    /// A task of a runtime that has two threads, of which one is held for this.
    pub(super) fn by_standby(progress: Progress, runtime: Handle) -> Self {
        let (call, calls) = mpsc::sync_channel(1);
        let is_held = Arc::new(AtomicBool::new(false));
        runtime.spawn(stand_by(calls, is_held.clone()));
        Self {
            standby: Some(Standby { call, is_held }),
            ..Self::by_others(progress, runtime)
        }
    }

    fn look(&mut self) {
        let now = self.progress.changes.load(Ordering::Relaxed);
        let is_stuck = now == self.before && now % 2 == 1;
        self.before = now;
        let mut wake = is_stuck;
        if let Some(standby) = &self.standby {
            if is_stuck {
                // It fails if the thread has not heard the last one, or ended with the runtime.
                let _ = standby.call.try_send(());
            }
            // It may have waited for the sockets until it was held, and the other one sleeps.
            wake |= standby.is_held.swap(false, Ordering::Relaxed);
        }
        if wake {
            self.runtime.spawn(async {});
        }
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
async fn stand_by(calls: mpsc::Receiver<()>, is_held: Arc<AtomicBool>) {
    loop {
        is_held.store(true, Ordering::Relaxed);
        if calls.recv().is_err() {
            return;
        }
        sleep(2 * TICK).await;
    }
}
