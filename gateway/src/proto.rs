//! What `build.rs` makes of `proto/`.

/// `userbridge.directory.v1`.
#[expect(
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    reason = "generated"
)]
pub(crate) mod directory_v1 {
    tonic::include_proto!("userbridge.directory.v1");
}

pub(crate) use userbridge_wire::users_v1;
