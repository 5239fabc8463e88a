//! Compiles `proto/` into server stubs, the descriptor set that reflection serves, and client stubs for the tests
//! and benchmarks, without protoc.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;

/// Every file of the public API. A new file is added here, and to the gateway's list if it calls it.
const PROTOS: &[&str] = &[
    "userbridge/admin/v1/api_keys.proto",
    "userbridge/admin/v1/organizations.proto",
    "userbridge/directory/v1/credentials.proto",
    "userbridge/directory/v1/events.proto",
    "userbridge/directory/v1/members.proto",
    "userbridge/directory/v1/teams.proto",
    "userbridge/directory/v1/transfer.proto",
    "userbridge/errors/v1/errors.proto",
    "userbridge/users/v1/users.proto",
];

/// The package whose stubs `userbridge-wire` has.
const COMMON: &str = "userbridge.users.v1";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    println!("cargo:rerun-if-changed=migrations");
    let mut descriptors = protox::compile(PROTOS, ["proto"])?;
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    // For tests and benchmarks, in a folder of their own: the program does not contain them.
    let clients = out.join("clients");
    fs::create_dir_all(&clients)?;
    tonic_prost_build::configure()
        .build_server(false)
        .out_dir(clients)
        .compile_fds(descriptors.clone())?;
    descriptors.file.retain(|file| file.package() != COMMON);
    tonic_prost_build::configure()
        .build_client(false)
        .codec_path("userbridge_wire::SmallCodec")
        .compile_fds(descriptors)?;
    Ok(())
}
