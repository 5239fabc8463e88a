//! Runtimes that serve connections: one for each core, so that what a request needs is done where its connection is.
//!
//! Where the threads of one runtime take each other's tasks, they do so several times a request, and wait for each other's caches.

use std::{
    io,
    num::NonZero,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use tokio::{
    runtime::{Builder, Handle, Runtime},
    time::sleep,
};

use crate::storage;

/// So many at most: each has a connection to the file, and what that keeps in memory.
const MOST: usize = 16;

/// One thread works. The other is held until that one waits for the disk (`storage/sqlite/lookup/watchdog.rs`).
const THREADS: usize = 2;

/// The longest that all threads may take to start.
const START: Duration = Duration::from_secs(5);

/// Less than any request may take. A clock that is due sooner than all others wakes its thread once more, by a call of the system.
const CLOCK: Duration = Duration::from_secs(1);

/// The runtimes. They end when this is dropped, with all that they run.
pub(crate) struct Workers(Vec<Runtime>);

impl Workers {
    /// As many as there are cores, up to 16, if the database at a URL is read in this process. What another answers comes to one runtime, which
    /// then serves the connections as well: then there are none.
    ///
    /// # Errors
    ///
    /// The operating system gives no thread or no descriptor.
    pub(crate) fn for_database(url: &str) -> io::Result<Self> {
        let cores = if storage::is_embedded(url) {
            thread::available_parallelism().map_or(1, NonZero::get).min(MOST)
        } else {
            0
        };
        let mut workers = Self(Vec::with_capacity(cores));
        let end = Instant::now() + START;
        for index in 0..cores {
            let (started, starts) = mpsc::channel();
            workers.0.push(worker(index, started)?);
            for _ in 0..THREADS {
                // With one thread, tokio says nothing of others that could not be started.
                let left = end.saturating_duration_since(Instant::now());
                starts.recv_timeout(left).map_err(io::Error::other)?;
            }
        }
        Ok(workers)
    }

    pub(crate) fn runtimes(&self) -> Vec<Handle> {
        self.0.iter().map(|runtime| runtime.handle().clone()).collect()
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        for runtime in self.0.drain(..) {
            // Its threads can't be waited for by a task.
            runtime.shutdown_background();
        }
    }
}

/// Each of its threads says that it has started.
fn worker(index: usize, started: mpsc::Sender<()>) -> io::Result<Runtime> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(THREADS)
        // Nobody listens any more to threads for what blocks, which come later.
        .on_thread_start(move || {
            let _ = started.send(());
        })
        .thread_name(format!("worker-{index}"))
        .enable_all()
        .build()?;
    runtime.spawn(async {
        loop {
            sleep(CLOCK).await;
        }
    });
    Ok(runtime)
}
