//! Client stubs, which `build.rs` makes for the tests. They share no code with the gateway's.

/// `userbridge.users.v1`.
#[expect(
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    reason = "generated"
)]
pub(crate) mod users_v1 {
    include!(concat!(env!("OUT_DIR"), "/clients/userbridge.users.v1.rs"));
}
