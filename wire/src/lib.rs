//! What both ends of the gRPC contract have in common: how messages are encoded, how the reason of an error is written, how
//! secrets begin, names of metadata, and the stubs of `UserService`, whose trait a gateway in the same process calls as it is.

mod codec;
mod reason;

/// `userbridge.users.v1`.
#[expect(
    clippy::pedantic,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "generated"
)]
pub mod users_v1 {
    tonic::include_proto!("userbridge.users.v1");
}

pub use codec::SmallCodec;
pub use reason::ErrorReason;

/// What tokens of members begin with. No API key does.
pub const TOKEN_PREFIXES: [&str; 4] = ["ubp_", "ubh_", "uba_", "ubs_"];

/// Metadata of an answer: how many calls the key may make at once.
pub const RATE_LIMIT: &str = "x-ratelimit-limit";

/// Metadata of an answer: how many calls the key may make now.
pub const RATE_LIMIT_REMAINING: &str = "x-ratelimit-remaining";
