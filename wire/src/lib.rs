//! What both ends of the gRPC contract have in common: how messages are encoded, how the reason of an error is written, and
//! the stubs of `UserService`, whose trait a gateway in the same process calls as it is.

mod codec;
mod reason;

/// `userbridge.users.v1`.
#[expect(
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    reason = "generated"
)]
pub mod users_v1 {
    tonic::include_proto!("userbridge.users.v1");
}

pub use codec::SmallCodec;
pub use reason::ErrorReason;
