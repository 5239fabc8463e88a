//! What both ends of the gRPC contract have in common: how messages are encoded, and how the reason of an error is written.

mod codec;
mod reason;

pub use codec::SmallCodec;
pub use reason::ErrorReason;
