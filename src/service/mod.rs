//! Use cases: what may happen, and who may ask for it.
//!
//! One file for each subject. A use case takes the grant it needs: leave to read or change one organization's directory,
//! or to manage. [`Directory`] gives grants to keys, and the command line has the operator's. Those of the published
//! contract take the key's digest and decide by themselves.

mod api_keys;
mod error;
mod grant;
mod members;
mod organizations;
mod teams;
mod touches;
mod users;

use std::sync::Arc;

pub use api_keys::CreatedApiKey;
pub use error::ServiceError;
pub use grant::{Admin, Credential, Read, Write};
pub use members::LinkMember;
pub use organizations::OrganizationKey;
pub use users::Ping;

use self::touches::Touches;
use crate::{
    domain::{Actor, Clock, OsRandom, Random, SystemClock, Timestamp},
    storage::{Change, Storage},
};

/// The directory: all its use cases on one storage.
#[derive(Clone)]
pub struct Directory {
    storage: Arc<dyn Storage>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    touches: Arc<Touches>,
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
            touches: Arc::default(),
        }
    }

    /// The directory's time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn change(&self, actor: Actor) -> Change {
        Change {
            actor,
            at: self.clock.now(),
            source: None,
        }
    }
}
