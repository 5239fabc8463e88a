//! Compiles the reasons of errors, without protoc.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=../proto/userbridge/errors");
    let descriptors = protox::compile(["userbridge/errors/v1/errors.proto"], ["../proto"])?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
