//! ProductBridge's contract, by both forms of the gateway.

mod http;
mod keys;
mod organizations;
mod program;
mod python;
mod random;
mod recorded;
mod staff;
mod users;

/// An address that is no member's.
const NOBODY: &str = "nobody@acme.example.com";
/// A user that is none.
const NO_USER: &str = "00000000-0000-4000-8000-000000000000";
const SALLY: &str = "sally@acme.example.com";

const RETRIEVE: &str = "/api/external/v1/users/retrieve";
const DELETE: &str = "/api/external/v1/users/delete";
const PING: &str = "/api/external/v1/ping";

const USER_NOT_FOUND: &str = r#"{"detail":{"error":"user not found"}}"#;
const INVALID_KEY: &str = r#"{"detail":{"error":"invalid api_key"}}"#;

/// A body with a key and one more field.
fn body(key: &str, field: &str, value: &str) -> String {
    serde_json::json!({ "api_key": key, field: value }).to_string()
}
