//! Load, in a closed loop (a caller asks again when it is answered) and in an open one (requests come when they come).

use std::{
    thread,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use tokio::{
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
    task::JoinSet,
    time::{sleep_until, timeout_at},
};

use crate::{
    Result,
    people::Random,
    report::{Sample, float},
    servers::Program,
};

/// How long after the end of a phase its last answer must be there.
const GRACE: Duration = Duration::from_secs(20);

/// The longest latency that is told apart.
const LONGEST: Duration = Duration::from_secs(60);

/// Makes one request after the other.
pub(crate) trait Caller: Send + 'static {
    /// Makes one and waits for the answer. False: there is nothing left to ask.
    ///
    /// # Errors
    ///
    /// No answer, or a wrong one. It ends the run.
    fn call(&mut self) -> impl Future<Output = Result<bool>> + Send;
}

#[derive(Clone, Copy)]
pub(crate) struct Phase {
    /// Load that is not counted, first.
    pub(crate) warm_up: Duration,
    /// Then the load that is.
    pub(crate) measured: Duration,
}

struct Seen {
    latencies: Histogram<u64>,
    /// When it ran out of things to ask.
    dry_at: Option<Instant>,
}

/// Lets each caller ask again as soon as it is answered. CPU and memory are those of `server`.
pub(crate) async fn closed<C: Caller>(
    callers: Vec<C>,
    phase: Phase,
    server: Option<&Program>,
) -> Result<Sample> {
    let start = Instant::now() + phase.warm_up;
    let end = start + phase.measured;
    let mut tasks = JoinSet::new();
    for caller in callers {
        tasks.spawn(ask_until(caller, start, end));
    }
    measure(tasks, start, end, server).await
}

/// Requests come at random moments, `rate` a second on average, whether or not earlier ones are answered. Latency counts
/// from the moment at which a request was to be made.
pub(crate) async fn open<C: Caller>(
    callers: Vec<C>,
    rate: f64,
    phase: Phase,
    server: Option<&Program>,
) -> Result<Sample> {
    let begin = Instant::now();
    let start = begin + phase.warm_up;
    let end = start + phase.measured;
    let mut tasks = JoinSet::new();
    let mut queues = Vec::with_capacity(callers.len());
    for caller in callers {
        let (queue, due) = mpsc::unbounded_channel();
        queues.push(queue);
        tasks.spawn(ask_when_due(caller, due, start));
    }
    // A thread of its own: tokio's timers are too coarse by far.
    let pace = tokio::task::spawn_blocking(move || pace(&queues, rate, begin, end));
    let sample = measure(tasks, start, end, server).await;
    pace.await?;
    sample
}

async fn measure(
    mut tasks: JoinSet<Result<Seen>>,
    start: Instant,
    end: Instant,
    server: Option<&Program>,
) -> Result<Sample> {
    sleep_until(start.into()).await;
    let before = server.map(Program::usage).transpose()?;
    // Errors and callers that have nothing left to ask end it early.
    let mut latencies = histogram()?;
    let mut end_of_all = end;
    let mut after = None;
    while let Some(seen) = timeout_at((end + GRACE).into(), tasks.join_next()).await? {
        if after.is_none() {
            after = server.map(Program::usage).transpose()?;
        }
        let seen = seen??;
        latencies.add(&seen.latencies)?;
        end_of_all = seen.dry_at.map_or(end_of_all, |at| at.min(end_of_all));
    }
    let requests = latencies.len();
    if requests == 0 {
        return Err("nothing was answered in time".into());
    }
    let cpu = before
        .zip(after)
        .map(|(before, after)| after.cpu.saturating_sub(before.cpu).as_secs_f64() * 1e6 / float(requests));
    Ok(Sample {
        per_second: float(requests) / end_of_all.duration_since(start).as_secs_f64(),
        p50: Some(float(latencies.value_at_quantile(0.5)) / 1e3),
        p99: Some(float(latencies.value_at_quantile(0.99)) / 1e3),
        cpu,
        resident: after.map(|usage| float(usage.resident) / 1024.0),
        peak: after.map(|usage| float(usage.peak) / 1024.0),
    })
}

async fn ask_until(mut caller: impl Caller, start: Instant, end: Instant) -> Result<Seen> {
    let mut latencies = histogram()?;
    loop {
        let begun = Instant::now();
        if begun >= end {
            return Ok(Seen {
                latencies,
                dry_at: None,
            });
        }
        if !caller.call().await? {
            return Ok(Seen {
                latencies,
                dry_at: Some(Instant::now()),
            });
        }
        let answered = Instant::now();
        if answered >= start && answered <= end {
            record(&mut latencies, answered - begun);
        }
    }
}

async fn ask_when_due(
    mut caller: impl Caller,
    mut due: UnboundedReceiver<Instant>,
    start: Instant,
) -> Result<Seen> {
    let mut latencies = histogram()?;
    while let Some(intended) = due.recv().await {
        caller.call().await?;
        if intended >= start {
            record(&mut latencies, intended.elapsed());
        }
    }
    Ok(Seen {
        latencies,
        dry_at: None,
    })
}

/// Tells the callers, in turn, when to ask. Gaps are exponential, as between requests of many who know nothing of each
/// other.
fn pace(queues: &[UnboundedSender<Instant>], rate: f64, begin: Instant, end: Instant) {
    let mut random = Random::new(1);
    let mut due = begin;
    for queue in queues.iter().cycle() {
        due += Duration::from_secs_f64(-random.fraction().ln() / rate);
        if due >= end {
            return;
        }
        let early = due.saturating_duration_since(Instant::now());
        if !early.is_zero() {
            thread::sleep(early);
        }
        if queue.send(due).is_err() {
            return;
        }
    }
}

/// Of nanoseconds, from a microsecond to [`LONGEST`], to three digits.
fn histogram() -> Result<Histogram<u64>> {
    let longest = u64::try_from(LONGEST.as_nanos())?;
    Ok(Histogram::new_with_bounds(1000, longest, 3)?)
}

fn record(latencies: &mut Histogram<u64>, latency: Duration) {
    latencies.saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
}
