//! What one organization's load costs another: `cargo bench --bench tenants`.
//!
//! It starts the server as a process of its own and measures what organization B waits for, alone and beside what
//! organization X does, in turn, so that whatever else the machine does hits both. A third organization writes now and
//! then throughout. `-- --help` lists what can be changed.

mod attacks;
mod calls;
mod directory;
mod proto;
mod server;

use std::{error::Error, process::ExitCode, time::Duration};

use clap::Parser;
use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::Instant,
};

use self::{attacks::Attack, calls::Call, directory::Directory};

/// The same as the server's, so that it gets no less of the machine.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// What is measured: the load of X, and the calls of B beside it.
const ROWS: [(Attack, Call); 8] = [
    (Attack::Watchers(300), Call::ListMembers),
    (Attack::Watchers(300), Call::UpdateMember),
    (Attack::Watchers(1000), Call::ListMembers),
    (Attack::Watchers(1000), Call::Watch),
    (Attack::Scans(4), Call::GetMember),
    (Attack::Scans(4), Call::ListMembers),
    (Attack::Links(200), Call::UpdateMember),
    (Attack::FeedierUpdates(24), Call::FeedierUpdate),
];

/// Load that is not counted, before each phase.
const WARM_UP: Duration = Duration::from_millis(200);

/// The longest that one request may take. It ends the run.
const LONGEST: Duration = Duration::from_secs(30);

/// Measures what one organization's load costs another.
#[derive(Parser)]
#[command(bin_name = "cargo bench --bench tenants --")]
struct Flags {
    /// How many members X has.
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    members: u32,
    /// How often each phase runs.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// How many milliseconds each phase takes.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(10..=60_000))]
    millis: u64,
    /// One short round with few members: shows that it works, and no more.
    #[arg(long)]
    quick: bool,
    /// Print one JSON object instead of the table.
    #[arg(long)]
    json: bool,
    /// Cargo gives it to a benchmark, and not to a test.
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let mut flags = Flags::parse();
    if !flags.bench {
        println!("nothing is measured without `cargo bench`");
        return ExitCode::SUCCESS;
    }
    if flags.quick {
        (flags.members, flags.rounds, flags.millis) = (500, 1, 100);
    }
    match run(&flags).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(flags: &Flags) -> Result<()> {
    // Whatever ends it, the server is dropped, and so killed.
    let mut terminate = signal(SignalKind::terminate())?;
    let compared = tokio::select! {
        compared = compare(flags) => compared?,
        _ = terminate.recv() => return Err("told to stop".into()),
        interrupted = tokio::signal::ctrl_c() => return Err(interrupted.err().map_or("interrupted".into(), Into::into)),
    };
    if flags.json {
        let rows: Vec<_> = compared.iter().map(Compared::json).collect();
        println!(
            "{}",
            serde_json::json!({ "members": flags.members, "rows": rows })
        );
    } else {
        print(flags, &compared);
    }
    Ok(())
}

async fn compare(flags: &Flags) -> Result<Vec<Compared>> {
    let directory = Directory::start(flags.members).await?;
    let _writes = directory.neighbour()?;
    let style = ProgressStyle::with_template("{msg:30} {bar:40} {pos} of {len} {eta}")?;
    let progress =
        ProgressBar::new(u64::from(flags.rounds) * ROWS.iter().map(|_| 2).sum::<u64>()).with_style(style);
    let measured = Duration::from_millis(flags.millis);
    let mut compared = Vec::new();
    for (attack, call) in ROWS {
        progress.set_message(attack.to_string());
        let (mut alone, mut beside) = (Seen::new()?, Seen::new()?);
        let mut done = attacks::Done::default();
        for _ in 0..flags.rounds {
            alone.call(&directory, call, measured).await?;
            progress.inc(1);
            let running = attack.start(&directory).await?;
            beside.call(&directory, call, measured).await?;
            done += running.stop().await;
            progress.inc(1);
        }
        compared.push(Compared {
            attack,
            call,
            alone,
            beside,
            done,
        });
    }
    progress.finish_and_clear();
    Ok(compared)
}

struct Seen {
    /// Nanoseconds.
    latencies: Histogram<u64>,
    refused: u64,
}

impl Seen {
    fn new() -> Result<Self> {
        let longest = u64::try_from(LONGEST.as_nanos())?;
        Ok(Self {
            latencies: Histogram::new_with_bounds(1000, longest, 3)?,
            refused: 0,
        })
    }

    /// One caller, which calls again when it is answered.
    async fn call(&mut self, directory: &Directory, call: Call, measured: Duration) -> Result<()> {
        let mut caller = calls::Caller::new(directory, call).await?;
        let start = Instant::now() + WARM_UP;
        loop {
            let begun = Instant::now();
            if begun >= start + measured {
                return Ok(());
            }
            let answered = tokio::time::timeout(LONGEST, caller.call()).await??;
            if Instant::now() < start {
            } else if answered {
                let latency = u64::try_from(begun.elapsed().as_nanos())?;
                self.latencies.saturating_record(latency);
            } else {
                self.refused += 1;
            }
            if !answered {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }

    /// In microseconds. None: nothing was answered.
    fn quantile(&self, quantile: f64) -> Option<f64> {
        let nanos = u32::try_from(self.latencies.value_at_quantile(quantile)).unwrap_or(u32::MAX);
        (!self.latencies.is_empty()).then(|| f64::from(nanos) / 1e3)
    }
}

struct Compared {
    attack: Attack,
    call: Call,
    alone: Seen,
    beside: Seen,
    done: attacks::Done,
}

impl Compared {
    fn ratio(&self, quantile: f64) -> Option<f64> {
        Some(self.beside.quantile(quantile)? / self.alone.quantile(quantile)?)
    }

    fn json(&self) -> serde_json::Value {
        let seen = |seen: &Seen| {
            serde_json::json!({
                "p50_us": seen.quantile(0.5),
                "p99_us": seen.quantile(0.99),
                "answered": seen.latencies.len(),
                "refused": seen.refused,
            })
        };
        serde_json::json!({
            "x": self.attack.to_string(),
            "b": self.call.to_string(),
            "alone": seen(&self.alone),
            "beside": seen(&self.beside),
            "x_done": self.done.done,
            "x_refused": self.done.refused,
        })
    }
}

fn print(flags: &Flags, compared: &[Compared]) {
    let Flags {
        members,
        rounds,
        millis,
        ..
    } = flags;
    println!("X has {members} members. {rounds} rounds of {millis} ms, alone and beside X in turn.\n");
    println!(
        "| X                        | B             | p50 alone µs | beside | ratio | p99 alone µs | beside | ratio | B refused | X done | X refused |"
    );
    println!(
        "| ------------------------ | ------------- | ------------ | ------ | ----- | ------------ | ------ | ----- | --------- | ------ | --------- |"
    );
    for row in compared {
        let number = |value: Option<f64>, digits: usize| {
            value.map_or("-".to_owned(), |value| format!("{value:.digits$}"))
        };
        println!(
            "| {:24} | {:13} | {:>12} | {:>6} | {:>5} | {:>12} | {:>6} | {:>5} | {:>9} | {:>6} | {:>9} |",
            row.attack.to_string(),
            row.call.to_string(),
            number(row.alone.quantile(0.5), 0),
            number(row.beside.quantile(0.5), 0),
            number(row.ratio(0.5), 1),
            number(row.alone.quantile(0.99), 0),
            number(row.beside.quantile(0.99), 0),
            number(row.ratio(0.99), 1),
            format!(
                "{} of {}",
                row.beside.refused,
                row.beside.refused + row.beside.latencies.len()
            ),
            row.done.done,
            row.done.refused,
        );
    }
}
