//! The hosted pages: in a real browser, and as plain requests.
//!
//! What a person does is written in `tests/programs/browser/scenarios/`; what it happens in, and what happens at the same
//! time elsewhere, is in [`world`].

mod browser;
mod requests;
mod story;
mod world;
