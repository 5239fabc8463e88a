//! Which files a database consists of, and whether they are still there.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use crate::domain::Outage;

/// Which files the connections have open: the database, its write-ahead log and that log's index. While they are open,
/// SQLite makes no others in their places.
pub(super) struct Files(Vec<(PathBuf, Identity)>);

/// Device and inode.
pub(super) type Identity = (u64, u64);

impl Files {
    /// Those that are there now. All connections must be open.
    pub(super) fn of(path: &Path) -> std::io::Result<Self> {
        let files = ["", "-wal", "-shm"].map(|suffix| {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            let path = PathBuf::from(name);
            let identity = identity(&path)?;
            Ok((path, identity))
        });
        Ok(Self(files.into_iter().collect::<std::io::Result<_>>()?))
    }

    /// Whether the database is the file that was there before the connections were opened: see [`identity`].
    pub(super) fn begin_with(&self, database: Identity) -> bool {
        self.0.first().is_some_and(|(_, found)| *found == database)
    }

    /// That each of them is still where it was: what is written to one that is not would be gone with its last user.
    pub(super) fn check(&self) -> Result<(), Outage> {
        for (path, known) in &self.0 {
            match identity(path) {
                Ok(found) if found == *known => {}
                Ok(_) => return Err(Outage::FileReplaced),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(Outage::FileGone),
                // It can't be looked at; whether it can be written is told by writing.
                Err(_) => {}
            }
        }
        Ok(())
    }
}

/// The file that is in the place of the database now.
pub(super) fn identity(path: &Path) -> std::io::Result<Identity> {
    let metadata = fs::metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}
