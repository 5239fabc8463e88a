//! The comparison as an SVG: for each kind of work a bar of each server, the longest of which has the full width. It brings its own
//! ground, and both the light and the dark colours, because nobody knows where it is shown.

use std::fmt;

use indicatif::HumanFloatCount;

use super::comparison::{Comparison, Row};
use crate::workloads::OURS;

// In pixels.
const WIDTH: usize = 860;
const MARGIN: usize = 24;
/// Where bars begin.
const BARS: f64 = 290.0;
/// How long the longest is.
const LONGEST: f64 = 340.0;
const BAR: usize = 16;
const LINE: usize = 22;
/// What a kind of work has above its bars.
const HEADING: usize = 40;
/// Where the first kind of work begins.
const TOP: usize = 64;

const STYLE: &str = "\
    text { font: 13px system-ui, sans-serif; fill: #1f2328 }
    .title { font-size: 17px; font-weight: 600 }
    .work { font-weight: 600 }
    .small { font-size: 11px }
    .ground { fill: #ffffff; stroke: #d0d7de }
    .ours { fill: #0969da }
    .peer { fill: #8c959f }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3 }
      .ground { fill: #0d1117; stroke: #30363d }
      .ours { fill: #4493f8 }
      .peer { fill: #6e7681 }
    }";

const TITLE: &str = "Answers a second, beside what one might write instead";

pub(super) struct Picture<'a>(pub(super) &'a Comparison);

impl fmt::Display for Picture<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Comparison { circumstances, rows } = self.0;
        let bars: usize = rows
            .iter()
            .map(|row| HEADING + LINE * (row.peers.len() + 1))
            .sum();
        let height = TOP + bars + 2 * MARGIN;
        writeln!(
            f,
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" aria-labelledby="title description">
  <title id="title">{TITLE}</title>"#
        )?;
        write!(f, r#"  <desc id="description">"#)?;
        rows.iter().try_for_each(|row| describe(f, row))?;
        writeln!(f, "{circumstances}</desc>")?;
        writeln!(f, "  <style>\n{STYLE}\n  </style>")?;
        writeln!(
            f,
            r#"  <rect class="ground" x="0.5" y="0.5" width="{}" height="{}" rx="6"/>"#,
            WIDTH - 1,
            height - 1
        )?;
        writeln!(f, r#"  <text class="title" x="{MARGIN}" y="38">{TITLE}</text>"#)?;
        let mut y = TOP;
        for row in rows {
            y = draw(f, row, y)?;
        }
        writeln!(
            f,
            r#"  <text class="small" x="{MARGIN}" y="{}">{circumstances}</text>"#,
            y + MARGIN
        )?;
        writeln!(f, "</svg>")
    }
}

/// For those who don't see it.
fn describe(f: &mut fmt::Formatter<'_>, row: &Row) -> fmt::Result {
    write!(f, "{}: {OURS} {:.0}", row.what, row.ours.per_second)?;
    for (peer, side, times) in &row.peers {
        write!(
            f,
            "; {} {:.0}, of which ours is {times:.2} times as many",
            peer.label(),
            side.per_second
        )?;
    }
    write!(f, ". ")
}

/// From this line on. Returns the line after it.
fn draw(f: &mut fmt::Formatter<'_>, row: &Row, y: usize) -> Result<usize, fmt::Error> {
    writeln!(
        f,
        r#"  <text class="work" x="{MARGIN}" y="{}">{}</text>"#,
        y + HEADING - 12,
        row.what
    )?;
    let ours = (OURS, "ours", &row.ours, None);
    let peers = row
        .peers
        .iter()
        .map(|(peer, side, times)| (peer.label(), "peer", side, Some(times)));
    let longest = row.peers.iter().map(|(_, side, _)| side.per_second);
    let longest = longest.fold(row.ours.per_second, f64::max);
    let mut y = y + HEADING;
    for (label, class, side, times) in [ours].into_iter().chain(peers) {
        let width = LONGEST * side.per_second / longest;
        let text = y + BAR - 4;
        let numbers = BARS + width + 8.0;
        writeln!(f, r#"  <text x="{MARGIN}" y="{text}">{label}</text>"#)?;
        writeln!(
            f,
            r#"  <rect class="{class}" x="{BARS}" y="{y}" width="{width:.1}" height="{BAR}" rx="2"/>"#
        )?;
        write!(
            f,
            r#"  <text x="{numbers:.1}" y="{text}">{} a second"#,
            HumanFloatCount(side.per_second.round())
        )?;
        if let Some(times) = times {
            write!(f, ", ours {times:.2} times")?;
        }
        writeln!(f, "</text>")?;
        y += LINE;
    }
    Ok(y)
}
