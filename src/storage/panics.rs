//! What is done about a change that panics: it fails, and whoever ran it goes on with the next one.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;

use super::{Result, StoreError};

/// What the work comes to; [`StoreError::Engine`] if it panics. Whatever it had in its hands is then to be undone, or given up. The
/// log hears of it, but not of the message, which may have something of a person in it.
pub(super) async fn caught<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let done = AssertUnwindSafe(work).catch_unwind().await;
    done.unwrap_or_else(|_| {
        tracing::error!("a change panicked, and is undone");
        Err(StoreError::Engine("it panicked".into()))
    })
}
