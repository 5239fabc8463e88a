//! The run on SQLite: which phases there are, and in which order.

use std::{fs, io, path::PathBuf};

use tempfile::TempDir;

use crate::{
    Result,
    baselines::Baseline,
    clients::Check,
    cold,
    deletes::{self, Victims},
    import, peers,
    people::{ORGANIZATIONS, People},
    plan::Plan,
    report::{Report, Sample, Workload},
    retrieval::Retrieval,
    seed,
    servers::{Location, Program},
    sqlite_alone,
    workloads::{
        ALONE, AT_LARGE, AT_SMALL, DELETE, DELETERS, GRPC_BY_SIZE, IMPORT, IN_GROUPS, JSON_BY_SIZE, MANY,
        ONE_BY_ONE, OURS, Protocol,
    },
};

/// The size that the targets are stated for.
const STATED: u64 = 1_000_000;

/// Sizes that are compared with each other.
const SMALL: u64 = 10_000;
const LARGE: u64 = 10_000_000;

/// Closed loops that are compared: the first baseline, then ours, then the others.
const SECTIONS: [(&str, Protocol, usize, &[Baseline]); 6] = [
    (
        "json-128",
        Protocol::Json,
        MANY,
        &[Baseline::Axum, Baseline::Constant],
    ),
    ("json-32", Protocol::Json, 32, &[Baseline::Axum]),
    ("json-1", Protocol::Json, 1, &[Baseline::Axum]),
    (
        "grpc-128",
        Protocol::Grpc,
        MANY,
        &[Baseline::Tonic, Baseline::PlainPool],
    ),
    ("grpc-32", Protocol::Grpc, 32, &[Baseline::Tonic]),
    (
        "grpc-1",
        Protocol::Grpc,
        1,
        &[Baseline::Tonic, Baseline::PlainPool],
    ),
];

struct Run {
    plan: Plan,
    people: People,
    /// Its file.
    file: PathBuf,
    database: Location,
    ours: Program,
    baselines: Vec<(Baseline, Program)>,
    report: Report,
    /// Differs for each phase, so that none asks what another has asked.
    seed: u64,
    /// Has `database`, and is removed with the run.
    _folder: TempDir,
}

/// Makes the databases that are missing, then goes through the sections in the order of the report.
pub(crate) async fn run(plan: Plan) -> Result<Report> {
    if plan.names("peers") {
        peers::installed()?;
    }
    let size = plan.members.iter().copied().find(|size| *size == STATED);
    let size = size.or_else(|| plan.members.first().copied()).ok_or("no size")?;
    for members in &plan.members {
        seed::database(&People::new(*members)).await?;
    }
    let people = People::new(size);
    // A copy, because the run deletes and adds.
    let folder = tempfile::tempdir_in(seed::folder())?;
    let file = folder.path().join("run.db");
    fs::copy(seed::database(&people).await?, &file)?;
    let database = seed::location(&file);
    let baselines = [
        Baseline::Axum,
        Baseline::Tonic,
        Baseline::Constant,
        Baseline::PlainPool,
    ]
    .into_iter()
    .map(|baseline| Ok((baseline, baseline.start(&database)?)))
    .collect::<Result<_>>()?;
    let mut run = Run {
        ours: Program::userbridge(&database)?,
        report: Report::new(
            &plan.members,
            ORGANIZATIONS,
            plan.rounds,
            plan.measured.as_secs_f64(),
        ),
        plan,
        people,
        file,
        database,
        baselines,
        seed: 0,
        _folder: folder,
    };
    run.closed_loops().await?;
    run.open_loops().await?;
    run.import().await?;
    run.deletes().await?;
    run.sizes().await?;
    if run.plan.names("peers") {
        peers::run(&run.plan, &run.people, &mut run.report).await?;
    }
    if run.plan.names("cold") {
        cold::run(&run.plan, &mut run.report).await?;
    }
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

    async fn closed_loops(&mut self) -> Result<()> {
        for (section, protocol, callers, baselines) in SECTIONS {
            if !self.plan.includes(section) {
                continue;
            }
            // A baseline, ours, the other baselines: A B C A B C.
            let mut servers: Vec<Option<Baseline>> = baselines.iter().copied().map(Some).collect();
            servers.insert(1, None);
            let mut samples = vec![Vec::new(); servers.len()];
            for _ in 0..self.plan.rounds {
                for (server, samples) in servers.iter().zip(&mut samples) {
                    samples.push(self.retrieve(protocol, callers, *server).await?);
                }
            }
            for (server, samples) in servers.into_iter().zip(samples) {
                self.add(
                    protocol.retrieve(),
                    callers,
                    server.map_or(OURS, Baseline::label),
                    samples,
                );
            }
        }
        Ok(())
    }

    /// None: ours.
    fn server(&self, baseline: Option<Baseline>) -> Result<&Program> {
        let Some(baseline) = baseline else {
            return Ok(&self.ours);
        };
        let program = self
            .baselines
            .iter()
            .find_map(|(other, program)| (*other == baseline).then_some(program));
        program.ok_or_else(|| "it does not run".into())
    }

    /// One phase of one server. None: ours.
    async fn retrieve(
        &mut self,
        protocol: Protocol,
        callers: usize,
        baseline: Option<Baseline>,
    ) -> Result<Sample> {
        self.seed += 1;
        let phase = self.plan.phase();
        let server = self.server(baseline)?;
        let check = match baseline {
            None | Some(Baseline::PlainPool) => Check::Answers,
            Some(_) => Check::OnlySuccess,
        };
        let load = Retrieval {
            server,
            people: &self.people,
            protocol,
            callers,
            check,
            seed: self.seed,
        };
        load.closed(phase).await
    }

    async fn open_loops(&mut self) -> Result<()> {
        if !self.plan.includes("open") {
            return Ok(());
        }
        for protocol in [Protocol::Json, Protocol::Grpc] {
            let closed = self.report.rounds((protocol.retrieve(), MANY, OURS));
            let capacity = match closed.and_then(Sample::median) {
                Some(sample) => sample.per_second,
                None => self.retrieve(protocol, MANY, None).await?.per_second,
            };
            let mut samples = Vec::new();
            for _ in 0..self.plan.rounds {
                self.seed += 1;
                let load = Retrieval {
                    server: &self.ours,
                    people: &self.people,
                    protocol,
                    callers: MANY,
                    check: Check::Answers,
                    seed: self.seed,
                };
                samples.push(load.open(capacity / 2.0, self.plan.phase()).await?);
            }
            self.add(protocol.open(), MANY, OURS, samples);
        }
        Ok(())
    }

    async fn import(&mut self) -> Result<()> {
        if !self.plan.includes("import") {
            return Ok(());
        }
        let (mut alone, mut beside) = (Vec::new(), Vec::new());
        // Numbers that no member has, others in each round.
        let mut first = LARGE * 10;
        for _ in 0..self.plan.rounds {
            alone.push(self.retrieve(Protocol::Json, MANY, None).await?);
            let mut import = import::start(&self.database, first)?;
            first += LARGE;
            beside.push(self.retrieve(Protocol::Json, MANY, None).await?);
            import.still_runs()?;
        }
        self.add(IMPORT, MANY, ALONE, alone);
        self.add(IMPORT, MANY, OURS, beside);
        Ok(())
    }

    async fn deletes(&mut self) -> Result<()> {
        if !self.plan.includes("delete") {
            return Ok(());
        }
        let victims = Victims::new(self.people.clone());
        let (mut single, mut group, mut alone) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..self.plan.rounds {
            let plain = self.server(Some(Baseline::PlainPool))?;
            single.push(deletes::run(plain, &victims, self.plan.phase()).await?);
            group.push(deletes::run(&self.ours, &victims, self.plan.phase()).await?);
            alone.push(sqlite_alone::deletes(&self.file, &victims, self.plan.phase()).await?);
        }
        self.add(DELETE, DELETERS, ONE_BY_ONE, single);
        self.add(DELETE, DELETERS, OURS, group);
        self.add(DELETE, DELETERS, IN_GROUPS, alone);
        Ok(())
    }

    async fn sizes(&mut self) -> Result<()> {
        let (small, large) = (
            self.plan.members.contains(&SMALL),
            self.plan.members.contains(&LARGE),
        );
        if !(small && large && self.plan.includes("sizes")) {
            return Ok(());
        }
        let servers = [(SMALL, AT_SMALL), (LARGE, AT_LARGE)]
            .into_iter()
            .map(|(members, name)| SizedServer::start(members, name))
            .collect::<Vec<_>>();
        let mut started = Vec::new();
        for server in servers {
            started.push(server.await?);
        }
        for (protocol, workload) in [(Protocol::Json, JSON_BY_SIZE), (Protocol::Grpc, GRPC_BY_SIZE)] {
            let mut samples = vec![Vec::new(); started.len()];
            for _ in 0..self.plan.rounds {
                for (server, samples) in started.iter().zip(&mut samples) {
                    self.seed += 1;
                    samples.push(
                        server
                            .retrieval(protocol, self.seed)
                            .closed(self.plan.phase())
                            .await?,
                    );
                }
            }
            for (server, samples) in started.iter().zip(samples) {
                let workload = Workload {
                    name: workload,
                    callers: MANY,
                    server: server.name,
                    members: server.people.members,
                };
                self.report.add(workload, samples);
            }
        }
        Ok(())
    }
}

/// Ours on a database of some size, which it only reads.
struct SizedServer {
    name: &'static str,
    people: People,
    program: Program,
}

impl SizedServer {
    async fn start(members: u64, name: &'static str) -> Result<Self> {
        let people = People::new(members);
        let path = seed::database(&people).await?;
        // Reads it once, so that what is compared is the work and not what the machine happens to have in memory.
        io::copy(&mut fs::File::open(&path)?, &mut io::sink())?;
        let program = Program::userbridge(&seed::location(&path))?;
        Ok(Self {
            name,
            people,
            program,
        })
    }

    const fn retrieval(&self, protocol: Protocol, seed: u64) -> Retrieval<'_> {
        Retrieval {
            server: &self.program,
            people: &self.people,
            protocol,
            callers: MANY,
            check: Check::Answers,
            seed,
        }
    }
}
