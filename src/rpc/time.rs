//! Moments as messages.

use prost_types::Timestamp as ProtoTimestamp;

use crate::domain::Timestamp;

/// A moment as a message.
pub(super) fn timestamp(time: Timestamp) -> ProtoTimestamp {
    let millis = time.as_millis();
    // The remainder is below a thousand, so it fits.
    let nanos = i32::try_from(millis.rem_euclid(1000) * 1_000_000).unwrap_or_default();
    ProtoTimestamp { seconds: millis.div_euclid(1000), nanos }
}

/// The moment of a message, to the millisecond below.
///
/// # Errors
///
/// It is outside of the years 1 to 9999, or its nanoseconds are (google/protobuf/timestamp.proto).
pub(super) fn moment(time: ProtoTimestamp) -> Result<Timestamp, &'static str> {
    const YEARS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;
    if !YEARS.contains(&time.seconds) || !(0..1_000_000_000).contains(&time.nanos) {
        return Err("must be a time of the years 1 to 9999");
    }
    Ok(Timestamp::from_millis(time.seconds * 1000 + i64::from(time.nanos) / 1_000_000))
}
