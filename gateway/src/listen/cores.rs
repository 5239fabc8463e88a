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

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncReadExt as _, net::TcpListener, runtime::Runtime};

    use super::*;

    #[tokio::test]
    async fn a_connection_is_served_where_the_fewest_are() {
        let cores = Cores::new([Handle::current(), Handle::current()]).unwrap();
        let (first, second, third) = (cores.place(), cores.place(), cores.place());
        assert_eq!([first.index, second.index, third.index], [0, 1, 0]);
        drop(second);
        assert_eq!(cores.place().index, 1);
        drop((first, third));
        assert_eq!(cores.place().index, 0);
        assert_eq!(cores.place().index, 0, "that one has ended");
    }

    #[test]
    fn a_stream_is_read_in_the_runtime_of_its_place() {
        let [accepting, serving] = [(); 2].map(|()| Runtime::new().unwrap());
        let cores = Cores::new([serving.handle().clone()]).unwrap();
        let place = cores.place();
        let (mut settled, peer) = accepting.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (accepted, _) = listener.accept().await.unwrap();
            (place.settle(accepted).unwrap(), peer)
        });
        // Nothing that it needs is left behind.
        drop(accepting);
        drop(peer);
        let read = place
            .runtime()
            .spawn(async move { settled.read(&mut [0; 1]).await });
        assert_eq!(serving.block_on(read).unwrap().unwrap(), 0);
    }
}
