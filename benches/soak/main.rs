//! Whether a server that does everything for a long time stays as it is: `cargo bench --bench soak`.
//!
//! It starts the server as a process of its own, with TLS, has it called in all ways at once, also in bad ones, and looks each
//! second at its memory, its files, its threads and its write-ahead log. `-- --help` lists what can be changed.

mod client;
mod crowd;
mod load;
mod place;
mod proto;
mod samples;
#[path = "../tenants/server.rs"]
mod server;

use std::{error::Error, path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{Instant, interval},
};

use self::{client::Client, load::Load, place::Place, samples::Samples};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// How long `--quick` takes.
const QUICK: Duration = Duration::from_secs(8);

/// The crowd of it.
const QUICK_CROWD: usize = 200;

/// What part of the time is not looked at: in it caches fill.
const WARM_UP: u32 = 4;

/// Calls a server in all ways for a long time, and says whether its memory, files and threads stayed as they were.
#[derive(Parser)]
#[command(bin_name = "cargo bench --bench soak --")]
struct Flags {
    /// For how many minutes.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    minutes: u64,
    /// An empty PostgreSQL database; else it makes a SQLite file.
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// The program that is looked at; else the one that was built with this.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// How many milliseconds each of the callers waits between two calls.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pause: u64,
    /// How many people of another organization are looked up, and in part changed, before it begins: they fill the caches of the
    /// server.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    crowd: usize,
    /// Some seconds: shows that it works, and no more.
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
    let flags = Flags::parse();
    if !flags.bench {
        println!("nothing is measured without `cargo bench`");
        return ExitCode::SUCCESS;
    }
    match run(&flags).await {
        Ok(is_flat) if is_flat || flags.quick => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether the server stayed as it was.
async fn run(flags: &Flags) -> Result<bool> {
    // Whatever ends it, the server is dropped, and so killed.
    let mut terminate = signal(SignalKind::terminate())?;
    let (samples, load) = tokio::select! {
        soaked = soak(flags) => soaked?,
        _ = terminate.recv() => return Err("told to stop".into()),
        interrupted = tokio::signal::ctrl_c() => return Err(interrupted.err().map_or("interrupted".into(), Into::into)),
    };
    if flags.json {
        println!(
            "{}",
            serde_json::json!({ "calls": load.json(), "server": samples.json() })
        );
    } else {
        println!("{load}\n{samples}");
    }
    Ok(samples.is_flat())
}

async fn soak(flags: &Flags) -> Result<(Samples, Load)> {
    let (whole, crowd) = if flags.quick {
        (QUICK, QUICK_CROWD)
    } else {
        (Duration::from_mins(flags.minutes), flags.crowd)
    };
    let place = Place::start(flags.program.as_deref(), flags.database_url.as_deref(), crowd).await?;
    let client = Client::of(&place)?;
    place.crowd.call_all(&client).await?;
    let mut load = Load::start(&client, Duration::from_millis(flags.pause));
    let style = ProgressStyle::with_template("{msg} {bar:40} {elapsed} of {len} s")?;
    let progress = ProgressBar::new(whole.as_secs()).with_style(style);
    let mut samples = Samples::of(&place);
    let mut seconds = interval(Duration::from_secs(1));
    let begin = Instant::now();
    while begin.elapsed() < whole {
        seconds.tick().await;
        load.check()?;
        progress.set_position(begin.elapsed().as_secs());
        if begin.elapsed() > whole / WARM_UP {
            samples.take()?;
        }
    }
    progress.finish_and_clear();
    load.stop().await;
    Ok((samples, load))
}
