//! Whether calls that ran at once could have run one after the other: Wing and Gong's search, which Lowe's memory of what was
//! tried already keeps short. No crate that does it is maintained for more than its own model checker.

use std::{collections::HashSet, fmt::Debug, hash::Hash};

/// What a sequence of calls makes of something.
pub(super) trait Model: Clone + Eq + Hash + Debug {
    /// A call and what was answered to it.
    type Call: Debug;

    /// It after the call. None: this call is not answered so then.
    fn after(&self, call: &Self::Call) -> Option<Self>;
}

/// A call, and between which moments of one clock it took effect.
#[derive(Debug)]
pub(super) struct Timed<C> {
    pub(super) begun: u64,
    /// None: whether it did anything is not known, and it may do it at any time after it was begun.
    pub(super) ended: Option<u64>,
    pub(super) call: C,
}

/// That there is an order in which the calls give their answers: each took effect in its time, those without an end perhaps never.
///
/// # Errors
///
/// There is none. It says how far the best order goes.
pub(super) fn check<M: Model>(begin: &M, calls: &mut [Timed<M::Call>]) -> Result<(), String> {
    calls.sort_by_key(|call| call.begun);
    let calls = &*calls;
    let mut tried = HashSet::new();
    let mut open = vec![(vec![false; calls.len()], begin.clone())];
    let mut best = (0, String::new());
    while let Some((done, model)) = open.pop() {
        let rest = || (0..calls.len()).filter(|index| !done[*index]);
        let Some(first_end) = rest().filter_map(|index| calls[index].ended).min() else {
            return Ok(());
        };
        let reached = done.iter().filter(|done| **done).count();
        if reached >= best.0 {
            let next: Vec<_> = rest()
                .filter(|index| calls[*index].begun <= first_end)
                .map(|index| &calls[index])
                .collect();
            best = (
                reached,
                format!("after {reached} calls {model:?}, then none of {next:#?}"),
            );
        }
        // One that begun after another's end comes after it.
        for index in rest().filter(|index| calls[*index].begun <= first_end) {
            if let Some(model) = model.after(&calls[index].call) {
                let mut done = done.clone();
                done[index] = true;
                if tried.insert((done.clone(), model.clone())) {
                    open.push((done, model));
                }
            }
        }
    }
    Err(best.1)
}
