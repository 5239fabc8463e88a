//! Moments on the wire.

use prost_types::Timestamp as ProtoTimestamp;

use crate::domain::Timestamp;

/// The years that `google.protobuf.Timestamp` has: 0001 to 9999, in seconds since 1970.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// As the wire has it.
pub(super) fn to_proto(time: Timestamp) -> ProtoTimestamp {
    let millis = time.as_millis();
    // The remainder is below a thousand, so it fits.
    let nanos = i32::try_from(millis.rem_euclid(1000) * 1_000_000).unwrap_or_default();
    ProtoTimestamp { seconds: millis.div_euclid(1000), nanos }
}

/// What a caller sent, its parts of milliseconds cut off.
///
/// # Errors
///
/// What is wrong with it.
pub(super) fn from_proto(time: ProtoTimestamp) -> Result<Timestamp, &'static str> {
    if SECONDS.contains(&time.seconds) && (0..1_000_000_000).contains(&time.nanos) {
        Ok(Timestamp::from_millis(time.seconds * 1000 + i64::from(time.nanos / 1_000_000)))
    } else {
        Err("must be a moment of the years 0001 to 9999")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_reads_back_to_the_millisecond() {
        for millis in [0, 1_775_030_400_012, -1] {
            let time = Timestamp::from_millis(millis);
            assert_eq!(from_proto(to_proto(time)), Ok(time));
        }
    }

    #[test]
    fn a_moment_outside_the_calendar_is_refused() {
        for (seconds, nanos) in [(i64::MAX, 0), (i64::MIN, 0), (253_402_300_800, 0), (0, -1), (0, 1_000_000_000)] {
            assert!(from_proto(ProtoTimestamp { seconds, nanos }).is_err(), "{seconds} {nanos}");
        }
    }
}
