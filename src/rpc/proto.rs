//! What `build.rs` makes of `proto/`.

/// Every file of `proto/`, for reflection.
pub(super) const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// `userbridge.users.v1`.
#[expect(
    clippy::pedantic,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "generated"
)]
pub(super) mod users_v1 {
    tonic::include_proto!("userbridge.users.v1");
}
