//! What `build.rs` makes of `proto/`. The modules are nested as the packages are, because what is generated refers from
//! one to the other that way.

/// Every file of `proto/`, for reflection.
pub(super) const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

#[expect(
    clippy::pedantic,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "generated"
)]
pub(super) mod userbridge {
    pub mod admin {
        pub mod v1 {
            tonic::include_proto!("userbridge.admin.v1");
        }
    }

    pub mod directory {
        pub mod v1 {
            tonic::include_proto!("userbridge.directory.v1");
        }
    }

    pub mod users {
        pub mod v1 {
            tonic::include_proto!("userbridge.users.v1");
        }
    }
}
