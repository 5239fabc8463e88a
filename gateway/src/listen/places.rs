//! Places for connections: so many in total, of which one address gets a part.

use std::{
    collections::{HashMap, hash_map::Entry},
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::seldom::Seldom;

/// File descriptors that a program needs for other things than connections.
const OTHER_FILES: usize = 64;

/// Places for connections. Clones share them.
#[derive(Clone, Debug)]
pub struct Places(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    most: usize,
    most_of_one: usize,
    taken: Mutex<Taken>,
    refused: Seldom,
}

#[derive(Debug, Default)]
struct Taken {
    total: usize,
    /// By address. Those without a connection are not in it.
    by_address: HashMap<IpAddr, usize>,
}

/// A place, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    shared: Arc<Shared>,
    address: IpAddr,
}

impl Places {
    /// `most` in total. One address gets half of them: a proxy may stand before all clients.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self(Arc::new(Shared {
            most,
            most_of_one: most.div_ceil(2),
            taken: Mutex::default(),
            refused: Seldom::new(),
        }))
    }

    /// As [`Self::new`], but no more than the process may open files, with some left for other things.
    #[must_use]
    pub fn within_open_files(most: usize) -> Self {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let files = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let room = files.saturating_sub(OTHER_FILES).max(files / 4).max(1);
        if room < most {
            tracing::warn!(
                open_files = files,
                connections = room,
                "fewer connections than wanted, because of the limit of open files (ulimit -n)"
            );
        }
        Self::new(most.min(room))
    }

    /// A place for a connection from this address, if there is one.
    pub(super) fn take(&self, address: IpAddr) -> Option<Place> {
        let shared = &self.0;
        let address = of_one_host(address);
        let mut taken = shared.taken();
        let full = taken.total >= shared.most;
        let of_one = taken.by_address.get(&address).copied().unwrap_or_default();
        if full || of_one >= shared.most_of_one {
            drop(taken);
            if shared.refused.is_due() {
                let most = if full { shared.most } else { shared.most_of_one };
                tracing::warn!(%address, most, full, "too many connections: some are refused");
            }
            return None;
        }
        taken.total += 1;
        taken.by_address.insert(address, of_one + 1);
        Some(Place {
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

impl Drop for Place {
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

/// One host of IPv6 has 64 bits of addresses to choose from.
fn of_one_host(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
        address @ IpAddr::V4(_) => address,
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
        let places = Places::new(4);
        let take = |text| places.take(address(text));
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
        assert!(places.0.taken().by_address.is_empty());
        assert_eq!(places.0.taken().total, 0);
    }
}
