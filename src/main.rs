//! The program: parse, dispatch, exit code.

use std::{
    io::{self, Write as _},
    num::NonZero,
    process::ExitCode,
    thread,
};

use tokio::runtime::Builder;
use userbridge::cli::{self, Cli, CliError};
use userbridge_gateway::config_file::Parsed;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Look-ups in a file are made by one of the runtime's threads (`storage/sqlite/lookup`). While it waits for the disk, another
/// goes on.
const LEAST_THREADS: usize = 2;

/// By how much long work beside a server gives way to it: of what both want it gets a sixth (sched(7)).
const NICENESS: i32 = 7;

fn main() -> ExitCode {
    match cli::parse().and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The exit code says it, too.
            let _ = writeln!(io::stderr(), "error: {error}");
            error.exit_code()
        }
    }
}

fn run(parsed: Parsed<Cli>) -> Result<(), CliError> {
    if parsed.arguments.gives_way() {
        // Threads have it from the one that starts them. Where it can't be changed, the work is done as quickly.
        let _ = rustix::process::nice(NICENESS);
    }
    let threads = thread::available_parallelism().map_or(LEAST_THREADS, NonZero::get);
    let runtime = Builder::new_multi_thread()
        .worker_threads(threads.max(LEAST_THREADS))
        .enable_all()
        .build()?;
    let done = runtime.block_on(cli::run(parsed));
    // A disk that does not answer has nobody wait for the end.
    runtime.shutdown_background();
    done
}
