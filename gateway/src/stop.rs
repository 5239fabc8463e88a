//! When a program is told to stop: the signals that do, and those that don't.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGTERM and SIGINT, from when this is made. SIGHUP is ignored from then on.
#[derive(Debug)]
pub struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    /// Takes the signals.
    ///
    /// # Errors
    ///
    /// The system does not give them.
    pub fn listen() -> io::Result<Self> {
        // Taken once, it no longer ends the process, whether somebody looks at it or not.
        let _ = signal(SignalKind::hangup())?;
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next signal. The first asks to end in order, a second to end at once.
    pub async fn told(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
