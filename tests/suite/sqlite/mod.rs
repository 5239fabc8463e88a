//! What only a database in a file can do wrong.

mod changes;
mod file;
mod opening;
mod searches;

use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;
use userbridge::storage::{self, Migrate};

use crate::support::database;

async fn raw(url: &str) -> SqliteConnection {
    let options = url.parse::<SqliteConnectOptions>().unwrap();
    SqliteConnection::connect_with(&options.create_if_missing(true))
        .await
        .unwrap()
}

async fn migrated() -> (TempDir, String) {
    let (folder, url) = database();
    storage::connect(&url, Migrate::Always)
        .await
        .unwrap()
        .close()
        .await;
    (folder, url)
}
