//! What both ends of the gRPC contract have in common: how messages are encoded, how the reason of an error is
//! written, and names of metadata.

mod codec;
mod reason;

pub use codec::SmallCodec;
pub use reason::ErrorReason;

/// Metadata of an answer: how many calls the key may make at once.
pub const RATE_LIMIT: &str = "x-ratelimit-limit";

/// Metadata of an answer: how many calls the key may make now.
pub const RATE_LIMIT_REMAINING: &str = "x-ratelimit-remaining";
