//! What the programs that serve have in common: flags, and the signals that end them.

mod tls;

use std::{
    io,
    net::SocketAddr,
    num::{NonZeroU32, NonZeroUsize},
    time::Duration,
};

use clap::Args;
use rustix::process;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::listen::{ConnectionLimit, Limits, WORKING};

pub use self::tls::{ProxyFlags, TlsFlags};

/// Flags of every program that serves JSON.
#[derive(Args, Clone, Copy, Debug)]
pub struct ServeFlags {
    /// Address for JSON; port 0 takes a free one.
    #[arg(
        long,
        env = "USERBRIDGE_HTTP_ADDR",
        value_name = "ADDR",
        default_value = "127.0.0.1:8080"
    )]
    pub http_addr: SocketAddr,
    /// Most connections at once, to all addresses together. One client address gets half of them.
    #[arg(
        long,
        env = "USERBRIDGE_MAX_CONNECTIONS",
        value_name = "NUMBER",
        default_value = "4096"
    )]
    max_connections: NonZeroUsize,
    /// Most requests that are worked on at once, for each address. One more is answered with 503, in gRPC with UNAVAILABLE.
    #[arg(
        long,
        env = "USERBRIDGE_MAX_REQUESTS",
        value_name = "NUMBER",
        default_value_t = NonZeroUsize::MIN.saturating_add(WORKING - 1)
    )]
    max_requests: NonZeroUsize,
    /// Seconds that a request may take until its answer is read, but for streams of gRPC. Then its connection is closed.
    #[arg(
        long,
        env = "USERBRIDGE_REQUEST_SECONDS",
        value_name = "SECONDS",
        default_value = "120"
    )]
    request_seconds: NonZeroU32,
    /// Seconds that a connection may be without a request. It is closed then.
    #[arg(
        long,
        env = "USERBRIDGE_IDLE_SECONDS",
        value_name = "SECONDS",
        default_value = "300"
    )]
    idle_seconds: NonZeroU32,
    /// Seconds that requests in flight have to finish after SIGTERM. A second SIGTERM ends at once.
    #[arg(
        long,
        env = "USERBRIDGE_DRAIN_SECONDS",
        value_name = "SECONDS",
        default_value_t = 20
    )]
    drain_seconds: u64,
    /// Seconds after SIGTERM in which requests are accepted as before while readiness says that there is no more, so that
    /// whoever balances the load goes elsewhere first.
    #[arg(
        long,
        env = "USERBRIDGE_LAME_DUCK_SECONDS",
        value_name = "SECONDS",
        default_value_t = 0
    )]
    lame_duck_seconds: u64,
}

impl ServeFlags {
    /// Within what the process may open.
    #[must_use]
    pub fn limits(&self) -> Limits {
        let connections = ConnectionLimit::within_open_files(self.max_connections.get());
        Limits {
            working: self.max_requests.get(),
            request: Duration::from_secs(self.request_seconds.get().into()),
            idle: Duration::from_secs(self.idle_seconds.get().into()),
            ..Limits::new(connections)
        }
    }

    /// How long requests are accepted after readiness has turned.
    #[must_use]
    pub const fn lame_duck(&self) -> Duration {
        Duration::from_secs(self.lame_duck_seconds)
    }

    /// How long requests in flight have to finish.
    #[must_use]
    pub const fn drain_timeout(&self) -> Duration {
        Duration::from_secs(self.drain_seconds)
    }
}

/// What would be written beyond a limit of the size of files (`ulimit -f`) fails from then on, as on a full disk, and does not end the
/// process. Needs the runtime.
///
/// # Errors
///
/// The system takes no handler.
pub fn outlive_file_limits() -> io::Result<()> {
    let signal = signal(SignalKind::from_raw(process::Signal::XFSZ.as_raw()))?;
    // Taken once, it no longer ends the process, whether somebody looks at it or not.
    drop(signal);
    Ok(())
}

/// SIGTERM and SIGINT, from when this is made. SIGHUP ends nothing from then on: see [`crate::listen::Tls`].
#[derive(Debug)]
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// # Errors
    ///
    /// The system takes no handler.
    pub fn listen() -> io::Result<Self> {
        // Taken once, it no longer ends the process, whether somebody looks at it or not.
        let _ = signal(SignalKind::hangup())?;
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next signal.
    pub async fn recv(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Waits for a signal, then for `shutdown`, which only begins then. A second signal cuts it.
    pub async fn shutdown_with(mut self, shutdown: impl Future<Output = ()>) {
        self.recv().await;
        tracing::info!("stopping");
        tokio::select! {
            () = shutdown => {}
            () = self.recv() => tracing::warn!("told a second time: ended at once"),
        }
    }
}
