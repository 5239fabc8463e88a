//! Which runtime serves a connection.

use std::{
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{net::TcpStream, runtime::Handle};

/// The runtimes that serve connections, each of them as many as the others. Listeners with clones of one share it.
#[derive(Clone)]
pub struct Cores(Arc<[Core]>);

struct Core {
    runtime: Handle,
    connections: AtomicUsize,
}

impl Core {
    const fn new(runtime: Handle) -> Self {
        Self {
            runtime,
            connections: AtomicUsize::new(0),
        }
    }
}

impl Cores {
    /// These runtimes. None, if there are none.
    #[must_use]
    pub fn new(runtimes: impl IntoIterator<Item = Handle>) -> Option<Self> {
        let cores: Arc<[_]> = runtimes.into_iter().map(Core::new).collect();
        (!cores.is_empty()).then_some(Self(cores))
    }

    /// The runtime of the caller, and no other.
    pub(super) fn here() -> Self {
        Self(Arc::new([Core::new(Handle::current())]))
    }

    /// A place for one more connection, where there are the fewest.
    pub(super) fn place(&self) -> Place {
        let fewest = (0..self.0.len()).min_by_key(|&index| self.0[index].connections.load(Ordering::Relaxed));
        let place = Place {
            cores: self.clone(),
            index: fewest.unwrap_or_default(),
        };
        place.core().connections.fetch_add(1, Ordering::Relaxed);
        place
    }
}

impl fmt::Debug for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cores").field(&self.0.len()).finish()
    }
}

/// Where one connection is served, until this is dropped.
pub(super) struct Place {
    cores: Cores,
    index: usize,
}

impl Place {
    fn core(&self) -> &Core {
        &self.cores.0[self.index]
    }

    pub(super) fn runtime(&self) -> &Handle {
        &self.core().runtime
    }

    /// The same stream, whose events this runtime hears of.
    pub(super) fn settle(&self, stream: TcpStream) -> io::Result<TcpStream> {
        let runtime = self.runtime();
        if runtime.id() == Handle::current().id() {
            return Ok(stream);
        }
        let stream = stream.into_std()?;
        let _entered = runtime.enter();
        TcpStream::from_std(stream)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.core().connections.fetch_sub(1, Ordering::Relaxed);
    }
}
