//! Places shared out by organization: none gets more than its part, and none waits behind another's queue.
//!
//! An organization that has its part waits for itself. So at most its part of it waits with all others, who get their
//! places first come, first served: with one place each that is round robin.

use std::{
    collections::{HashMap, hash_map::Entry as Slot},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

use crate::{
    domain::OrganizationId,
    storage::{Result, StoreError},
};

/// How much there is of something, and how much of it for each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Places in all.
    pub(crate) places: u32,
    /// The most that one organization has at a time.
    pub(crate) each: usize,
    /// The most that wait for one organization's places. One more is refused with [`StoreError::Overloaded`].
    pub(crate) waiting: usize,
}

/// The places.
#[derive(Debug)]
pub(crate) struct Shares {
    limits: Limits,
    places: Arc<Semaphore>,
    organizations: Mutex<HashMap<Option<OrganizationId>, Share>>,
}

/// One organization's part, kept while anybody has or wants a place of it.
#[derive(Debug)]
struct Share {
    places: Arc<Semaphore>,
    inside: usize,
}

/// A place. It is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    _of_all: OwnedSemaphorePermit,
    _of_organization: OwnedSemaphorePermit,
    _entry: Entry,
}

/// That somebody has or wants a place.
#[derive(Debug)]
struct Entry {
    shares: Arc<Shares>,
    organization: Option<OrganizationId>,
}

impl Shares {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            places: Arc::new(Semaphore::new(
                usize::try_from(limits.places).unwrap_or(usize::MAX),
            )),
            organizations: Mutex::default(),
        }
    }

    /// Waits for a place. None stands for what belongs to no organization.
    ///
    /// # Errors
    ///
    /// [`StoreError::Overloaded`]: too many wait already. [`StoreError::Closed`].
    pub(crate) async fn place(self: &Arc<Self>, organization: Option<OrganizationId>) -> Result<Place> {
        let (entry, own) = self.enter(organization)?;
        let of_organization = own.acquire_owned().await.map_err(closed)?;
        let of_all = self.places.clone().acquire_owned().await.map_err(closed)?;
        Ok(Place {
            _of_all: of_all,
            _of_organization: of_organization,
            _entry: entry,
        })
    }

    /// How many places are taken, and how many wait for one.
    pub(crate) fn load(&self) -> (usize, usize) {
        let places = usize::try_from(self.limits.places).unwrap_or(usize::MAX);
        let taken = places.saturating_sub(self.places.available_permits());
        let inside: usize = self.organizations().values().map(|share| share.inside).sum();
        (taken, inside.saturating_sub(taken))
    }

    /// Waits until all places are free, and takes them for good: whoever waits fails with [`StoreError::Closed`].
    pub(super) async fn take_all(&self) {
        if let Ok(all) = self.places.acquire_many(self.limits.places).await {
            all.forget();
            self.places.close();
        }
    }

    fn enter(self: &Arc<Self>, organization: Option<OrganizationId>) -> Result<(Entry, Arc<Semaphore>)> {
        let mut organizations = self.organizations();
        let share = organizations.entry(organization).or_insert_with(|| Share {
            places: Arc::new(Semaphore::new(self.limits.each)),
            inside: 0,
        });
        if share.inside >= self.limits.each + self.limits.waiting {
            return Err(StoreError::Overloaded);
        }
        share.inside += 1;
        let entry = Entry {
            shares: self.clone(),
            organization,
        };
        Ok((entry, share.places.clone()))
    }

    /// A thread that panicked while it held the map left it whole.
    fn organizations(&self) -> MutexGuard<'_, HashMap<Option<OrganizationId>, Share>> {
        self.organizations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut organizations = self.shares.organizations();
        if let Slot::Occupied(mut share) = organizations.entry(self.organization) {
            share.get_mut().inside -= 1;
            if share.get().inside == 0 {
                share.remove();
            }
        }
    }
}

fn closed(_: AcquireError) -> StoreError {
    StoreError::Closed
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use uuid::Uuid;

    use super::*;

    const LIMITS: Limits = Limits {
        places: 3,
        each: 2,
        waiting: 2,
    };

    const ONE: Option<OrganizationId> = Some(OrganizationId::from_uuid(Uuid::from_u128(1)));
    const OTHER: Option<OrganizationId> = Some(OrganizationId::from_uuid(Uuid::from_u128(2)));

    #[tokio::test]
    async fn an_organization_that_takes_all_it_can_leaves_places_to_others() {
        let shares = Arc::new(Shares::new(LIMITS));
        let first = shares.place(ONE).await.unwrap();
        let _second = shares.place(ONE).await.unwrap();
        let mut third = Box::pin(shares.place(ONE));
        assert!((&mut third).now_or_never().is_none());
        let other = shares.place(OTHER).now_or_never();
        let other = other.expect("a place that is free").unwrap();
        // Now all are taken. The other's next one comes before the third, which waits for its own.
        let mut next = Box::pin(shares.place(OTHER));
        assert!((&mut next).now_or_never().is_none());
        drop(first);
        next.now_or_never().expect("a place that is free").unwrap();
        drop(other);
        third.now_or_never().expect("a place that is free").unwrap();
    }

    #[tokio::test]
    async fn one_organization_fills_its_own_queue_only() {
        let shares = Arc::new(Shares::new(LIMITS));
        let mut waiting: Vec<_> = (0..4).map(|_| Box::pin(shares.place(ONE))).collect();
        let mut places = Vec::new();
        for (index, place) in waiting.iter_mut().enumerate() {
            let place = place.now_or_never();
            assert_eq!(place.is_some(), index < LIMITS.each);
            places.extend(place);
        }
        let refused = shares.place(ONE).await;
        assert!(matches!(refused, Err(StoreError::Overloaded)), "{refused:?}");
        shares.place(OTHER).await.unwrap();
        // Who goes away makes room.
        waiting.pop();
        assert!(shares.place(ONE).now_or_never().is_none());
        drop((waiting, places));
        assert!(shares.organizations().is_empty());
    }
}
