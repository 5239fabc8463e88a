//! From a URL to a file: which names are taken, who may read a new one, and whose file it is.

use std::{
    fs::{self, OpenOptions},
    io::ErrorKind,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    str::FromStr as _,
};

use rustix::fs::{Access, access};
use sqlx::{
    ConnectOptions as _, Connection as _, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

use super::{
    error::{is_no_database, store_error},
    migrate::{APPLICATION_ID, FIRST_MIGRATION},
    settings::Settings,
};
use crate::storage::{Migrate, OpenError, backup::beside};

/// Only the server's own user reads the file. SQLite gives `-wal` and `-shm` the mode of the file.
const MODE: u32 = 0o600;

/// The file of a URL, made if need be and `migrate` allows it, and the settings of every connection.
pub(super) async fn prepare(
    url: &str,
    migrate: Migrate,
    settings: &Settings,
) -> Result<SqliteConnectOptions, OpenError> {
    let options = parse(url)?;
    let path = options.get_filename().to_owned();
    if !path.exists() {
        if migrate == Migrate::Never {
            return Err(OpenError::NoDatabase);
        }
        create(&path)?;
    }
    // SQLite names the files beside it after what a link leads to.
    let path = path
        .canonicalize()
        .map_err(|source| OpenError::CannotOpen { path, source })?;
    require_access(&path)?;
    let options = options.filename(&path).busy_timeout(settings.busy_timeout);
    require_own(&options).await?;
    // FULL makes a commit wait for the disk: an acknowledged write survives power loss.
    Ok(options
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        // What is removed is overwritten. Copies that SQLite left behind when it moved rows from one page to another stay
        // in the unused parts of pages until those are used again, or the file is compacted (VACUUM).
        .pragma("secure_delete", "ON"))
}

/// A URL that names a file to be written. SQLite would also take memory, and a temporary file where there is no name.
pub(super) fn parse(url: &str) -> Result<SqliteConnectOptions, OpenError> {
    let options = SqliteConnectOptions::from_str(url).map_err(|_| OpenError::NoFile)?;
    let name = options.get_filename().to_string_lossy().into_owned();
    let is_odd = url.split_once('?').is_some_and(|(_, query)| {
        query
            .split('&')
            .any(|setting| matches!(setting, "mode=memory" | "mode=ro") || setting.starts_with("immutable="))
    });
    if name.is_empty() || name == ":memory:" || name.starts_with("file:") || is_odd {
        return Err(OpenError::NoFile);
    }
    Ok(options.create_if_missing(false))
}

/// Whether a path leads to the file of a URL, or to one that SQLite keeps beside it. Nothing is opened to find out: closing a
/// file ends all the locks that this process has on it.
pub(in crate::storage) fn is_file_of(url: &str, path: &Path) -> bool {
    let (Ok(options), Ok(there)) = (parse(url), fs::metadata(path)) else {
        return false;
    };
    let Ok(database) = options.get_filename().canonicalize() else {
        return false;
    };
    let is_there = |own: PathBuf| {
        fs::metadata(own).is_ok_and(|own| (own.dev(), own.ino()) == (there.dev(), there.ino()))
    };
    ["", "-wal", "-shm", "-journal"]
        .iter()
        .any(|suffix| is_there(beside(&database, suffix)))
}

fn create(path: &Path) -> Result<(), OpenError> {
    let created = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(MODE)
        .open(path);
    match created {
        Ok(_) => Ok(()),
        // Another program was quicker.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(source) => {
            let path = path.to_owned();
            Err(OpenError::CannotOpen { path, source })
        }
    }
}

/// That this process may write the file and those beside it. SQLite would open them all the same, and make files beside the
/// database that nobody may write, which keep it read-only also when it is writable again. They are not opened to find
/// out: closing a file ends all the locks that this process has on it.
pub(super) fn require_access(path: &Path) -> Result<(), OpenError> {
    let beside = ["-wal", "-shm"].map(|suffix| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    });
    let beside = beside.iter().map(PathBuf::as_path).filter(|path| path.exists());
    for path in path.parent().into_iter().chain([path]).chain(beside) {
        access(path, Access::READ_OK | Access::WRITE_OK).map_err(|error| OpenError::CannotOpen {
            path: path.to_owned(),
            source: error.into(),
        })?;
    }
    Ok(())
}

/// That the file is ours, or empty. It is looked at without the settings that would write to it.
pub(super) async fn require_own(options: &SqliteConnectOptions) -> Result<(), OpenError> {
    let options = options.clone().disable_statement_logging();
    let mut connection = SqliteConnection::connect_with(&options)
        .await
        .map_err(open_error)?;
    let own = is_own(&mut connection).await.map_err(open_error);
    connection.close().await.map_err(open_error)?;
    if own? { Ok(()) } else { Err(OpenError::Foreign) }
}

async fn is_own(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    let id: i32 = sqlx::query_scalar("PRAGMA application_id")
        .fetch_one(&mut *connection)
        .await?;
    if id == APPLICATION_ID {
        return Ok(true);
    }
    let (tables, is_migrated): (i64, bool) = sqlx::query_as(
        "SELECT count(*), coalesce(max(name = '_sqlx_migrations'), 0) FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
    )
    .fetch_one(&mut *connection)
    .await?;
    if id != 0 {
        return Ok(false);
    }
    if !is_migrated {
        return Ok(tables == 0);
    }
    // Made by us before files had an id, or begun and not finished.
    let first: Option<Vec<u8>> =
        sqlx::query_scalar("SELECT checksum FROM _sqlx_migrations ORDER BY version LIMIT 1")
            .fetch_optional(connection)
            .await?;
    Ok(first.map_or(tables == 1, |checksum| checksum == FIRST_MIGRATION.as_slice()))
}

fn open_error(error: sqlx::Error) -> OpenError {
    if is_no_database(&error) {
        OpenError::NotADatabase
    } else {
        store_error(error).into()
    }
}

/// Where SQLite puts the copy that it makes of everything when it compacts, as a text of SQL: beside the database, for the
/// same eyes. It makes it with mode 0600 and removes its name as soon as it is open. Empty, its own choice, if the folder's
/// name is no UTF-8.
pub(super) fn temporary_folder(path: &Path) -> String {
    let folder = path.parent().and_then(Path::to_str).unwrap_or_default();
    format!("'{}'", folder.replace('\'', "''"))
}
