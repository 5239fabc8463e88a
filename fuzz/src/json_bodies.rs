//! Bodies that say they are JSON.

use serde::de::IgnoredAny;
use serde_json::Value;

use crate::{
    Tried,
    world::{World, with_world},
};

/// Integers of more digits are none to Python.
const MAX_DIGITS: usize = 4300;

/// An input is a body. Each contract that takes JSON gets it: it is answered as the contract says, and what `serde_json`
/// can read is not refused as no JSON.
pub fn json_bodies(input: &[u8]) -> Tried {
    with_world(|world| {
        let body = world.filled_in(input);
        productbridge(world, &body);
        let feedier = world.post_json("/v3/users", body.clone());
        feedier.assert_json(&[201, 400, 422]);
        let thebridge = world.post_json("/account/tenant/user", body);
        thebridge.assert_json(&[201, 400, 409, 413]);
    });
    Tried::Yes
}

fn productbridge(world: &World, body: &[u8]) {
    let answer = world.post_json("/api/external/v1/users/retrieve", body.to_vec());
    answer.assert_json(&[200, 400, 401, 404, 413, 422]);
    let detail = &answer.json()["detail"];
    let broken = &detail[0]["type"] == "json_invalid";
    if broken {
        // Code points, of which there are no more than bytes.
        let position = detail[0]["loc"][1].as_u64().unwrap();
        assert!(position <= body.len() as u64, "{answer:?}");
        assert!(
            detail[0]["ctx"]["error"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{answer:?}"
        );
    }
    let digits = body.split(|byte| !byte.is_ascii_digit()).map(<[u8]>::len).max();
    if digits < Some(MAX_DIGITS)
        && str::from_utf8(body).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
    {
        assert!(!broken && answer.status != 400, "{answer:?}");
    }
    if let Ok(Value::Object(fields)) = serde_json::from_slice(body) {
        let known = fields.get("api_key").and_then(Value::as_str) == Some(&world.public_key);
        let by_email = fields.get("email").is_some_and(Value::is_string) && !fields.contains_key("user_id");
        if known && by_email {
            assert!([200, 404].contains(&answer.status.as_u16()), "{answer:?}");
        }
    }
}
