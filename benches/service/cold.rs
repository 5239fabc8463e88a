//! What one caller whose people are not in memory does to the others, whose people are: reading from the disk takes a thread
//! that they need.

use std::{fs::File, path::Path, time::Duration};

use rustix::fs::{Advice, fadvise};

use crate::{
    Result,
    clients::Check,
    load::Phase,
    people::People,
    plan::Plan,
    report::{Report, Sample, Workload},
    retrieval::Retrieval,
    seed,
    servers::Program,
    workloads::{COLD, OTHERS, OURS, Protocol, UNDISTURBED, WARM},
};

/// How many people the others ask about: one in each organization.
const FEW: u64 = 1000;

/// How long they ask until all of these are in memory.
const READ_IN: Duration = Duration::from_secs(3);

/// Measures it on the largest size of the plan: of a small one, everything is soon in memory.
pub(crate) async fn run(plan: &Plan, report: &mut Report) -> Result<()> {
    let members = plan.members.iter().copied().max().ok_or("no size")?;
    let (few, all) = (People::new(members.min(FEW)), People::new(members));
    let path = seed::database(&all).await?;
    let server = Program::userbridge(&seed::location(&path))?;
    let load = |people, callers, seed| Retrieval {
        server: &server,
        people,
        protocol: Protocol::Json,
        callers,
        check: Check::Answers,
        seed,
    };
    let (mut undisturbed, mut disturbed, mut cold) = (Vec::new(), Vec::new(), Vec::new());
    for round in (0..).take(plan.rounds as usize) {
        forget(&path)?;
        let read_in = Phase {
            warm_up: READ_IN,
            ..plan.phase()
        };
        let others = load(&few, OTHERS, round);
        undisturbed.push(others.closed(read_in).await?);
        let one = load(&all, 1, round);
        let (others, one) = tokio::try_join!(others.closed(plan.phase()), one.closed(plan.phase()))?;
        disturbed.push(others);
        // The server's CPU is that of the others.
        cold.push(Sample { cpu: None, ..one });
    }
    for (name, callers, server, samples) in [
        (WARM, OTHERS, UNDISTURBED, undisturbed),
        (WARM, OTHERS, OURS, disturbed),
        (COLD, 1, OURS, cold),
    ] {
        let workload = Workload {
            name,
            callers,
            server,
            members,
        };
        report.add(workload, samples);
    }
    Ok(())
}

/// Has the system forget what it keeps of the file in memory. What is not on the disk yet it would keep.
fn forget(path: &Path) -> Result<()> {
    let file = File::open(path)?;
    file.sync_all()?;
    Ok(fadvise(&file, 0, None, Advice::DontNeed)?)
}
