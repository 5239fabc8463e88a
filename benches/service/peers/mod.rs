//! What users might write instead of this, asked the same: Fastify with better-sqlite3, and FastAPI with
//! `SQLAlchemy`.
//!
//! The peers keep the same people in tables of their own, get the same bodies over as many connections, and are served
//! generously: `fastify/server.js` and `fastapi/app.py` say what they leave out. [`Comparison`] is what comes of it.

mod comparison;
mod picture;
mod programs;
mod seed;

use std::fs;

pub(crate) use self::{
    comparison::Comparison,
    programs::{Peer, installed},
};
use crate::{
    Result,
    clients::Check,
    deletes::{self, Victims},
    people::People,
    plan::Plan,
    report::{Report, Sample, Workload},
    retrieval::Retrieval,
    seed as ours_seed,
    servers::Program,
    workloads::{BESIDE_PEERS, CONNECTIONS, DELETE_BESIDE_PEERS, DELETERS, OURS, Protocol},
};

/// Asks ours and the peers in turn.
pub(crate) async fn run(plan: &Plan, people: &People, report: &mut Report) -> Result<()> {
    let people = people.clone().half_by_address();
    retrieves(plan, &people, report).await?;
    deletes(plan, &people, report).await
}

async fn retrieves(plan: &Plan, people: &People, report: &mut Report) -> Result<()> {
    let ours = Program::userbridge(&ours_seed::location(&ours_seed::database(people).await?))?;
    let database = seed::database(people)?;
    let mut peers = Vec::new();
    for peer in Peer::ALL {
        peers.push((peer, peer.start(&database).await?));
    }
    let programs = || peers.iter().map(|(_, program)| program);
    let mut seed = 0;
    let load = |server, callers, seed| Retrieval {
        server,
        people,
        protocol: Protocol::Json,
        callers,
        check: Check::Answers,
        seed,
    };
    // Not counted: until a peer's last worker is there, and its code is compiled.
    for program in programs() {
        load(program, 32, seed).closed(plan.phase()).await?;
    }
    for callers in CONNECTIONS {
        // The peer that the goal names, ours, the others.
        let first = Peer::ALL.iter().position(|peer| *peer == Peer::to_beat(callers));
        let mut servers: Vec<_> = peers
            .iter()
            .map(|(peer, program)| (peer.label(), program))
            .collect();
        servers.swap(0, first.unwrap_or_default());
        servers.insert(1, (OURS, &ours));
        let mut samples = vec![Vec::new(); servers.len()];
        for _ in 0..plan.rounds {
            // The same for all.
            seed += 1;
            for ((_, server), samples) in servers.iter().zip(&mut samples) {
                samples.push(load(server, callers, seed).closed(plan.phase()).await?);
            }
        }
        for ((server, _), samples) in servers.iter().zip(samples) {
            add(report, people, (BESIDE_PEERS, callers, server), samples);
        }
    }
    Ok(())
}

/// On copies, which are thrown away.
async fn deletes(plan: &Plan, people: &People, report: &mut Report) -> Result<()> {
    let folder = tempfile::tempdir_in(ours_seed::folder())?;
    let (theirs, own) = (folder.path().join("peers.db"), folder.path().join("ours.db"));
    fs::copy(seed::database(people)?, &theirs)?;
    fs::copy(ours_seed::database(people).await?, &own)?;
    let peer = Peer::Fastify1;
    let servers = [
        (peer.label(), peer.start(&theirs).await?),
        (OURS, Program::userbridge(&ours_seed::location(&own))?),
    ];
    let victims = [Victims::new(people.clone()), Victims::new(people.clone())];
    let mut samples = [Vec::new(), Vec::new()];
    for _ in 0..plan.rounds {
        for (((_, server), victims), samples) in servers.iter().zip(&victims).zip(&mut samples) {
            samples.push(deletes::json(server, victims, plan.phase()).await?);
        }
    }
    for ((server, _), samples) in servers.iter().zip(samples) {
        add(report, people, (DELETE_BESIDE_PEERS, DELETERS, server), samples);
    }
    Ok(())
}

fn add(
    report: &mut Report,
    people: &People,
    (name, callers, server): (&'static str, usize, &'static str),
    rounds: Vec<Sample>,
) {
    let workload = Workload {
        name,
        callers,
        server,
        members: people.members,
    };
    report.add(workload, rounds);
}
