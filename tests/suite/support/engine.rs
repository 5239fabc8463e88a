//! Storage engines, for tests that run on each.

use std::sync::Arc;

use async_trait::async_trait;
use sqlx::PgConnection;
use tempfile::TempDir;
use userbridge::storage::{self, Migrate, Storage};

use super::{
    database,
    postgres::{Database, Template},
};

/// A storage engine: knows how to make an empty database and how to open it.
#[async_trait(?Send)]
pub(crate) trait Engine: Send + Sync {
    /// A new, empty database. None: the engine is not here, and the test has been said to be skipped.
    async fn new() -> Option<Self>
    where
        Self: Sized;

    fn url(&self) -> &str;
}

/// SQLite in a file.
pub(crate) struct Sqlite {
    url: String,
    _folder: TempDir,
}

#[async_trait(?Send)]
impl Engine for Sqlite {
    async fn new() -> Option<Self> {
        let (folder, url) = database();
        Some(Self { url, _folder: folder })
    }

    fn url(&self) -> &str {
        &self.url
    }
}

/// PostgreSQL, on a server that all cases share.
pub(crate) struct Postgres(Database);

#[async_trait(?Send)]
impl Engine for Postgres {
    async fn new() -> Option<Self> {
        static MIGRATED: Template = Template::new();
        let migrate = async |url: String| open(&url).await.close().await;
        MIGRATED.copy(migrate).await.map(Self)
    }

    fn url(&self) -> &str {
        self.0.url()
    }
}

impl Postgres {
    pub(crate) async fn connect(&self) -> PgConnection {
        self.0.connect().await
    }

    /// A copy of it as it is now. Nobody may be connected to it.
    pub(crate) fn copied(&self) -> Option<Self> {
        self.0.copied().map(Self)
    }
}

/// Opens a database, and makes its tables if need be.
pub(crate) async fn open(url: &str) -> Arc<dyn Storage> {
    storage::connect(url, Migrate::Always).await.unwrap()
}
