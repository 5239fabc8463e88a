//! Places for calls that last: so many in all, and so many for each. Whoever finds none is refused at once.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::domain::{KeyDigest, OrganizationId};

/// Places, and who has them.
#[derive(Debug)]
pub(crate) struct Places<K: Eq + Hash> {
    total: usize,
    each: usize,
    taken: Mutex<Taken<K>>,
}

#[derive(Debug)]
struct Taken<K> {
    total: usize,
    /// Those without a place are not in it.
    by: HashMap<K, usize>,
}

/// A place. It is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Place<K: Eq + Hash> {
    places: Arc<Places<K>>,
    of: K,
}

impl<K: Copy + Eq + Hash> Places<K> {
    pub(crate) fn new(total: usize, each: usize) -> Arc<Self> {
        let by = HashMap::new();
        Arc::new(Self {
            total,
            each,
            taken: Mutex::new(Taken { total: 0, by }),
        })
    }

    /// None: there are as many as may be, in all or of this one.
    pub(crate) fn take(self: &Arc<Self>, of: K) -> Option<Place<K>> {
        let mut taken = self.taken();
        let own = taken.by.get(&of).copied().unwrap_or_default();
        if taken.total >= self.total || own >= self.each {
            return None;
        }
        taken.total += 1;
        taken.by.insert(of, own + 1);
        Some(Place {
            places: Arc::clone(self),
            of,
        })
    }
}

impl<K: Eq + Hash> Places<K> {
    /// How many are taken.
    pub(super) fn count(&self) -> usize {
        self.taken().total
    }

    /// A thread that panicked while it held them left them whole.
    fn taken(&self) -> MutexGuard<'_, Taken<K>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.total -= 1;
        if let Some(own) = taken.by.get_mut(&self.of) {
            *own -= 1;
            if *own == 0 {
                taken.by.remove(&self.of);
            }
        }
    }
}

/// Places of organizations and, among those, of their keys.
#[derive(Debug)]
pub(super) struct KeyPlaces {
    organizations: Arc<Places<OrganizationId>>,
    keys: Arc<Places<(OrganizationId, KeyDigest)>>,
}

/// A place that an organization has, with one of its keys.
#[derive(Debug)]
pub struct KeyPlace {
    _of_organization: Place<OrganizationId>,
    _of_key: Place<(OrganizationId, KeyDigest)>,
}

impl KeyPlaces {
    /// So many in all, for one organization, and for one key of it.
    pub(super) fn new(total: usize, organization: usize, key: usize) -> Self {
        Self {
            organizations: Places::new(total, organization),
            keys: Places::new(total, key),
        }
    }

    /// None: there are as many as may be, in all, of this organization, or of its key.
    pub(super) fn take(&self, organization: OrganizationId, key: KeyDigest) -> Option<KeyPlace> {
        Some(KeyPlace {
            _of_organization: self.organizations.take(organization)?,
            _of_key: self.keys.take((organization, key))?,
        })
    }

    /// How many are taken.
    pub(super) fn count(&self) -> usize {
        self.organizations.count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_takes_more_than_a_part_and_nothing_is_kept_of_who_has_none() {
        let places = Places::new(3, 2);
        let (one, two) = (places.take('a'), places.take('a'));
        assert!(one.is_some() && two.is_some());
        assert!(places.take('a').is_none());
        let three = places.take('b');
        assert!(three.is_some());
        assert!(places.take('c').is_none(), "all are taken");
        drop(one);
        let four = places.take('c');
        assert!(four.is_some());
        drop((two, three, four));
        assert_eq!(places.count(), 0);
        assert!(places.taken().by.is_empty());
    }
}
