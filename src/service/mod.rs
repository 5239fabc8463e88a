//! Use cases: what may happen, and who may ask for it.
//!
//! One file for each subject. A use case that callers reach with a key takes the key's digest first and decides by
//! itself what the key allows; those of operators take an [`Actor`] and trust it.

mod api_keys;
mod error;
mod members;
mod organizations;
mod users;

use std::sync::Arc;

pub use api_keys::CreatedApiKey;
pub use error::ServiceError;
pub use members::LinkMember;
pub use users::Ping;

use crate::{
    domain::{Actor, Clock, OsRandom, Random, SystemClock},
    storage::{Change, Storage},
};

/// The directory: all its use cases on one storage.
#[derive(Clone)]
pub struct Directory {
    storage: Arc<dyn Storage>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl Directory {
    /// On this storage, with the machine's time and randomness.
    #[must_use]
    pub fn new(storage: Arc<dyn Storage>) -> Self {
        Self::with(storage, Arc::new(SystemClock), Arc::new(OsRandom))
    }

    /// On this storage, with time and randomness from elsewhere.
    #[must_use]
    pub fn with(storage: Arc<dyn Storage>, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        Self {
            storage,
            clock,
            random,
        }
    }

    fn change(&self, actor: Actor) -> Change {
        Change {
            actor,
            at: self.clock.now(),
        }
    }
}
