//! Client stubs of `userbridge.directory.v1`, which `build.rs` makes.

#[expect(
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    reason = "generated"
)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/clients/userbridge.directory.v1.rs"));
}

pub(crate) use generated::*;
