//! Backups of a file, and files in its place.

use std::{
    fs::{self, File},
    os::unix::fs::{MetadataExt as _, fchown},
    path::{Path, PathBuf},
    pin::pin,
    time::Duration,
};

use rustix::{
    fs::{FlockOperation, fcntl_lock},
    io::Errno,
};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::time::sleep;

use super::{
    checks::integrity,
    error::{is_corrupt, is_no_database, outage, store_error},
    files, migrate,
    settings::Settings,
};
use crate::{
    domain::Outage,
    storage::{
        Migrate, OpenError, Result, StoreError,
        backup::{BackupError, Tell, beside, create, folder_of, place, remove, sync},
    },
};

/// How often to tell how far a backup is.
const TELL_EVERY: Duration = Duration::from_millis(100);

/// Writes all of a directory into a new file, as it is at one moment and without traces of what was removed. Who writes
/// meanwhile does not wait; the write-ahead log grows as long as it takes.
pub(in crate::storage) async fn back_up(url: &str, to: &Path, tell: Tell<'_>) -> Result<(), BackupError> {
    let options = files::prepare(url, Migrate::Never, &Settings::default()).await?;
    let mut connection = SqliteConnection::connect_with(&options.disable_statement_logging())
        .await
        .map_err(failed)?;
    migrate::require_directory(&mut connection).await?;
    // SQLite writes into an empty file, whose mode it leaves as it is.
    create(to)?;
    let sql = "SELECT page_size * (page_count - freelist_count)
               FROM pragma_page_size(), pragma_page_count(), pragma_freelist_count()";
    let bytes: i64 = sqlx::query_scalar(sql)
        .fetch_one(&mut connection)
        .await
        .map_err(failed)?;
    let bytes = bytes.cast_unsigned();
    {
        let name = to.to_str().ok_or(OpenError::NoFile)?;
        let mut written = pin!(sqlx::query("VACUUM INTO $1").bind(name).execute(&mut connection));
        loop {
            tokio::select! {
                done = &mut written => {
                    done.map_err(failed)?;
                    break;
                }
                () = sleep(TELL_EVERY) => tell(fs::metadata(to).map_or(0, |file| file.len().min(bytes)), bytes),
            }
        }
    }
    tell(bytes, bytes);
    connection.close().await.map_err(failed)?;
    Ok(())
}

/// Looks at a backup, of whatever version, before it takes a place: whose it is, whether it is whole, and that this program
/// knows its schema. It is one file afterwards.
pub(in crate::storage) async fn inspect(path: &Path, url: &str) -> Result<(), BackupError> {
    let options = files::parse(url)?;
    match files::require_own(&options).await {
        Err(error @ OpenError::Store(StoreError::Engine(_))) => {
            return Err(BackupError::Damaged(error.to_string()));
        }
        other => other.map_err(BackupError::Backup)?,
    }
    let mut connection = SqliteConnection::connect_with(&options.disable_statement_logging())
        .await
        .map_err(failed)?;
    let looked = look(&mut connection).await;
    connection.close().await.map_err(failed)?;
    looked?;
    fold(path)
        .await
        .map_err(|error| BackupError::Backup(error.into()))
}

async fn look(connection: &mut SqliteConnection) -> Result<(), BackupError> {
    match integrity(connection).await {
        Ok(lines) => {
            if let Some(line) = lines.into_iter().next() {
                return Err(BackupError::Damaged(line));
            }
        }
        Err(error) if is_corrupt(&error) || is_no_database(&error) => {
            return Err(BackupError::Damaged(error.to_string()));
        }
        Err(error) => return Err(failed(error)),
    }
    match migrate::require_directory(connection).await {
        Err(OpenError::NoDatabase) => Err(BackupError::Empty),
        other => other.map_err(BackupError::Backup),
    }
}

/// Moves what is in the write-ahead log of a file into it, and leaves no file beside it. Nobody else may have it open.
///
/// # Errors
///
/// [`Outage::Locked`]: somebody has.
pub(in crate::storage) async fn fold(path: &Path) -> Result<()> {
    folded(path).await.map_err(store_error)
}

async fn folded(path: &Path) -> Result<(), sqlx::Error> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(Duration::ZERO)
        .disable_statement_logging();
    let mut connection = SqliteConnection::connect_with(&options).await?;
    let folded = sqlx::query("PRAGMA journal_mode = DELETE")
        .execute(&mut connection)
        .await;
    connection.close().await?;
    folded.map(|_| ())
}

fn failed(error: sqlx::Error) -> BackupError {
    OpenError::from(store_error(error)).into()
}

/// The place of a database, held for a backup: nobody opens what is there until this is dropped.
pub(in crate::storage) struct Place {
    path: PathBuf,
    /// What is there, locked.
    held: Option<File>,
}

impl Place {
    /// The place that a `sqlite:` URL names.
    ///
    /// # Errors
    ///
    /// [`BackupError::InUse`]. [`BackupError::Database`]: it can't be written, or something else than a directory is there.
    pub(in crate::storage) async fn hold(url: &str) -> Result<Self, BackupError> {
        let options = files::parse(url)?;
        let path = options.get_filename().to_owned();
        if !path.exists() {
            return Ok(Self { path, held: None });
        }
        // SQLite names the files beside it after what a link leads to.
        let path = path.canonicalize().map_err(BackupError::of(&path))?;
        files::require_access(&path)?;
        let options = options.filename(&path).busy_timeout(Duration::ZERO);
        match files::require_own(&options).await {
            // It is damaged, which is a reason to restore it.
            Ok(()) | Err(OpenError::Store(StoreError::Engine(_))) => {}
            Err(OpenError::Store(StoreError::Unavailable(Outage::Locked))) => return Err(BackupError::InUse),
            Err(error) => return Err(error.into()),
        }
        let held = Some(lock(&path)?);
        Ok(Self { path, held })
    }

    /// Where it is.
    pub(in crate::storage) fn folder(&self) -> &Path {
        folder_of(&self.path)
    }

    /// Puts a file there, by one rename. Whatever happens, what was there is whole until then.
    pub(in crate::storage) async fn put(mut self, from: &Path) -> Result<(), BackupError> {
        let replaces = self.held.is_some();
        if let Some(held) = self.held.take() {
            let before = held.metadata().map_err(BackupError::of(&self.path))?;
            // SQLite ends this lock with the end of its own connection.
            drop(held);
            match folded(&self.path).await {
                Ok(()) => {}
                Err(error) if outage(&error) == Some(Outage::Locked) => return Err(BackupError::InUse),
                // What is in the log can't be folded into it, and is of no use without it.
                Err(error) if is_corrupt(&error) => {}
                Err(error) => return Err(failed(error)),
            }
            self.held = Some(lock(&self.path)?);
            keep_owner(from, &before).map_err(BackupError::of(from))?;
        } else if self.path.exists() {
            // Somebody has made one meanwhile.
            return Err(BackupError::InUse);
        }
        sync(from).map_err(BackupError::of(from))?;
        // They would be taken for those of the new file.
        for suffix in ["-wal", "-shm", "-journal"] {
            remove(&beside(&self.path, suffix))?;
        }
        // Before the rename, also after power was lost.
        sync(self.folder()).map_err(BackupError::of(&self.path))?;
        place(from, &self.path, replaces).map_err(BackupError::of(&self.path))
    }
}

/// The new file is for the user whom the old one was for, whoever restores it.
fn keep_owner(new: &Path, old: &fs::Metadata) -> std::io::Result<()> {
    let file = File::open(new)?;
    let now = file.metadata()?;
    if (now.uid(), now.gid()) != (old.uid(), old.gid()) {
        fchown(&file, Some(old.uid()), Some(old.gid()))?;
    }
    file.set_permissions(old.permissions())
}

/// Locks all of a file, also the bytes by whose locks SQLite knows who has it open. Every connection that has read has one of
/// them, so this fails while there is any, in whatever program, and keeps others from it.
fn lock(path: &Path) -> Result<File, BackupError> {
    let opened = File::options().read(true).write(true).open(path);
    let file = opened.map_err(BackupError::of(path))?;
    match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(Errno::AGAIN | Errno::ACCESS) => Err(BackupError::InUse),
        Err(error) => Err(BackupError::of(path)(error.into())),
    }
}
