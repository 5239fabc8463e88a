//! Client stubs, which `build.rs` makes.

/// `userbridge.directory.v1`.
#[expect(
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    reason = "generated"
)]
pub(crate) mod directory_v1 {
    include!(concat!(env!("OUT_DIR"), "/clients/userbridge.directory.v1.rs"));
}

/// `userbridge.users.v1`.
#[expect(
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    reason = "generated"
)]
pub(crate) mod users_v1 {
    include!(concat!(env!("OUT_DIR"), "/clients/userbridge.users.v1.rs"));
}
