//! Sockets that listen already when the program starts: a service manager has opened them (`LISTEN_FDS`, `sd_listen_fds(3)`), and
//! they stay when the program is replaced, with whoever waits to be accepted.

use std::{
    io,
    net::{SocketAddr, TcpListener as StdListener},
};

use listenfd::ListenFd;
use tokio::net::TcpListener;

/// Those that were handed over and not yet taken.
#[derive(Debug, Default)]
pub struct Sockets(Vec<(SocketAddr, StdListener)>);

impl Sockets {
    /// Those of this process. Asked a second time there are none.
    ///
    /// # Errors
    ///
    /// One of them is no socket of TCP that listens.
    pub fn inherited() -> io::Result<Self> {
        let mut inherited = ListenFd::from_env();
        let mut sockets = Vec::new();
        for index in 0..inherited.len() {
            if let Some(socket) = inherited.take_tcp_listener(index)? {
                socket.set_nonblocking(true)?;
                sockets.push((socket.local_addr()?, socket));
            }
        }
        Ok(Self(sockets))
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Listens on an address: by the socket that was handed over for it, or else by a new one.
    ///
    /// # Errors
    ///
    /// The address can't be listened on.
    pub async fn listen(&mut self, addr: SocketAddr) -> io::Result<TcpListener> {
        match self.0.iter().position(|(of, _)| *of == addr) {
            Some(index) => TcpListener::from_std(self.0.swap_remove(index).1),
            None => TcpListener::bind(addr).await,
        }
    }

    /// The addresses of those that nobody has taken. Clients that connect there would wait for ever.
    pub fn rest(&self) -> impl Iterator<Item = SocketAddr> {
        self.0.iter().map(|(addr, _)| *addr)
    }
}
