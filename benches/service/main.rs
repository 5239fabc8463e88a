//! How close the server comes to what its stack can do, in one command: `cargo bench --bench service`.
//!
//! It starts the baselines and ours as processes of their own and asks them in turn, A B A B, so that whatever else the
//! machine does hits both. Everything listens on loopback, every phase ends in time, and missing a target is told, not
//! punished. `-- --help` lists what can be changed.
//!
//! `run` does what a `plan` says: it has `people` looked up or deleted by `clients` under `load`, of servers (`servers`,
//! `baselines`, `peers`), and fills a `report`, which `goals` then judges. No module uses one that uses it.

mod baselines;
mod clients;
mod cold;
mod deletes;
mod goals;
mod import;
mod load;
mod peers;
mod people;
mod plain_pool;
mod plain_row;
mod plan;
#[path = "../../tests/suite/support/port.rs"]
mod port;
mod postgres;
mod proto;
mod report;
mod retrieval;
mod run;
mod seed;
mod servers;
mod sqlite_alone;
mod workloads;

use std::{error::Error, fs, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};

use self::{baselines::Baseline, peers::Comparison, plan::Plan};

/// The same as ours, so that the comparison is of nothing else.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Measures the server against the baselines of its stack.
#[derive(Parser)]
#[command(bin_name = "cargo bench --bench service --")]
struct Flags {
    /// The database to measure on. PostgreSQL is a cluster that lives as long as the run.
    #[arg(long, value_name = "ENGINE", value_enum, default_value_t = Engine::Sqlite)]
    database: Engine,
    /// Sizes of the database. Most is measured at 1000000, or the first if that is not among them.
    #[arg(long, value_delimiter = ',', value_name = "LIST", default_value = "1000000")]
    members: Vec<u64>,
    /// How often each phase runs. Many short rounds suffer less from a busy machine than few long ones.
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// How many seconds each phase takes.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// One round of one second on 10000 members: shows that it works, and no more.
    #[arg(long)]
    quick: bool,
    /// Only these: json-128, json-32, json-1, grpc-128, grpc-32, grpc-1, open, import, delete, sizes. And, only if
    /// they are named: peers, which must be installed, and cold.
    #[arg(long, value_delimiter = ',', value_name = "LIST")]
    only: Vec<String>,
    /// Print all rounds as JSON instead of the tables.
    #[arg(long)]
    json: bool,
    /// Where to write a picture of the comparison with the peers.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Cargo gives it to a benchmark, and not to a test.
    #[arg(long, hide = true)]
    bench: bool,
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Engine {
    Sqlite,
    Postgres,
}

/// What this program starts itself for.
#[derive(Subcommand)]
enum Part {
    /// A server to compare with.
    #[command(hide = true)]
    Baseline {
        baseline: Baseline,
        /// A URL without its password.
        #[arg(long)]
        database: String,
    },
    /// An import beside the server.
    #[command(hide = true)]
    Import {
        #[arg(long)]
        database: String,
        #[arg(long)]
        first: u64,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Flags::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(flags: Flags) -> Result<()> {
    match &flags.part {
        Some(Part::Baseline { baseline, database }) => return baseline.serve(database).await,
        Some(Part::Import { database, first }) => return import::run(database, *first).await,
        None => {}
    }
    if !flags.bench {
        println!("nothing is measured without `cargo bench`");
        return Ok(());
    }
    if flags.svg.is_some() && !flags.only.iter().any(|only| only == "peers") {
        return Err("--svg is a picture of what --only peers measures".into());
    }
    let (json, engine, svg) = (flags.json, flags.database, flags.svg.clone());
    let measure = async {
        match engine {
            Engine::Sqlite => run::run(flags.plan()).await,
            Engine::Postgres => postgres::run(flags.plan()).await,
        }
    };
    // Whatever ends it, the servers are dropped, and so killed.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut report = tokio::select! {
        report = measure => report?,
        _ = terminate.recv() => return Err("told to stop".into()),
        interrupted = tokio::signal::ctrl_c() => return Err(interrupted.err().map_or("interrupted".into(), Into::into)),
    };
    match engine {
        Engine::Sqlite => goals::judge(&mut report),
        Engine::Postgres => goals::judge_postgres(&mut report),
    }
    let comparison = Comparison::of(&report);
    if json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
        if let Some(comparison) = &comparison {
            print!("\n{comparison}");
        }
    }
    if let (Some(path), Some(comparison)) = (svg, comparison) {
        fs::write(path, comparison.picture())?;
    }
    Ok(())
}

impl Flags {
    fn plan(self) -> Plan {
        if self.quick {
            return Plan {
                members: vec![10_000],
                rounds: 1,
                measured: Duration::from_secs(1),
                only: self.only,
            };
        }
        Plan {
            members: self.members,
            rounds: self.rounds,
            measured: Duration::from_secs(self.seconds),
            only: self.only,
        }
    }
}
