//! Client stubs, which `build.rs` makes. The modules are nested as the packages are, because what is generated refers from
//! one to the other that way.

pub(crate) use userbridge::{admin::v1 as admin_v1, directory::v1 as directory_v1};

#[expect(
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    reason = "generated"
)]
mod userbridge {
    pub(crate) mod admin {
        pub(crate) mod v1 {
            tonic::include_proto!("userbridge.admin.v1");
        }
    }

    pub(crate) mod directory {
        pub(crate) mod v1 {
            tonic::include_proto!("userbridge.directory.v1");
        }
    }
}
