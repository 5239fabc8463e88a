//! What `build.rs` makes of `proto/`. The modules are nested as the packages are, because what is generated refers from
//! one to the other that way.

use prost::{DecodeError, Message as _};
use prost_types::FileDescriptorSet;

/// Every file of `proto/`, for reflection.
pub(super) const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// `google/rpc/error_details.proto`, `status.proto` and what they import, for reflection: so a client can show the
/// details of errors. The library has them without their folder.
pub(super) fn error_details() -> Result<FileDescriptorSet, DecodeError> {
    let mut set = FileDescriptorSet::decode(tonic_types::pb::FILE_DESCRIPTOR_SET)?;
    for file in &mut set.file {
        if file.package() == "google.rpc" && !file.name().contains('/') {
            file.name = Some(format!("google/rpc/{}", file.name()));
        }
    }
    Ok(set)
}

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
}
