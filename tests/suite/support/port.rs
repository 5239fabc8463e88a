//! A port of the loopback that stays a test's own.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
};

use tokio::net::TcpSocket;

/// A port that nobody else gets, also while no server listens on it: neither as a free port nor for a connection that goes
/// out. A server that sets `SO_REUSEADDR`, as PostgreSQL and pgbouncer do, can listen on it again and again.
pub(crate) struct Port {
    /// Bound, and never listening: that keeps the port and is in no server's way.
    _held: TcpSocket,
    addr: SocketAddr,
}

impl Port {
    pub(crate) fn reserve() -> io::Result<Self> {
        let held = TcpSocket::new_v4()?;
        held.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        // After it is bound: before, it would share a port that another one holds.
        held.set_reuseaddr(true)?;
        let addr = held.local_addr()?;
        Ok(Self { _held: held, addr })
    }

    pub(crate) const fn addr(&self) -> SocketAddr {
        self.addr
    }
}
