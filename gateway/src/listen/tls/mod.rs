//! TLS of a listener, from files that are read again when they change.

mod files;
mod identity;

use std::{
    sync::{Arc, Mutex, PoisonError, RwLock, Weak},
    time::Duration,
};

use tokio::{
    net::TcpStream,
    signal::unix::{Signal, SignalKind, signal},
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};
use tokio_rustls::{Accept, TlsAcceptor};

use self::files::{Configs, Contents};
use crate::log_throttle::LogThrottle;

pub use self::{
    files::{TlsError, TlsFiles, authorities},
    identity::ClientIdentity,
};

/// How often the files are looked at.
const PERIOD: Duration = Duration::from_secs(2);

/// TLS that listeners share. New connections get what was read last and was good; those that are there keep what they have.
#[derive(Clone, Debug)]
pub struct Tls {
    shared: Arc<Shared>,
    asks_clients: bool,
}

#[derive(Debug)]
struct Shared {
    files: TlsFiles,
    current: RwLock<Configs>,
    last_read: Mutex<[u8; 32]>,
    log_throttle: LogThrottle,
}

impl Tls {
    /// Reads the files, and again on SIGHUP and some seconds after they have changed, for as long as there is a clone of it.
    ///
    /// # Errors
    ///
    /// They can't be used. Later that is in the log only, and what was good before stays in use.
    pub fn start(files: TlsFiles) -> Result<Self, TlsError> {
        let hangup = signal(SignalKind::hangup()).map_err(TlsError::Signal)?;
        let contents = Contents::read(&files)?;
        let shared = Arc::new(Shared {
            current: RwLock::new(contents.configs(&files)?),
            last_read: Mutex::new(contents.digest()),
            files,
            log_throttle: LogThrottle::default(),
        });
        shared.files.warn_of_readers();
        tokio::spawn(follow(Arc::downgrade(&shared), hangup));
        Ok(Self {
            shared,
            asks_clients: false,
        })
    }

    /// The same for a listener that asks each client for a certificate, if there are authorities for that.
    #[must_use]
    pub fn asking_clients(self) -> Self {
        Self {
            asks_clients: true,
            ..self
        }
    }

    /// The handshake with a client.
    pub(super) fn accept(&self, stream: TcpStream) -> Accept<TcpStream> {
        let current = self.shared.current.read().unwrap_or_else(PoisonError::into_inner);
        let config = if self.asks_clients {
            &current.asking
        } else {
            &current.open
        };
        TlsAcceptor::from(Arc::clone(config)).accept(stream)
    }
}

async fn follow(shared: Weak<Shared>, mut hangup: Signal) {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let asked = tokio::select! {
            Some(()) = hangup.recv() => true,
            _ = ticks.tick() => false,
        };
        let Some(shared) = shared.upgrade() else { return };
        // An error means that the program ends.
        let _ = spawn_blocking(move || shared.refresh(asked)).await;
    }
}

impl Shared {
    /// Reads the files, and uses them if they are others than before, or if that was asked for.
    fn refresh(&self, asked: bool) {
        let contents = match Contents::read(&self.files) {
            Ok(contents) => contents,
            Err(error) => {
                if asked || self.log_throttle.is_due() {
                    tracing::error!(%error, "TLS files can't be read: what was read before stays in use");
                }
                return;
            }
        };
        if !self.is_new(contents.digest()) && !asked {
            return;
        }
        match contents.configs(&self.files) {
            Ok(configs) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = configs;
                tracing::info!("TLS files were read again and are in use");
                self.files.warn_of_readers();
            }
            Err(error) => tracing::error!(%error, "TLS files are refused: what was read before stays in use"),
        }
    }

    fn is_new(&self, digest: [u8; 32]) -> bool {
        let mut last = self.last_read.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *last, digest) != digest
    }
}
