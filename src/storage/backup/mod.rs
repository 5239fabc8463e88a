//! Backups: a directory as one file of SQLite, whichever engine it is of, and back into either.
//!
//! Both are prepared in a folder of their own beside where they go, for the eyes of one user, and get their place by one
//! rename: so a command that is cut off has done nothing, and what it leaves behind has a name that says so.

mod error;

use std::{
    env,
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    thread,
};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use tempfile::{Builder, TempDir, TempPath};
use tokio::sync::mpsc;

pub use self::error::BackupError;
use super::{
    Migrate, OpenError, connect,
    copy::{self, Progress},
    sqlite,
};

/// What of a path stays as it is in a URL.
const PLAIN: AsciiSet = NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'.')
    .remove(b'-')
    .remove(b'_');

/// Bytes of a file that are moved at once.
const CHUNK: u64 = 1 << 20;

/// Is told how much of how much is done.
pub type Tell<'t> = &'t (dyn Fn(u64, u64) + Send + Sync);

/// A backup that has no place yet. Dropped, it is gone.
#[derive(Debug)]
pub struct Backup {
    folder: TempDir,
}

impl Backup {
    /// An empty folder for one, in this folder.
    fn prepare(folder: &Path) -> Result<Self, BackupError> {
        let prepared = Builder::new()
            .prefix(".userbridge-unfinished-")
            .tempdir_in(folder);
        Ok(Self {
            folder: prepared.map_err(BackupError::of(folder))?,
        })
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("backup.db")
    }

    fn url(&self) -> String {
        let path = self.path();
        format!(
            "sqlite:{}",
            percent_encode(path.as_os_str().as_encoded_bytes(), &PLAIN)
        )
    }

    /// Gives it a place and returns when it is there for good, and how many bytes it has.
    ///
    /// # Errors
    ///
    /// [`BackupError::Io`]; with [`io::ErrorKind::AlreadyExists`] if there is a file that is not to be replaced.
    pub fn keep(self, path: &Path, replace: bool) -> Result<u64, BackupError> {
        let of = |error| BackupError::of(path)(error);
        let bytes = sync(&self.path()).map_err(of)?;
        place(&self.path(), path, replace).map_err(of)?;
        Ok(bytes)
    }

    /// Writes it somewhere else.
    ///
    /// # Errors
    ///
    /// Those of the file, and of where it goes.
    pub async fn write_to(self, out: Box<dyn Write + Send>, tell: Tell<'_>) -> io::Result<()> {
        let file = File::open(self.path())?;
        let bytes = file.metadata()?.len();
        pour(Box::new(file), out, Some(bytes), tell).await?;
        Ok(())
    }
}

/// Makes a backup of the database at a URL, as it is at one moment, while servers go on. It is prepared in this folder, which
/// needs room for all of it. Memory does not grow with the directory.
///
/// # Errors
///
/// As [`BackupError`] says.
pub async fn backup(url: &str, folder: &Path, tell: Tell<'_>) -> Result<Backup, BackupError> {
    let backup = Backup::prepare(folder)?;
    if is_of_sqlite(url) {
        sqlite::back_up(url, &backup.path(), tell).await?;
    } else {
        // Boxed, because it is large and waits for the network anyway.
        Box::pin(copy::snapshot(url, &backup.url(), &mut counting(tell))).await?;
        sqlite::fold(&backup.path()).await.map_err(OpenError::from)?;
    }
    Ok(backup)
}

/// Opens a file that is to be restored, and says how many bytes it has.
///
/// # Errors
///
/// [`BackupError::Io`], [`BackupError::NoBackup`].
pub fn open(path: &Path) -> Result<(File, u64), BackupError> {
    for suffix in ["-wal", "-journal"] {
        let beside = beside(path, suffix);
        if beside.exists() {
            return Err(BackupError::NoBackup(beside));
        }
    }
    let opened = File::open(path).and_then(|file| {
        let found = file.metadata()?;
        if found.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Ok((file, found.len()))
    });
    opened.map_err(BackupError::of(path))
}

/// Puts a backup, of so many bytes if that is known, in the place of the database at a URL; or into a new database of
/// PostgreSQL. It is looked at before anything is changed.
///
/// # Errors
///
/// As [`BackupError`] says. Into PostgreSQL [`BackupError::Copy`]: the same command goes on from there.
pub async fn restore(
    url: &str,
    from: Box<dyn Read + Send>,
    bytes: Option<u64>,
    tell: Tell<'_>,
) -> Result<(), BackupError> {
    if is_of_sqlite(url) {
        let place = sqlite::Place::hold(url).await?;
        let backup = receive(place.folder(), from, bytes, tell).await?;
        sqlite::inspect(&backup.path(), &backup.url()).await?;
        return place.put(&backup.path()).await;
    }
    let backup = receive(&env::temp_dir(), from, bytes, tell).await?;
    sqlite::inspect(&backup.path(), &backup.url()).await?;
    // It may be of an earlier version.
    let migrated = Box::pin(connect(&backup.url(), Migrate::Always)).await;
    migrated.map_err(BackupError::Backup)?.close().await;
    Box::pin(copy::copy(&backup.url(), url, &mut counting(tell))).await?;
    Ok(())
}

fn is_of_sqlite(url: &str) -> bool {
    matches!(url.split_once(':'), Some(("sqlite", _)))
}

/// Takes a backup from elsewhere.
async fn receive(
    folder: &Path,
    from: Box<dyn Read + Send>,
    bytes: Option<u64>,
    tell: Tell<'_>,
) -> Result<Backup, BackupError> {
    let backup = Backup::prepare(folder)?;
    let path = backup.path();
    let received = pour(from, Box::new(create(&path)?), bytes, tell).await;
    match received.map_err(BackupError::of(path))? {
        0 => Err(BackupError::Empty),
        _ => Ok(backup),
    }
}

/// A new file that only its owner reads.
pub(super) fn create(path: &Path) -> Result<File, BackupError> {
    use std::os::unix::fs::OpenOptionsExt as _;

    let created = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    created.map_err(BackupError::of(path))
}

/// Waits until a file, or what a folder names, is on disk, and returns how many bytes it has.
pub(super) fn sync(path: &Path) -> io::Result<u64> {
    let file = File::open(path)?;
    file.sync_all()?;
    Ok(file.metadata()?.len())
}

/// Moves a file to its place in one step that lasts.
pub(super) fn place(from: &Path, to: &Path, replace: bool) -> io::Result<()> {
    let from = TempPath::try_from_path(from)?;
    let placed = if replace {
        from.persist(to)
    } else {
        from.persist_noclobber(to)
    };
    placed?;
    sync(folder_of(to))?;
    Ok(())
}

/// The folder of a file.
#[must_use]
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// The file beside another that has this suffix.
#[must_use]
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Removes a file, if it is there.
pub(super) fn remove(path: &Path) -> Result<(), BackupError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(BackupError::of(path)(error)),
        _ => Ok(()),
    }
}

/// Moves bytes, of which there are so many if that is known, and returns how many there were. A thread of its own does it, for
/// which nobody waits that is told to end: the other side of a pipe may never say anything.
async fn pour(
    from: Box<dyn Read + Send>,
    mut to: Box<dyn Write + Send>,
    bytes: Option<u64>,
    tell: Tell<'_>,
) -> io::Result<u64> {
    let (sender, mut pieces) = mpsc::channel(1);
    thread::spawn(move || {
        let mut from = from;
        loop {
            let moved = io::copy(&mut (&mut from).take(CHUNK), &mut to);
            let moved = moved.and_then(|moved| to.flush().map(|()| moved));
            let is_last = !matches!(moved, Ok(1..));
            // An error means that nobody waits for it any more.
            if sender.blocking_send(moved).is_err() || is_last {
                return;
            }
        }
    });
    let mut done = 0;
    while let Some(moved) = pieces.recv().await {
        done += moved?;
        tell(done, bytes.unwrap_or(done));
    }
    Ok(done)
}

/// Counts the rows that a copy moves and compares.
fn counting(tell: Tell<'_>) -> impl FnMut(Progress) + Send {
    let (mut all, mut done) = (0, 0);
    move |progress| {
        match progress {
            Progress::Copying { rows, done: before } => (all, done) = (rows * 2, before),
            Progress::Verifying { rows } => (all, done) = (rows * 2, rows),
            Progress::Step { rows, .. } => done += rows,
            Progress::Deriving => {}
        }
        tell(done, all);
    }
}
