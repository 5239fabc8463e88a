//! Times, in the forms in which files have them.

use jiff::{
    Timestamp,
    civil::{Date, DateTime},
    tz::TimeZone,
};

use super::error::Reason;
use crate::domain;

/// `2026-04-01`.
const DATE: usize = 10;
/// From this on a number is Unix seconds (1973), from the next milliseconds (of the same day), up to the last (5138). Smaller
/// ones are nothing that anybody was seen at, or dates without hyphens.
const SECONDS: i128 = 100_000_000;
const MILLISECONDS: i128 = SECONDS * 1000;
const END: i128 = MILLISECONDS * 1000;

/// The moment that a number is: Unix seconds or milliseconds.
pub(super) fn of_number(number: i128) -> Result<domain::Timestamp, Reason> {
    let millis = match number {
        SECONDS..MILLISECONDS => number * 1000,
        MILLISECONDS..END => number,
        _ => return Err(Reason::NotATime),
    };
    let millis = i64::try_from(millis).map_err(|_| Reason::NotATime)?;
    Ok(domain::Timestamp::from_millis(millis))
}

/// The moment that a text is: of RFC 3339, with a space for the `T` too; of UTC without a zone, and at midnight without a time.
/// Never one that reads otherwise in another country, such as `01/04/2026`.
pub(super) fn of_text(text: &str) -> Result<domain::Timestamp, Reason> {
    moment(text)
        .map(|moment| domain::Timestamp::from_millis(moment.as_millisecond()))
        .ok_or(Reason::NotATime)
}

fn moment(text: &str) -> Option<Timestamp> {
    let (date, rest) = text.split_at_checked(DATE)?;
    let date: Date = is_date(date).then(|| date.parse().ok())??;
    if rest.is_empty() {
        return utc(date.into());
    }
    let time = rest.strip_prefix(['T', 't', ' '])?;
    let is_time = |letter: char| letter.is_ascii_digit() || [':', '.', ','].contains(&letter);
    let (time, zone) = time.split_at(time.find(|letter| !is_time(letter)).unwrap_or(time.len()));
    let time = date.to_datetime(time.parse().ok()?);
    match zone.strip_prefix(' ').unwrap_or(zone) {
        "" | "Z" | "z" | "UTC" | "GMT" => utc(time),
        offset if offset.starts_with(['+', '-']) => format!("{time}{offset}").parse().ok(),
        _ => None,
    }
}

fn utc(time: DateTime) -> Option<Timestamp> {
    TimeZone::UTC.to_timestamp(time).ok()
}

/// Whether it is of the form `2026-04-01`. There are more that can be read as a date.
fn is_date(text: &str) -> bool {
    let mut bytes = text.bytes().enumerate();
    bytes.all(|(at, byte)| {
        if at == 4 || at == 7 {
            byte == b'-'
        } else {
            byte.is_ascii_digit()
        }
    })
}
