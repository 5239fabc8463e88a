//! The time before a drain, in which clients are to go elsewhere.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Whether the program is about to stop. Clones are one. While it is set everything is answered as before, but who keeps a
/// connection of HTTP/1.1 open is told with the answer that it ends: so none ends in the moment in which its next request is on
/// its way.
#[derive(Clone, Debug, Default)]
pub struct Leaving(Arc<AtomicBool>);

impl Leaving {
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
