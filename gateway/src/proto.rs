//! What `build.rs` makes of `proto/`.

/// `userbridge.users.v1`.
#[expect(
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    reason = "generated"
)]
pub(crate) mod users_v1 {
    tonic::include_proto!("userbridge.users.v1");
}
