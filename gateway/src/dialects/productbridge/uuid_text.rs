//! A UUID as the vendor's framework reads it, with the words it has for one it cannot read.
//!
//! That framework validates with the `uuid` crate 1.23, whose error texts the vendor's clients see. Later
//! versions word them differently and accept `URN:UUID:` in any case, so the texts and the prefix are kept
//! here.

use uuid::Uuid;

const URN: &str = "urn:uuid:";
/// Where the five groups of the hyphenated form begin.
const STARTS: [usize; 5] = [0, 9, 14, 19, 24];
const LENGTHS: [usize; 5] = [8, 4, 4, 4, 12];

/// Reads the hyphenated form, bare, in braces or after `urn:uuid:`, or 32 bare digits; digits in either case.
/// The error is the framework's text.
pub fn parse(text: &str) -> Result<Uuid, String> {
    // Wrappers count only around a length that can be right, and are then left out of what an error says.
    let bare = match text.len() {
        38 => unbraced(text).unwrap_or(text),
        45 => text.strip_prefix(URN).unwrap_or(text),
        _ => text,
    };
    if matches!(bare.len(), 32 | 36)
        && let Ok(uuid) = Uuid::try_parse(bare)
    {
        return Ok(uuid);
    }
    Err(error(bare))
}

fn unbraced(text: &str) -> Option<&str> {
    text.strip_prefix('{')?.strip_suffix('}')
}

/// Why this is no UUID: the first strange character (counted in bytes, from one), else the number of groups,
/// else the first group of a wrong length. The last group is measured to the end of the whole text, closing
/// brace and prefix included, as the crate did it.
fn error(text: &str) -> String {
    let (groups, offset, wrapped) = if let Some(inner) = unbraced(text) {
        (inner, 1, true)
    } else if let Some(inner) = text.strip_prefix(URN) {
        (inner, URN.len(), true)
    } else {
        (text, 0, false)
    };
    if let Some((index, character)) = groups
        .char_indices()
        .find(|(_, character)| *character != '-' && !character.is_ascii_hexdigit())
    {
        return format!("invalid character: found `{character}` at {}", index + offset + 1);
    }
    let count = groups.split('-').count();
    if count == 1 && !wrapped {
        return format!(
            "invalid length: expected length 32 for simple format, found {}",
            text.len()
        );
    }
    if count != STARTS.len() {
        return format!("invalid group count: expected 5, found {count}");
    }
    let wrong = groups
        .split('-')
        .zip(LENGTHS)
        .take(4)
        .position(|(group, length)| group.len() != length);
    let (group, found) = match wrong {
        Some(group) => (group, groups.split('-').nth(group).map_or(0, str::len)),
        None => (4, text.len() - STARTS[4]),
    };
    format!(
        "invalid group length in group {group}: expected {}, found {found}",
        LENGTHS[group]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_four_forms_are_read_in_either_case() {
        let uuid = Uuid::from_u128(0xbb3c_3ef8_b8cd_4d15_81ba_0000_0000_0001);
        for text in [
            "bb3c3ef8-b8cd-4d15-81ba-000000000001",
            "BB3C3EF8-b8cd-4d15-81BA-000000000001",
            "bb3c3ef8b8cd4d1581ba000000000001",
            "{bb3c3ef8-b8cd-4d15-81ba-000000000001}",
            "urn:uuid:bb3c3ef8-b8cd-4d15-81ba-000000000001",
        ] {
            assert_eq!(parse(text), Ok(uuid), "{text}");
        }
    }

    #[test]
    fn errors_are_told_in_the_frameworks_words() {
        for (text, error) in [
            (
                "",
                "invalid length: expected length 32 for simple format, found 0",
            ),
            (
                "bb3c3ef8b8cd4d1581ba00000000000",
                "invalid length: expected length 32 for simple format, found 31",
            ),
            (
                "urn:uuid:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                "invalid length: expected length 32 for simple format, found 36",
            ),
            ("é", "invalid character: found `é` at 1"),
            ("{é}", "invalid character: found `é` at 2"),
            ("éx", "invalid character: found `é` at 1"),
            (
                "bb3c3ef8-b8cd-4d15-81ba-0000000000ég",
                "invalid character: found `é` at 35",
            ),
            ("urn:uuid:é", "invalid character: found `é` at 10"),
            (
                "urn:uuid:bb3c3ef8-b8cd-4d15-81ba-00000000000g",
                "invalid character: found `g` at 36",
            ),
            (
                "URN:UUID:bb3c3ef8-b8cd-4d15-81ba-000000000001",
                "invalid character: found `U` at 1",
            ),
            (
                "{bb3c3ef8-b8cd-4d15-81ba-000000000001",
                "invalid character: found `{` at 1",
            ),
            (
                "bb3c3ef8-b8cd-4d15-81ba-000000000001 ",
                "invalid character: found ` ` at 37",
            ),
            ("{}", "invalid group count: expected 5, found 1"),
            (
                "{bb3c3ef8b8cd4d1581ba000000000001}",
                "invalid group count: expected 5, found 1",
            ),
            (
                "urn:uuid:bb3c3ef8b8cd4d1581ba000000000001",
                "invalid group count: expected 5, found 1",
            ),
            (
                "--------------------------------",
                "invalid group count: expected 5, found 33",
            ),
            ("----", "invalid group length in group 0: expected 8, found 0"),
            (
                "bb3c3ef8-b8cd-4d15-81ba0-00000000001",
                "invalid group length in group 3: expected 4, found 5",
            ),
            (
                "bb3c3ef8-b8cd-4d15-81ba-0000000000011",
                "invalid group length in group 4: expected 12, found 13",
            ),
            (
                "{bb3c3ef8-b8cd-4d15-81ba-0000000001}",
                "invalid group length in group 4: expected 12, found 12",
            ),
            (
                "urn:uuid:bb3c3ef8-b8cd-4d15-81ba-0000000001",
                "invalid group length in group 4: expected 12, found 19",
            ),
        ] {
            assert_eq!(parse(text), Err(error.to_owned()), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn every_text_is_a_uuid_or_has_an_error(text in "[{]?(urn:uuid:)?[0-9a-fA-F{}é-]{0,50}") {
            if let Ok(uuid) = parse(&text) {
                assert_eq!(Uuid::try_parse(&text).ok(), Some(uuid));
            }
        }
    }
}
