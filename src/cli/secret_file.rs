//! Files with a secret and nothing else.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{CliError, own_thread::own_thread};

/// The password that a file has, which may end with a line break.
///
/// # Errors
///
/// It can't be read, or has none.
pub(super) async fn password(path: &Path) -> Result<String, CliError> {
    let text = read(path.to_owned()).await;
    let text = text.map_err(|error| CliError::Usage(format!("{}: {error}", path.display())))?;
    secret(path, &text, "password")
}

/// The same of a key.
///
/// # Errors
///
/// It can't be read, or has none.
pub(super) async fn key(path: &Path) -> Result<String, CliError> {
    let text = read(path.to_owned()).await;
    let text = text.map_err(|error| CliError::NotFound(format!("{}: {error}", path.display())))?;
    secret(path, &text, "key")
}

/// It may be a pipe.
async fn read(path: PathBuf) -> io::Result<String> {
    own_thread(move || fs::read_to_string(path)).await
}

fn secret(path: &Path, text: &str, what: &str) -> Result<String, CliError> {
    if text.trim().is_empty() {
        return Err(CliError::Usage(format!("{} has no {what}", path.display())));
    }
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
