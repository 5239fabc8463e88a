//! What a client gets who asks too often, too much or too slowly; and what the others get meanwhile.

mod full;
mod guessed;
mod keys;
mod late;

use std::{num::NonZeroU32, time::Duration};

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// Longer than anything takes that ends at all.
const NEVER: Duration = Duration::from_secs(40);

fn number(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

/// That it is refused for this reason, and says when to try again.
fn assert_limited(status: &Status, reason: &str) {
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    assert_eq!(status.get_details_error_info().unwrap().reason, reason);
    let retry = status.get_details_retry_info().unwrap();
    assert!(retry.retry_delay.is_some_and(|delay| !delay.is_zero()));
}
