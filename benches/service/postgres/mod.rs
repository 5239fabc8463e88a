//! The same on PostgreSQL: ours, a plain pool and `pgbench`, all on one cluster.

mod cluster;
mod pgbench;
mod plain_pool;
#[path = "../../../tests/suite/support/programs.rs"]
mod programs;
mod seed;

use std::str::FromStr as _;

use sqlx::{ConnectOptions as _, Connection as _, postgres::PgConnectOptions};

use self::cluster::Cluster;
pub(crate) use self::plain_pool::PostgresPool;
use crate::{
    Result,
    baselines::Baseline,
    clients::Check,
    deletes::{self, Victims},
    people::{ORGANIZATIONS, People},
    plan::Plan,
    report::{Report, Sample, Workload},
    retrieval::Retrieval,
    seed::migrate,
    servers::Program,
    workloads::{DELETE, DELETERS, MANY, ONE_BY_ONE, OURS, PGBENCH, Protocol},
};

/// Closed loops of ours and of the plain pool.
const SECTIONS: [(&str, Protocol, usize); 3] = [
    ("json-128", Protocol::Json, MANY),
    ("grpc-128", Protocol::Grpc, MANY),
    ("grpc-1", Protocol::Grpc, 1),
];

struct Run {
    plan: Plan,
    people: People,
    ours: Program,
    pool: Program,
    report: Report,
    /// Differs for each phase, so that none asks what another has asked.
    seed: u64,
    /// Ends after the programs that use it.
    cluster: Cluster,
}

/// Makes a cluster with the first size of the plan and goes through the sections.
pub(crate) async fn run(plan: Plan) -> Result<Report> {
    let members = plan.members.first().copied().ok_or("no size")?;
    let people = People::new(members);
    let cluster = Cluster::start()?;
    let location = cluster.location();
    migrate(&location)?;
    let mut options = PgConnectOptions::from_str(&location.name)?;
    if let Some(password) = &location.password {
        options = options.password(password);
    }
    let mut connection = options.connect().await?;
    seed::fill(&mut connection, &people).await?;
    connection.close().await?;
    let mut run = Run {
        ours: Program::userbridge(&location)?,
        pool: Baseline::PostgresPool.start(&location)?,
        report: Report::new(
            &[members],
            ORGANIZATIONS,
            plan.rounds,
            plan.measured.as_secs_f64(),
        ),
        plan,
        people,
        seed: 0,
        cluster,
    };
    run.retrieves().await?;
    run.deletes().await?;
    Ok(run.report)
}

impl Run {
    fn add(&mut self, name: &'static str, callers: usize, server: &'static str, rounds: Vec<Sample>) {
        let workload = Workload {
            name,
            callers,
            server,
            members: self.people.members,
        };
        self.report.add(workload, rounds);
    }

    async fn retrieves(&mut self) -> Result<()> {
        for (section, protocol, callers) in SECTIONS {
            if !self.plan.includes(section) {
                continue;
            }
            let beside_pgbench = matches!(protocol, Protocol::Json);
            let (mut plain, mut ours, mut rows) = (Vec::new(), Vec::new(), Vec::new());
            for _ in 0..self.plan.rounds {
                for (server, samples) in [(&self.pool, &mut plain), (&self.ours, &mut ours)] {
                    self.seed += 1;
                    let load = Retrieval {
                        server,
                        people: &self.people,
                        protocol,
                        callers,
                        check: Check::Answers,
                        seed: self.seed,
                    };
                    samples.push(load.closed(self.plan.phase()).await?);
                }
                if beside_pgbench {
                    rows.push(pgbench::run(&self.cluster, &self.people, callers, self.plan.measured).await?);
                }
            }
            self.add(
                protocol.retrieve(),
                callers,
                Baseline::PostgresPool.label(),
                plain,
            );
            self.add(protocol.retrieve(), callers, OURS, ours);
            self.add(protocol.retrieve(), callers, PGBENCH, rows);
        }
        Ok(())
    }

    async fn deletes(&mut self) -> Result<()> {
        if !self.plan.includes("delete") {
            return Ok(());
        }
        let victims = Victims::new(self.people.clone());
        let (mut single, mut group) = (Vec::new(), Vec::new());
        for _ in 0..self.plan.rounds {
            single.push(deletes::run(&self.pool, &victims, self.plan.phase()).await?);
            group.push(deletes::run(&self.ours, &victims, self.plan.phase()).await?);
        }
        self.add(DELETE, DELETERS, ONE_BY_ONE, single);
        self.add(DELETE, DELETERS, OURS, group);
        Ok(())
    }
}
