//! Compiles what both ends have in common, without protoc.

use std::error::Error;

/// The reasons of errors, and the service that is also called within one process, message by message.
const PROTOS: &[&str] = &[
    "userbridge/errors/v1/errors.proto",
    "userbridge/users/v1/users.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=../proto/userbridge/errors");
    println!("cargo:rerun-if-changed=../proto/userbridge/users");
    let descriptors = protox::compile(PROTOS, ["../proto"])?;
    tonic_prost_build::configure()
        .codec_path("crate::SmallCodec")
        .compile_fds(descriptors)?;
    Ok(())
}
