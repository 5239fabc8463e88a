//! What `build.rs` makes of `proto/`: client stubs for the load, server stubs for the ceilings.

/// `userbridge.users.v1` as its callers see it.
#[expect(
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    reason = "generated"
)]
pub(crate) mod client {
    include!(concat!(env!("OUT_DIR"), "/clients/userbridge.users.v1.rs"));
}

/// `userbridge.users.v1` as its servers see it.
#[expect(
    clippy::pedantic,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "generated"
)]
pub(crate) mod server {
    tonic::include_proto!("userbridge.users.v1");
}
