//! The peers beside ours, as people read it: a table of Markdown, and the rows of the picture.

use std::fmt;

use indicatif::HumanFloatCount;

use super::{Peer, picture::Picture};
use crate::{
    report::{Report, Sample, quotient},
    workloads::{BESIDE_PEERS, CONNECTIONS, DELETE_BESIDE_PEERS, DELETERS, OURS},
};

/// Everything that ours and a peer did both.
pub(crate) struct Comparison {
    /// On what it was measured, and how.
    pub(super) circumstances: String,
    pub(super) rows: Vec<Row>,
}

/// One kind of work.
pub(super) struct Row {
    pub(super) what: String,
    pub(super) ours: Side,
    /// Each peer that does it, and how many times as much ours does: the median of the rounds' ratios.
    pub(super) peers: Vec<(Peer, Side, f64)>,
}

pub(super) struct Side {
    pub(super) per_second: f64,
    /// In milliseconds.
    p99: Option<f64>,
}

impl Comparison {
    /// None: the peers were not part of the run.
    pub(crate) fn of(report: &Report) -> Option<Self> {
        let retrieves = CONNECTIONS.map(|connections| {
            let plural = if connections == 1 { "" } else { "s" };
            let what = format!("JSON retrieve, {connections} connection{plural}");
            (what, BESIDE_PEERS, connections)
        });
        let deletes = (
            format!("durable delete, {DELETERS} connections"),
            DELETE_BESIDE_PEERS,
            DELETERS,
        );
        let rows: Vec<Row> = retrieves
            .into_iter()
            .chain([deletes])
            .filter_map(|(what, name, callers)| row(report, what, name, callers))
            .collect();
        (!rows.is_empty()).then(|| Self {
            circumstances: report.circumstances(),
            rows,
        })
    }

    /// As SVG.
    pub(crate) fn picture(&self) -> String {
        Picture(self).to_string()
    }
}

fn row(report: &Report, what: String, name: &str, callers: usize) -> Option<Row> {
    let ours = report.rounds((name, callers, OURS))?;
    let peers = Peer::ALL.into_iter().filter_map(|peer| {
        let theirs = report.rounds((name, callers, peer.label()))?;
        let times = quotient(ours, theirs, |sample| Some(sample.per_second))?;
        Some((peer, side(theirs)?, times))
    });
    Some(Row {
        what,
        peers: peers.collect(),
        ours: side(ours)?,
    })
}

fn side(rounds: &[Sample]) -> Option<Side> {
    let median = Sample::median(rounds)?;
    Some(Side {
        per_second: median.per_second,
        p99: median.p99.map(|micros| micros / 1e3),
    })
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", HumanFloatCount(self.per_second.round()))?;
        match self.p99 {
            Some(p99) => write!(f, " ({p99:.1} ms)"),
            None => Ok(()),
        }
    }
}

/// As a table of Markdown.
impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "Answers a second, in brackets the latency that 1 in 100 exceeded, and how many times as many answers ours gives. Printed by \
             `cargo bench --bench service -- --only peers`: {}\n",
            self.circumstances
        )?;
        let labels = Peer::ALL.map(Peer::label).join(" | ");
        writeln!(f, "| | {OURS} | {labels} |")?;
        writeln!(f, "|---|---|{}", "---|".repeat(Peer::ALL.len()))?;
        for row in &self.rows {
            write!(f, "| {} | {} |", row.what, row.ours)?;
            for peer in Peer::ALL {
                match row.peers.iter().find(|(other, ..)| *other == peer) {
                    Some((_, side, times)) => write!(f, " {side}, **{times:.2}** |")?,
                    None => write!(f, " |")?,
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
