//! Randomness, passed in so that tests set it.

use std::io;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

/// Where random bytes come from.
pub trait Random: Send + Sync {
    /// Fills the buffer with bytes nobody can guess.
    ///
    /// # Errors
    ///
    /// The source has none to give.
    fn fill(&self, buffer: &mut [u8]) -> std::io::Result<()>;
}

/// The operating system's cryptographic source.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsRandom;

impl Random for OsRandom {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that draws the system's randomness"
    )]
    fn fill(&self, buffer: &mut [u8]) -> std::io::Result<()> {
        getrandom::fill(buffer).map_err(std::io::Error::other)
    }
}

/// A secret text: a prefix by which people and secret scanners know it, and 32 random bytes in URL-safe base64.
pub(super) fn secret_text(prefix: &str, random: &dyn Random) -> io::Result<String> {
    let mut bytes = [0; 32];
    random.fill(&mut bytes)?;
    Ok(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes)))
}
