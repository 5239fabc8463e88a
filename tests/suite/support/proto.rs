//! Client stubs, which `build.rs` makes for the tests. They share no code with the gateway's. The modules are nested as
//! the packages are, because what is generated refers from one to the other that way.

pub(crate) use userbridge::{admin::v1 as admin_v1, directory::v1 as directory_v1, users::v1 as users_v1};

/// Every file of `proto/`, with its comments.
pub(crate) const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

#[expect(
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    reason = "generated"
)]
mod userbridge {
    pub(crate) mod admin {
        pub(crate) mod v1 {
            include!(concat!(env!("OUT_DIR"), "/clients/userbridge.admin.v1.rs"));
        }
    }

    pub(crate) mod directory {
        pub(crate) mod v1 {
            include!(concat!(env!("OUT_DIR"), "/clients/userbridge.directory.v1.rs"));
        }
    }

    pub(crate) mod users {
        pub(crate) mod v1 {
            include!(concat!(env!("OUT_DIR"), "/clients/userbridge.users.v1.rs"));
        }
    }
}
