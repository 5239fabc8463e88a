//! Randomness, passed in so that tests set it.

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
