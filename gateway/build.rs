//! Compiles the client stubs of the services that the gateway calls, without protoc.

use std::error::Error;

/// The gateway calls these, and `UserService`, whose stubs are `userbridge-wire`'s.
const PROTOS: &[&str] = &[
    "userbridge/directory/v1/credentials.proto",
    "userbridge/directory/v1/events.proto",
    "userbridge/directory/v1/members.proto",
    "userbridge/directory/v1/teams.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=../proto");
    let descriptors = protox::compile(PROTOS, ["../proto"])?;
    tonic_prost_build::configure()
        .build_server(false)
        .codec_path("userbridge_wire::SmallCodec")
        .compile_fds(descriptors)?;
    Ok(())
}
