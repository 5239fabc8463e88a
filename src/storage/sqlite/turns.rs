//! What waits for the writer, taken from one organization after the other: so whoever has much to change waits behind
//! itself, and what others change comes in between. Where no more may wait, whoever has most there gives way.

use std::{
    collections::{HashMap, HashSet, VecDeque, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use crate::{
    domain::OrganizationId,
    storage::{Result, StoreError},
};

/// Whose it is. None: no organization's.
pub(super) type Owner = Option<OrganizationId>;

/// The end where things are added. Clones add to the same.
#[derive(Debug)]
pub(super) struct Turns<T>(Arc<Shared<T>>);

/// The end where they are taken. When it is gone, what waits is dropped, and nothing can be added.
#[derive(Debug)]
pub(super) struct Taker<T>(Arc<Shared<T>>);

#[derive(Debug)]
struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Notify,
    /// The most that may wait.
    room: usize,
}

#[derive(Debug)]
struct State<T> {
    /// Of each owner, while there is anything.
    waiting: HashMap<Owner, VecDeque<T>>,
    /// Those who have something, in the order of their turns.
    owners: VecDeque<Owner>,
    /// How much waits in all.
    count: usize,
    closed: bool,
}

pub(super) fn turns<T>(room: usize) -> (Turns<T>, Taker<T>) {
    let shared = Arc::new(Shared {
        state: Mutex::new(State {
            waiting: HashMap::new(),
            owners: VecDeque::new(),
            count: 0,
            closed: false,
        }),
        changed: Notify::new(),
        room,
    });
    (Turns(shared.clone()), Taker(shared))
}

impl<T> Turns<T> {
    /// Adds it behind what waits of the same owner. If there is no room, it takes that of the last one of the owner who has
    /// most, which is dropped.
    ///
    /// # Errors
    ///
    /// [`StoreError::Overloaded`]: there is no room, and nobody has more than this owner. [`StoreError::Closed`].
    pub(super) fn add(&self, owner: Owner, item: T) -> Result<()> {
        let mut state = self.0.state();
        if state.closed {
            return Err(StoreError::Closed);
        }
        let mut dropped = None;
        if state.count >= self.0.room {
            let own = state.waiting.get(&owner).map_or(0, VecDeque::len);
            let longest = state.waiting.values_mut().max_by_key(|queue| queue.len());
            // It keeps at least as many as this owner then has, and so one at least.
            let Some(longest) = longest.filter(|queue| queue.len() > own + 1) else {
                return Err(StoreError::Overloaded);
            };
            dropped = longest.pop_back();
            state.count -= 1;
        }
        state.queue(owner).push_back(item);
        state.count += 1;
        drop(state);
        drop(dropped);
        self.0.changed.notify_one();
        Ok(())
    }

    /// Why something was dropped that had been added.
    pub(super) fn why_dropped(&self) -> StoreError {
        if self.0.state().closed {
            StoreError::Closed
        } else {
            StoreError::Overloaded
        }
    }

    /// How much waits, and how much may.
    pub(super) fn load(&self) -> (usize, usize) {
        (self.0.state().count, self.0.room)
    }

    /// Lets nothing be added any more. What waits is still taken.
    pub(super) fn close(&self) {
        self.0.state().closed = true;
        self.0.changed.notify_one();
    }
}

impl<T> Clone for Turns<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Taker<T> {
    /// Waits until there is something, and takes `most` at most: the next one of each owner in turn, until that is enough.
    /// Nothing: it is closed, and all has been taken. Given up before its end, it has taken nothing.
    pub(super) async fn take(&self, most: usize) -> Vec<(Owner, T)> {
        loop {
            {
                let mut state = self.0.state();
                let taken: Vec<_> = std::iter::from_fn(|| state.next()).take(most).collect();
                if state.closed || !taken.is_empty() {
                    return taken;
                }
            }
            self.0.changed.notified().await;
        }
    }

    /// Whether anything waits of owners that are not among these.
    pub(super) fn has_others(&self, owners: &HashSet<Owner>) -> bool {
        let state = self.0.state();
        state.owners.iter().any(|owner| !owners.contains(owner))
    }

    /// Puts back what was taken last, before what waits of the same owners.
    pub(super) fn put_back(&self, items: Vec<(Owner, T)>) {
        let mut state = self.0.state();
        state.count += items.len();
        for (owner, item) in items.into_iter().rev() {
            state.queue(owner).push_front(item);
        }
        self.0.changed.notify_one();
    }
}

impl<T> Drop for Taker<T> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.closed = true;
        let waiting = std::mem::take(&mut state.waiting);
        state.owners.clear();
        state.count = 0;
        // What is dropped may tell somebody who adds something else.
        drop((state, waiting));
    }
}

impl<T> Shared<T> {
    /// A thread that panicked while it held the state left it whole.
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    /// The queue of an owner, who is given a turn with it.
    fn queue(&mut self, owner: Owner) -> &mut VecDeque<T> {
        match self.waiting.entry(owner) {
            Entry::Occupied(queue) => queue.into_mut(),
            Entry::Vacant(place) => {
                self.owners.push_back(owner);
                place.insert(VecDeque::new())
            }
        }
    }

    fn next(&mut self) -> Option<(Owner, T)> {
        let owner = self.owners.pop_front()?;
        let Entry::Occupied(mut queue) = self.waiting.entry(owner) else {
            return None;
        };
        let item = queue.get_mut().pop_front();
        self.count -= usize::from(item.is_some());
        if queue.get().is_empty() {
            queue.remove();
        } else {
            self.owners.push_back(owner);
        }
        item.map(|item| (owner, item))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use uuid::Uuid;

    use super::*;

    const ONE: Owner = Some(OrganizationId::from_uuid(Uuid::from_u128(1)));
    const OTHER: Owner = Some(OrganizationId::from_uuid(Uuid::from_u128(2)));

    fn take(taker: &Taker<u32>, most: usize) -> Vec<u32> {
        let items = taker.take(most).now_or_never().expect("something waits");
        items.into_iter().map(|(_, item)| item).collect()
    }

    #[tokio::test]
    async fn owners_take_turns_and_keep_their_own_order() {
        let (turns, taker) = turns(10);
        for item in 1..=5 {
            turns.add(ONE, item).unwrap();
        }
        turns.add(OTHER, 10).unwrap();
        turns.add(OTHER, 20).unwrap();
        turns.add(None, 100).unwrap();
        assert_eq!(turns.load(), (8, 10));
        assert!(taker.has_others(&[ONE, None].into()));
        assert!(!taker.has_others(&[ONE, OTHER, None].into()));
        let first = taker.take(5).await;
        let items: Vec<_> = first.iter().map(|(_, item)| *item).collect();
        assert_eq!(items, [1, 10, 100, 2, 20]);
        // Put back, they come before what is behind them, whoever's turn it is.
        taker.put_back(first.into_iter().skip(1).collect());
        let mut left = take(&taker, 10);
        assert_eq!(left.len(), 7);
        left.retain(|item| *item < 10);
        assert_eq!(left, [2, 3, 4, 5]);
        assert_eq!(turns.load(), (0, 10));
        assert!(taker.take(1).now_or_never().is_none());
    }

    #[tokio::test]
    async fn where_there_is_no_room_whoever_has_most_gives_way() {
        let (turns, taker) = turns(4);
        for item in 1..=4 {
            turns.add(ONE, item).unwrap();
        }
        assert!(matches!(turns.add(ONE, 5), Err(StoreError::Overloaded)));
        turns.add(OTHER, 10).unwrap();
        turns.add(OTHER, 20).unwrap();
        assert!(matches!(turns.add(OTHER, 30), Err(StoreError::Overloaded)));
        assert!(matches!(turns.add(ONE, 5), Err(StoreError::Overloaded)));
        assert_eq!(take(&taker, 10), [1, 10, 2, 20]);
        turns.add(ONE, 5).unwrap();
    }

    #[tokio::test]
    async fn who_gives_way_is_told_why() {
        let (turns, _taker) = turns(2);
        let (reply, answer) = tokio::sync::oneshot::channel::<()>();
        for reply in [tokio::sync::oneshot::channel().0, reply] {
            turns.add(ONE, reply).unwrap();
        }
        turns.add(OTHER, tokio::sync::oneshot::channel().0).unwrap();
        answer.await.unwrap_err();
        assert!(matches!(turns.why_dropped(), StoreError::Overloaded));
    }

    #[tokio::test]
    async fn closed_it_takes_nothing_more_and_gives_what_it_has() {
        let (turns, taker) = turns(2);
        turns.add(ONE, 1).unwrap();
        turns.close();
        assert!(matches!(turns.add(OTHER, 2), Err(StoreError::Closed)));
        assert_eq!(take(&taker, 2), [1]);
        assert_eq!(take(&taker, 2), [0; 0]);
    }

    #[tokio::test]
    async fn what_nobody_will_take_is_dropped() {
        let (turns, taker) = turns(2);
        let (reply, answer) = tokio::sync::oneshot::channel::<()>();
        turns.add(ONE, reply).unwrap();
        drop(taker);
        answer.await.unwrap_err();
        assert!(matches!(turns.why_dropped(), StoreError::Closed));
        let (reply, _) = tokio::sync::oneshot::channel();
        assert!(matches!(turns.add(ONE, reply), Err(StoreError::Closed)));
    }
}
