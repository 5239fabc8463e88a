//! What the fuzzer tries: a function for each target, which takes an input and panics if an answer is not as documented.
//!
//! All but files of members go through the router of the gateway or the gRPC services, on a directory of their own in a file, so
//! that the parsers stay private to their crates. `targets/` has the programs, which are built with the feature `libfuzzer`; `corpus/` has
//! inputs that reach different code. What an input is, each function says.

#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a finding is a panic, which is how libFuzzer is told"
)]

mod json_bodies;
mod member_files;
mod messages;
mod page_tokens;
mod proto;
mod requests;
mod uuids;
mod world;

pub use self::{
    json_bodies::json_bodies, member_files::member_files, messages::messages, page_tokens::page_tokens,
    requests::requests, uuids::uuids,
};

/// What became of an input.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tried {
    Yes,
    /// It is none for this target.
    NoInput,
}
