//! The contract: client stubs for the load, which `build.rs` makes of `proto/`, server stubs for the baselines, and the paths
//! of the JSON form.

/// Path of ProductBridge's contract that retrieves a user.
pub(crate) const RETRIEVE: &str = "/api/external/v1/users/retrieve";

/// And the one that ends a user's link.
pub(crate) const DELETE: &str = "/api/external/v1/users/delete";

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
pub(crate) use userbridge_wire::users_v1 as server;
