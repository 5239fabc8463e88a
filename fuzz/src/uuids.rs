//! Texts for ids.

use std::str;

use serde_json::json;
use uuid::Uuid;

use crate::{Tried, world::with_world};

const URN: &str = "urn:uuid:";
const FOUND: &str = "invalid character: found `";

/// An input is a text, which ProductBridge gets as `user_id`: the `uuid` crate can read it, or it is refused, and the position
/// of a character that the error names has that character.
pub fn uuids(input: &[u8]) -> Tried {
    let Ok(text) = str::from_utf8(input) else {
        return Tried::NoInput;
    };
    let answer = with_world(|world| {
        let body = json!({ "api_key": world.public_key, "user_id": text });
        world.post_json("/api/external/v1/users/retrieve", body.to_string().into_bytes())
    });
    answer.assert_json(&[200, 404, 422]);
    // The prefix is taken in this letter case alone, as the vendor's framework does.
    let prefix = text.get(..URN.len());
    let shouted = prefix.is_some_and(|prefix| prefix.eq_ignore_ascii_case(URN) && prefix != URN);
    let readable = Uuid::parse_str(text).is_ok() && !shouted;
    assert_eq!(answer.status != 422, readable, "{answer:?}");
    let detail = &answer.json()["detail"][0];
    let error = detail["ctx"]["error"].as_str().unwrap_or_default();
    if let Some((_, found)) = error.split_once(FOUND) {
        let character = found.chars().next().unwrap();
        let position = found.rsplit(' ').next().unwrap().parse::<usize>().unwrap();
        // Without what is wrapped around it, if the length is right.
        let bare = [
            text,
            text.get(1..).unwrap_or_default(),
            text.get(URN.len()..).unwrap_or_default(),
        ];
        let is_there = |text: &str| {
            text.get(position - 1..)
                .is_some_and(|rest| rest.starts_with(character))
        };
        assert!(bare.into_iter().any(is_there), "{answer:?}");
    }
    Tried::Yes
}
