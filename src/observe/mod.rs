//! What is counted of the server beside its requests, for Prometheus: calls of the storage (`storage`), what waits and what is
//! open at the moment of looking (`load`), and the process (`process`). There is no name, address or id of anybody in it, and
//! no label that a client can grow.

mod load;
mod process;
mod storage;

use std::sync::{Arc, OnceLock};

use prometheus_client::registry::Registry;
use prost::DecodeError;
use userbridge_gateway::{listen::ListenerMetrics, observe::Observer};

use self::{load::LoadMetrics, storage::StorageMetrics};
use crate::{mail::MailMetrics, rpc::CallMetrics, service::Directory, storage::Storage};

/// What is counted of one server, from its start on.
pub(crate) struct ServerMetrics {
    pub(crate) calls: CallMetrics,
    pub(crate) listeners: ListenerMetrics,
    pub(crate) mails: MailMetrics,
    storage: Arc<StorageMetrics>,
    load: Arc<OnceLock<LoadMetrics>>,
}

impl ServerMetrics {
    /// Counters that stand at zero, and what counts them, those of the gateway's observer included.
    ///
    /// # Errors
    ///
    /// The descriptors that were compiled into this program are not readable.
    pub(crate) fn new(observer: &Observer) -> Result<(Self, Registry), DecodeError> {
        let mut registry = Registry::default();
        process::register(&mut registry);
        let ours = registry.sub_registry_with_prefix("userbridge");
        let load = Arc::default();
        load::register(ours, &load);
        observer.register(ours);
        let metrics = Self {
            calls: CallMetrics::new(ours)?,
            listeners: ListenerMetrics::new(ours),
            mails: MailMetrics::new(ours),
            storage: Arc::new(StorageMetrics::new(ours)),
            load,
        };
        Ok((metrics, registry))
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
