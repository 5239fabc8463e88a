//! Requests that are being answered, by the host that has made them.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak, atomic::AtomicUsize},
};

/// The hosts of which there are connections or requests. No others are kept.
#[derive(Clone, Debug, Default)]
pub(super) struct Hosts(Arc<Mutex<HashMap<IpAddr, Weak<Host>>>>);

/// One of them. A connection looks for its own once, so that a request counts without a look at the map.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) address: IpAddr,
    /// How many are being answered.
    pub(super) requests: AtomicUsize,
    hosts: Hosts,
}

impl Hosts {
    /// Of an address that stands for one host.
    pub(super) fn of(&self, address: IpAddr) -> Arc<Host> {
        let mut kept = self.kept();
        if let Some(host) = kept.get(&address).and_then(Weak::upgrade) {
            return host;
        }
        let host = Arc::new(Host {
            address,
            requests: AtomicUsize::new(0),
            hosts: self.clone(),
        });
        kept.insert(address, Arc::downgrade(&host));
        host
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<IpAddr, Weak<Host>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let mut kept = self.hosts.kept();
        // Another one may have come in the meantime.
        if kept
            .get(&self.address)
            .is_some_and(|host| host.strong_count() == 0)
        {
            kept.remove(&self.address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_kept_for_as_long_as_somebody_has_it() {
        let hosts = Hosts::default();
        let [one, other] = ["192.0.2.1", "192.0.2.2"].map(|text| text.parse().unwrap());
        let (first, second) = (hosts.of(one), hosts.of(one));
        assert!(Arc::ptr_eq(&first, &second));
        assert!(!Arc::ptr_eq(&first, &hosts.of(other)));
        assert_eq!(hosts.kept().len(), 1);
        drop(first);
        assert!(Arc::ptr_eq(&second, &hosts.of(one)));
        drop(second);
        assert!(hosts.kept().is_empty());
    }
}
