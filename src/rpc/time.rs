//! Moments as messages.

use prost_types::Timestamp as ProtoTimestamp;

use crate::domain::Timestamp;

/// A moment as a message.
pub(super) fn timestamp(time: Timestamp) -> ProtoTimestamp {
    let millis = time.as_millis();
    // The remainder is below a thousand, so it fits.
    let nanos = i32::try_from(millis.rem_euclid(1000) * 1_000_000).unwrap_or_default();
    ProtoTimestamp {
        seconds: millis.div_euclid(1000),
        nanos,
    }
}

/// The moment of a message, to the millisecond below.
///
/// # Errors
///
/// It is outside of the years 1 to 9999, or its nanoseconds are not below a second (google/protobuf/timestamp.proto).
pub(super) fn moment(time: ProtoTimestamp) -> Result<Timestamp, &'static str> {
    Ok(Timestamp::from_millis(whole_millis(time)?))
}

/// The moment of a message that begins or ends a range, to the millisecond above: of times in whole milliseconds, just
/// those are before it that are before the moment itself.
///
/// # Errors
///
/// As [`moment`].
pub(super) fn bound(time: ProtoTimestamp) -> Result<Timestamp, &'static str> {
    let rest = i64::from(time.nanos % 1_000_000 != 0);
    Ok(Timestamp::from_millis(whole_millis(time)? + rest))
}

fn whole_millis(time: ProtoTimestamp) -> Result<i64, &'static str> {
    const YEARS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;
    if !YEARS.contains(&time.seconds) || !(0..1_000_000_000).contains(&time.nanos) {
        return Err("must be a time of the years 1 to 9999");
    }
    Ok(time.seconds * 1000 + i64::from(time.nanos) / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_reads_back_to_the_millisecond() {
        for millis in [0, 1_775_030_400_012, -1] {
            let time = Timestamp::from_millis(millis);
            assert_eq!(moment(timestamp(time)), Ok(time));
        }
    }

    #[test]
    fn a_moment_outside_the_calendar_is_refused() {
        for (seconds, nanos) in [
            (i64::MAX, 0),
            (i64::MIN, 0),
            (253_402_300_800, 0),
            (0, -1),
            (0, 1_000_000_000),
        ] {
            let time = ProtoTimestamp { seconds, nanos };
            assert!(moment(time).is_err() && bound(time).is_err(), "{seconds} {nanos}");
        }
    }

    #[test]
    fn a_bound_between_two_milliseconds_is_the_later_one() {
        for (seconds, nanos, below, above) in [
            (1, 5_000_000, 1005, 1005),
            (1, 5_000_001, 1005, 1006),
            (1, 999_999_999, 1999, 2000),
            // 1.5 ms before 1970.
            (-1, 998_500_000, -2, -1),
        ] {
            let time = ProtoTimestamp { seconds, nanos };
            assert_eq!(moment(time), Ok(Timestamp::from_millis(below)));
            assert_eq!(bound(time), Ok(Timestamp::from_millis(above)));
        }
    }
}
