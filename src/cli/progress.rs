//! How far a command is, on a terminal, if it takes long.

use std::{
    io::{self, IsTerminal as _},
    pin::pin,
    time::Duration,
};

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::timeout;

/// What is done by then was not worth a bar.
const AFTER: Duration = Duration::from_secs(2);

/// How often the bar moves by itself.
const TICK: Duration = Duration::from_millis(100);

/// What is counted on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Bytes,
    /// Rows, or rules.
    Things,
    /// A part of a file, beside what is counted.
    Part,
    /// How far it is can't be known.
    Nothing,
}

/// A bar on standard error. Where that is no terminal, or with `--json`, there is none.
pub(super) struct Progress {
    bar: ProgressBar,
    may_show: bool,
}

impl Progress {
    pub(super) fn new(json: bool, doing: &'static str, unit: Unit) -> Self {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::hidden());
        let style = ProgressStyle::with_template(match unit {
            Unit::Bytes => "{prefix} {wide_bar} {bytes}/{total_bytes} {eta}",
            Unit::Things => "{prefix} {wide_bar} {human_pos}/{human_len} {eta}",
            Unit::Part => "{prefix} {wide_bar} {percent} % {msg} {eta}",
            Unit::Nothing => "{prefix} {spinner} {elapsed} {msg}",
        });
        let bar = match style {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        };
        Self {
            bar: bar.with_prefix(doing),
            may_show: !json && io::stderr().is_terminal(),
        }
    }

    /// So much of so much is done.
    pub(super) fn tell(&self, done: u64, of: u64) {
        self.bar.set_length(of);
        self.bar.set_position(done);
    }

    /// So many rows are done.
    pub(super) fn count(&self, rows: u64) {
        let seconds = self.bar.elapsed().as_secs().max(1);
        let (rows, rate) = (HumanCount(rows), HumanCount(rows / seconds));
        self.bar.set_message(format!("{rows} rows, {rate}/s"));
    }

    /// Waits for the work. The bar is gone when it is done.
    pub(super) async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        if !self.may_show {
            return work.await;
        }
        let mut work = pin!(work);
        if let Ok(done) = timeout(AFTER, &mut work).await {
            return done;
        }
        self.bar.set_draw_target(ProgressDrawTarget::stderr());
        self.bar.enable_steady_tick(TICK);
        let done = work.await;
        self.bar.finish_and_clear();
        done
    }
}
