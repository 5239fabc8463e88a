//! Files with a secret and nothing else.

use std::path::Path;

use super::CliError;

/// The secret that a file with this text has, which may end with a line break. `what` says of which kind it is.
///
/// # Errors
///
/// There is none.
pub(super) fn secret(path: &Path, text: &str, what: &str) -> Result<String, CliError> {
    if text.trim().is_empty() {
        return Err(CliError::Usage(format!("{} has no {what}", path.display())));
    }
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
