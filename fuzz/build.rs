//! Compiles the client stubs that the page tokens are asked for with.

use std::error::Error;

const PROTOS: &[&str] = &[
    "userbridge/admin/v1/api_keys.proto",
    "userbridge/admin/v1/organizations.proto",
    "userbridge/directory/v1/events.proto",
    "userbridge/directory/v1/members.proto",
    "userbridge/directory/v1/teams.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=../proto");
    let descriptors = protox::compile(PROTOS, ["../proto"])?;
    tonic_prost_build::configure()
        .build_server(false)
        .compile_fds(descriptors)?;
    Ok(())
}
