//! The program: parse, dispatch, exit code.

use std::{num::NonZero, process::ExitCode, thread};

use tokio::runtime::Builder;
use userbridge::cli::{self, CliError};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Look-ups in a file are made by one of the runtime's threads (`storage/sqlite/lookup`). While it waits for the disk, another
/// goes on.
const LEAST_THREADS: usize = 2;

fn main() -> ExitCode {
    let threads = thread::available_parallelism().map_or(LEAST_THREADS, NonZero::get);
    let runtime = Builder::new_multi_thread()
        .worker_threads(threads.max(LEAST_THREADS))
        .enable_all()
        .build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(run()),
        Err(error) => Err(error.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            error.exit_code()
        }
    }
}

async fn run() -> Result<(), CliError> {
    cli::run(cli::parse()?).await
}
