//! `userbridge compact`.

use super::{CliError, Global, Session, output};
use crate::storage::Migrate;

pub(super) async fn run(global: &Global) -> Result<(), CliError> {
    let session = Session::open(global, Migrate::Never).await?;
    let result = session.storage.compact().await.map_err(CliError::from);
    session.close(result).await?;
    if global.json {
        output::json(&serde_json::json!({ "compacted": true }))
    } else {
        println!("{} is compacted", global.database_url());
        Ok(())
    }
}
