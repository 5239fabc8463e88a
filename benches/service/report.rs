//! What was measured, against what was to be reached: tables in Markdown, or JSON.

use std::fmt;

use serde::Serialize;

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Sample {
    pub(crate) per_second: f64,
    /// Median latency, in microseconds.
    #[serde(rename = "p50_us")]
    pub(crate) p50: Option<f64>,
    /// Latency that 1 answer in 100 exceeded, in microseconds.
    #[serde(rename = "p99_us")]
    pub(crate) p99: Option<f64>,
    /// User and system time of the server for each answer, in microseconds.
    #[serde(rename = "cpu_us")]
    pub(crate) cpu: Option<f64>,
    /// Resident memory of the server at the end, in MiB.
    #[serde(rename = "resident_mib")]
    pub(crate) resident: Option<f64>,
    /// The most resident memory since the server started, in MiB.
    #[serde(rename = "peak_mib")]
    pub(crate) peak: Option<f64>,
}

impl Sample {
    /// The median of each number by itself.
    pub(crate) fn median(rounds: &[Self]) -> Option<Self> {
        let of = |number: fn(&Self) -> Option<f64>| median(rounds.iter().filter_map(number).collect());
        Some(Self {
            per_second: of(|sample| Some(sample.per_second))?,
            p50: of(|sample| sample.p50),
            p99: of(|sample| sample.p99),
            cpu: of(|sample| sample.cpu),
            resident: of(|sample| sample.resident),
            peak: of(|sample| sample.peak),
        })
    }
}

/// The median of a number's ratios, round by round: what slows the machine down for a while hits both sides of a round.
pub(crate) fn quotient(one: &[Sample], other: &[Sample], number: fn(&Sample) -> Option<f64>) -> Option<f64> {
    let ratios = one.iter().zip(other);
    median(
        ratios
            .filter_map(|(one, other)| Some(number(one)? / number(other)?))
            .collect(),
    )
}

fn median(mut numbers: Vec<f64>) -> Option<f64> {
    numbers.sort_by(f64::total_cmp);
    let middle = numbers.len().checked_sub(1)?;
    Some(f64::midpoint(numbers[middle / 2], numbers[middle.div_ceil(2)]))
}

/// The number as a float. What is counted here is far below 2⁵³.
#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
pub(crate) const fn float(number: u64) -> f64 {
    number as f64
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) callers: usize,
    pub(crate) server: &'static str,
    pub(crate) members: u64,
}

#[derive(Serialize)]
struct Measured {
    #[serde(flatten)]
    workload: Workload,
    median: Sample,
    /// Throughput against the first server that had the same work: the median of the rounds' ratios.
    ratio: Option<f64>,
    rounds: Vec<Sample>,
}

/// What a row of the second table is held against.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
    Under(f64),
}

impl Target {
    fn is_reached(self, measured: f64) -> bool {
        match self {
            Self::AtLeast(target) => measured >= target,
            Self::AtMost(target) => measured <= target,
            Self::Under(target) => measured < target,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(target) => write!(f, "at least {target}"),
            Self::AtMost(target) => write!(f, "at most {target}"),
            Self::Under(target) => write!(f, "under {target}"),
        }
    }
}

#[derive(Serialize)]
struct Goal {
    what: &'static str,
    measured: Option<f64>,
    target: Target,
    reached: Option<bool>,
}

/// Everything, in the order in which it was measured.
#[derive(Serialize)]
pub(crate) struct Report {
    members: Vec<u64>,
    organizations: u64,
    cores: usize,
    rounds: u32,
    seconds: f64,
    measured: Vec<Measured>,
    goals: Vec<Goal>,
}

impl Report {
    pub(crate) fn new(members: &[u64], organizations: u64, rounds: u32, seconds: f64) -> Self {
        Self {
            members: members.to_vec(),
            organizations,
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            rounds,
            seconds,
            measured: Vec::new(),
            goals: Vec::new(),
        }
    }

    /// On what it was measured, and how.
    pub(crate) fn circumstances(&self) -> String {
        let members: Vec<String> = self.members.iter().map(u64::to_string).collect();
        format!(
            "{} members, {} organizations, {} cores for servers and load together; medians of {} rounds of {} s.",
            members.join(", "),
            self.organizations,
            self.cores,
            self.rounds,
            self.seconds
        )
    }

    /// Adds the rounds of a workload. Workloads to compare differ in the server only.
    pub(crate) fn add(&mut self, workload: Workload, rounds: Vec<Sample>) {
        let Some(median) = Sample::median(&rounds) else {
            return;
        };
        let first = self
            .measured
            .iter()
            .find(|other| (other.workload.name, other.workload.callers) == (workload.name, workload.callers));
        let ratio =
            first.and_then(|first| quotient(&rounds, &first.rounds, |sample| Some(sample.per_second)));
        self.measured.push(Measured {
            workload,
            median,
            ratio,
            rounds,
        });
    }

    /// The rounds of a workload, if it was part of the run.
    pub(crate) fn rounds(&self, (name, callers, server): (&str, usize, &str)) -> Option<&[Sample]> {
        self.measured
            .iter()
            .find(|measured| {
                let workload = &measured.workload;
                (workload.name, workload.callers, workload.server) == (name, callers, server)
            })
            .map(|measured| &measured.rounds[..])
    }

    /// Holds a number against its target. None: it was not part of the run.
    pub(crate) fn goal(&mut self, what: &'static str, measured: Option<f64>, target: Target) {
        self.goals.push(Goal {
            what,
            measured,
            target,
            reached: measured.map(|measured| target.is_reached(measured)),
        });
    }
}

/// As tables of Markdown.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", self.circumstances())?;
        table(
            f,
            &[
                "workload",
                "callers",
                "server",
                "req/s",
                "ratio",
                "p50 µs",
                "p99 µs",
                "CPU µs/req",
                "MiB",
                "peak MiB",
            ],
            self.measured.iter().map(Measured::cells),
        )?;
        writeln!(f)?;
        table(
            f,
            &["", "measured", "target", ""],
            self.goals.iter().map(Goal::cells),
        )
    }
}

impl Measured {
    fn cells(&self) -> Vec<String> {
        let optional = |number: Option<f64>, digits: usize| {
            number.map_or_else(String::new, |number| format!("{number:.digits$}"))
        };
        vec![
            self.workload.name.to_owned(),
            self.workload.callers.to_string(),
            self.workload.server.to_owned(),
            format!("{:.0}", self.median.per_second),
            optional(self.ratio, 2),
            optional(self.median.p50, 0),
            optional(self.median.p99, 0),
            optional(self.median.cpu, 1),
            optional(self.median.resident, 0),
            optional(self.median.peak, 0),
        ]
    }
}

impl Goal {
    fn cells(&self) -> Vec<String> {
        let verdict = match self.reached {
            Some(true) => "reached",
            Some(false) => "MISSED",
            None => "not measured",
        };
        vec![
            self.what.to_owned(),
            self.measured
                .map_or_else(String::new, |measured| format!("{measured:.2}")),
            self.target.to_string(),
            verdict.to_owned(),
        ]
    }
}

fn table(f: &mut fmt::Formatter<'_>, head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> fmt::Result {
    let rows: Vec<Vec<String>> = rows.collect();
    let widths: Vec<usize> = head
        .iter()
        .enumerate()
        .map(|(column, title)| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells
                .map(|cell| cell.chars().count())
                .chain([title.chars().count(), 3])
                .max()
                .unwrap_or_default()
        })
        .collect();
    let mut line = |cells: &[String]| {
        for (cell, width) in cells.iter().zip(&widths) {
            write!(f, "| {cell:<width$} ")?;
        }
        writeln!(f, "|")
    };
    line(&head.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    line(&widths.iter().map(|width| "-".repeat(*width)).collect::<Vec<_>>())?;
    rows.iter().try_for_each(|row| line(row))
}
