//! Mails as files, for those who have no mail server.

use std::{io::Write as _, path::PathBuf};

use tokio::task::spawn_blocking;

use super::SendError;
use crate::domain::MailId;

/// Writes a mail to a file with the mail's id as its name, whole or not at all. Only the owner may read it: there is a link in
/// it.
pub(super) async fn write(folder: PathBuf, mail: MailId, message: Vec<u8>) -> Result<(), SendError> {
    let written = spawn_blocking(move || {
        let mut file = tempfile::NamedTempFile::new_in(&folder)?;
        file.write_all(&message)?;
        file.as_file().sync_all()?;
        file.persist(folder.join(format!("{mail}.eml")))?;
        std::io::Result::Ok(())
    });
    match written.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => {
            tracing::warn!(%error, "a mail could not be written to its file");
            Err(SendError::passing("the file could not be written"))
        }
        Err(_) => Err(SendError::passing("the file could not be written")),
    }
}
