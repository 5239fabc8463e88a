//! What is logged, and where to.

use std::{
    env::{self, VarError},
    io::{self, IsTerminal as _},
};

use clap::ValueEnum;
use thiserror::Error;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

const VARIABLE: &str = "USERBRIDGE_LOG";

/// The variable says nothing that can be followed. To overlook that would hide what its author wants to see.
#[derive(Debug, Error)]
#[error(
    "{VARIABLE}={0:?} is neither a level (off, error, warn, info, debug, trace) nor levels by module such as \
     warn,userbridge=debug"
)]
pub struct InvalidLog(String);

/// How lines of the log are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// An object a line.
    Json,
}

/// Lines that wait to be written.
const WAITING: usize = 4_096;

/// Logging. It ends with this, once what waits is written, for a second at most.
#[derive(Debug)]
#[must_use]
pub struct Logging {
    _writer: WorkerGuard,
}

/// Logs to stderr what `USERBRIDGE_LOG` says; `info` if it says nothing. A thread of its own writes the lines, so that nobody waits for a
/// reader that has stopped to read. What comes while 4,096 lines wait is lost, and so is a line that can't be written, on a full disk
/// or to a reader that is gone.
///
/// # Errors
///
/// It is not understood.
pub fn init(format: Format) -> Result<Logging, InvalidLog> {
    let filter = filter()?;
    let (writer, guard) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(WAITING)
        .thread_name("log")
        .finish(io::stderr());
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // They would be told on stderr as well, by what panics if that fails: whoever has logged would end.
        .log_internal_errors(false)
        .with_writer(writer);
    match format {
        Format::Text => log.with_ansi(io::stderr().is_terminal()).init(),
        Format::Json => log.json().flatten_event(true).init(),
    }
    Ok(Logging { _writer: guard })
}

fn filter() -> Result<EnvFilter, InvalidLog> {
    match env::var(VARIABLE) {
        Ok(text) if !text.trim().is_empty() => parse(&text),
        Ok(_) | Err(VarError::NotPresent) => Ok(EnvFilter::new("info")),
        Err(VarError::NotUnicode(text)) => Err(InvalidLog(text.to_string_lossy().into_owned())),
    }
}

fn parse(text: &str) -> Result<EnvFilter, InvalidLog> {
    // To the library a lone word is a module. Here it is a level that somebody misspelt.
    let is_misspelt = |directive: &str| {
        !directive.contains(['=', '[', ']']) && directive.trim().parse::<LevelFilter>().is_err()
    };
    let filter = EnvFilter::builder().parse(text);
    match filter {
        Ok(filter) if !text.split(',').any(is_misspelt) => Ok(filter),
        _ => Err(InvalidLog(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_and_levels_by_module_are_understood_and_nothing_else() {
        for good in [
            "off",
            "warn",
            "INFO",
            "warn,userbridge=debug",
            "userbridge_gateway=trace",
        ] {
            assert!(parse(good).is_ok(), "{good}");
        }
        for bad in [
            "nonsense",
            "userbridge",
            "warn,nonsense",
            "userbridge=nonsense",
            "=",
            "warn;debug",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
