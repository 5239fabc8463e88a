//! `userbridge migrate`.

use super::{CliError, Global, Session, output};
use crate::storage::Migrate;

pub(super) async fn run(global: &Global) -> Result<(), CliError> {
    let session = Session::open(global, Migrate::Always).await?;
    session.close(Ok(())).await?;
    if global.json {
        output::json(&serde_json::json!({ "migrated": true }))
    } else {
        println!("{} is up to date", global.database_url());
        Ok(())
    }
}
