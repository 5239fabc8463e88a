//! `userbridge check`.

use serde_json::json;

use super::{
    CliError, Global, output,
    progress::{Progress, Unit},
};
use crate::storage;

/// Checks the database and says what was found, a line each.
///
/// # Errors
///
/// [`CliError::Found`]: something was.
pub(super) async fn check(global: &Global, url: &str) -> Result<(), CliError> {
    let progress = Progress::new(global.json, "check", Unit::Things);
    let tell = |done, of| progress.tell(done, of);
    let findings = progress.during(storage::check::check(url, &tell)).await;
    let findings = findings.map_err(|error| CliError::from(error).about(url))?;
    let name = storage::name(url);
    if global.json {
        output::json(&json!({ "database": name, "ok": findings.is_empty(), "findings": findings }))?;
    } else if findings.is_empty() {
        output::line(format_args!("{name} is well"))?;
    } else {
        for finding in &findings {
            output::line(finding)?;
        }
    }
    match findings.len() {
        0 => Ok(()),
        found => Err(CliError::Found(format!("{name}: {found} findings"))),
    }
}
