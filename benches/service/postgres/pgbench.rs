//! PostgreSQL's own benchmark: how many rows a second it gives to clients that do nothing else.

use std::{fs, process::Stdio, time::Duration};

use tokio::task;

use super::cluster::Cluster;
use crate::{
    Result,
    people::{ORGANIZATIONS, People, organization_id},
    report::Sample,
};

/// Seconds in which the clients connect: part of the time that `pgbench` is given, and not of what it counts as its own.
const CONNECTING: u64 = 2;

/// What `pgbench -S` does, on members: one row by its key. A client asks for the same member some hundred times before it
/// chooses another one, because `pgbench` can't compute ids. None of them may have been deleted.
fn script(people: &People) -> String {
    let numbers = people.members / ORGANIZATIONS;
    let organization = organization_id(0);
    format!(
        r"\set choose random(1, 100)
\if :choose = 1 or :chosen = 0
\set number random(1, {numbers})
\set chosen 1
SELECT organization_id AS organization, user_id AS member FROM members
    WHERE organization_id = '{organization}' AND number = :number \gset
\endif
SELECT id, user_id, email, name, avatar_url, portal_role, company_name, customer_status, created_at FROM members
    WHERE organization_id = :organization AND user_id = :member AND revoked_at IS NULL;
"
    )
}

/// Runs it for this long, in whole seconds, with prepared statements.
pub(crate) async fn run(
    cluster: &Cluster,
    people: &People,
    clients: usize,
    measured: Duration,
) -> Result<Sample> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("members.sql");
    fs::write(&file, script(people))?;
    let mut command = cluster.program("pgbench");
    command
        .args([
            "--no-vacuum",
            "--protocol=prepared",
            "--define=chosen=0",
            "--jobs=2",
        ])
        .arg(format!("--client={clients}"))
        .arg(format!("--time={}", measured.as_secs() + CONNECTING))
        .arg("--file")
        .arg(file)
        .stdin(Stdio::null());
    // It ends by itself: when its time is over, or without its cluster.
    let output = task::spawn_blocking(move || command.output()).await??;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let problem = String::from_utf8_lossy(&output.stderr);
        return Err(format!("pgbench: {} {problem}", output.status).into());
    }
    let number = |name: &str| -> Result<f64> {
        let found = text.lines().find_map(|line| line.strip_prefix(name));
        let first = found.and_then(|rest| rest.split_ascii_whitespace().next());
        Ok(first.ok_or_else(|| format!("pgbench says no {name}"))?.parse()?)
    };
    Ok(Sample {
        per_second: number("tps = ")?,
        p50: None,
        p99: None,
        cpu: None,
        resident: None,
        peak: None,
    })
}
