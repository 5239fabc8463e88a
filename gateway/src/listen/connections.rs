//! How many connections there may be: in total, and from one address.

use std::{
    collections::{HashMap, hash_map::Entry},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::forwarded::of_one_host;
use crate::log_throttle::LogThrottle;

/// File descriptors that a program needs for other things than connections: 64, and six for each of sixteen runtimes that serve them.
const OTHER_FILES: usize = 160;

/// The limit of connections. Clones share what is taken.
#[derive(Clone, Debug)]
pub struct ConnectionLimit(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    max: usize,
    max_per_address: usize,
    taken: Mutex<Taken>,
    log_throttle: LogThrottle,
}

#[derive(Debug, Default)]
struct Taken {
    total: usize,
    /// By address. Those without a connection are not in it.
    by_address: HashMap<IpAddr, usize>,
}

/// Given back when it is dropped.
#[derive(Debug)]
pub(super) struct ConnectionPermit {
    shared: Arc<Shared>,
    address: IpAddr,
}

impl ConnectionLimit {
    /// `max` in total. One address gets half of them: a proxy may stand before all clients.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self(Arc::new(Shared {
            max,
            max_per_address: max.div_ceil(2),
            taken: Mutex::default(),
            log_throttle: LogThrottle::default(),
        }))
    }

    /// As [`Self::new`], but no more than the process may open files, with some left for other things.
    #[must_use]
    pub fn within_open_files(max: usize) -> Self {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let files = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let room = files.saturating_sub(OTHER_FILES).max(files / 4).max(1);
        if room < max {
            tracing::warn!(
                open_files = files,
                connections = room,
                "fewer connections than wanted, because of the limit of open files (ulimit -n)"
            );
        }
        Self::new(max.min(room))
    }

    /// None: there are as many as may be, in total or from this address.
    pub(super) fn acquire(&self, address: IpAddr) -> Option<ConnectionPermit> {
        let shared = &self.0;
        let address = of_one_host(address);
        let mut taken = shared.taken();
        let full = taken.total >= shared.max;
        let of_one = taken.by_address.get(&address).copied().unwrap_or_default();
        if full || of_one >= shared.max_per_address {
            drop(taken);
            if shared.log_throttle.is_due() {
                let max = if full { shared.max } else { shared.max_per_address };
                tracing::warn!(%address, max, full, "too many connections: some are refused");
            }
            return None;
        }
        taken.total += 1;
        taken.by_address.insert(address, of_one + 1);
        Some(ConnectionPermit {
            shared: Arc::clone(shared),
            address,
        })
    }
}

impl Shared {
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut taken = self.shared.taken();
        taken.total -= 1;
        if let Entry::Occupied(mut of_one) = taken.by_address.entry(self.address) {
            *of_one.get_mut() -= 1;
            if *of_one.get() == 0 {
                of_one.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_address_gets_half_and_all_get_no_more_than_there_are() {
        let limit = ConnectionLimit::new(4);
        let take = |text| limit.acquire(address(text));
        let (first, second) = (take("192.0.2.1"), take("::ffff:192.0.2.1"));
        assert!(first.is_some() && second.is_some());
        assert!(take("192.0.2.1").is_none(), "one address has half");
        let (third, fourth) = (take("2001:db8::1"), take("2001:db8::ffff:2"));
        assert!(third.is_some() && fourth.is_some());
        assert!(take("192.0.2.9").is_none(), "all are taken");
        drop(first);
        assert!(take("192.0.2.9").is_some());
        assert!(take("2001:db8::3").is_none(), "a network of IPv6 is one address");
        drop((second, third, fourth));
        assert!(limit.0.taken().by_address.is_empty());
        assert_eq!(limit.0.taken().total, 0);
    }
}
