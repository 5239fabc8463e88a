//! What the directory says of how often a key may call.

use std::{cell::Cell, future::Future};

use tonic::metadata::MetadataMap;
use userbridge_wire::{RATE_LIMIT, RATE_LIMIT_REMAINING};

/// What a key may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Allowance {
    /// At once.
    pub(crate) limit: u32,
    /// Now.
    pub(crate) remaining: u32,
}

tokio::task_local! {
    static NOTICED: Cell<Option<Allowance>>;
}

/// What a future ends with, and what the directory has said in it last. None: it sets no limit.
pub(crate) async fn noticed<F: Future>(asking: F) -> (F::Output, Option<Allowance>) {
    let both = async {
        let answer = asking.await;
        (answer, NOTICED.with(Cell::get))
    };
    NOTICED.scope(Cell::new(None), both).await
}

/// Takes notice of it for whoever wants to know.
pub(super) fn note(metadata: &MetadataMap) {
    // Mostly nobody does.
    let _ = NOTICED.try_with(|noticed| {
        let number = |name| metadata.get(name)?.to_str().ok()?.parse().ok();
        if let (Some(limit), Some(remaining)) = (number(RATE_LIMIT), number(RATE_LIMIT_REMAINING)) {
            noticed.set(Some(Allowance { limit, remaining }));
        }
    });
}
