//! What is counted of the server beside its requests, for Prometheus: calls of the storage (`storage`), what waits and what is
//! open at the moment of looking (`load`), and the process (`process`). There is no name, address or id of anybody in it, and
//! no label that a client can grow.

mod load;
mod process;
mod storage;

use std::sync::{Arc, OnceLock};

use prometheus_client::registry::Registry;

use self::{load::LoadMetrics, storage::StorageMetrics};
use crate::{service::Directory, storage::Storage};

/// What is counted of one server, from its start on. Clones count the same.
#[derive(Clone, Debug)]
pub(crate) struct ServerMetrics {
    storage: Arc<StorageMetrics>,
    load: Arc<OnceLock<LoadMetrics>>,
}

impl ServerMetrics {
    /// Counters that stand at zero and are shown with the rest of the registry.
    pub(crate) fn new(registry: &mut Registry) -> Self {
        process::register(registry);
        let ours = registry.sub_registry_with_prefix("userbridge");
        let load = Arc::default();
        load::register(ours, &load);
        Self {
            storage: Arc::new(StorageMetrics::new(ours)),
            load,
        }
    }

    /// The storage, with what is asked of it counted, and shown as a span where the request is traced.
    pub(crate) fn storage(&self, inner: Arc<dyn Storage>) -> Arc<dyn Storage> {
        Arc::new(storage::Observed::new(inner, self.storage.clone()))
    }

    /// From now on shows what waits in these.
    pub(crate) fn watch(&self, storage: Arc<dyn Storage>, directory: Directory) {
        // A server has one of each.
        let _ = self.load.set(LoadMetrics::new(storage, directory));
    }
}
