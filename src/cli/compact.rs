//! `userbridge compact`.

use super::{CliError, Global, Session, output};
use crate::storage::{self, Migrate};

pub(super) async fn run(global: &Global) -> Result<(), CliError> {
    let session = Session::open(global, Migrate::Never).await?;
    let compacted = session.storage.compact().await;
    let result = compacted.map_err(|error| CliError::Store {
        database: storage::name(global.database_url()),
        error: error.into(),
    });
    session.close(result).await?;
    if global.json {
        output::json(&serde_json::json!({ "compacted": true }))
    } else {
        println!("{} is compacted", global.database_url());
        Ok(())
    }
}
