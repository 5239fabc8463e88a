//! A test that can't run here says so.

use std::io::{self, Write as _};

/// Prints `SKIPPED <test>: <why>` on the terminal, also where the output of tests that pass is hidden. The caller then
/// returns.
pub(crate) fn skip(why: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    // The test harness hides what goes through `eprintln!`, and nothing else. There is nobody to tell if it fails.
    let _ = writeln!(io::stderr(), "SKIPPED {test}: {why}");
}
