//! Whatever is sent to the gateway, to whichever dialect: never a 5xx, never a lost connection, always JSON.
//!
//! The requests come from fixed seeds, so that one that fails fails again. The dialects' own tests of this kind
//! (`feedier/random.rs`, `productbridge/random.rs`) look deeper into bodies and find the smallest that fails.

use std::{collections::BTreeSet, iter::repeat_with};

use tokio::task::JoinSet;
use userbridge::domain::Scope;

use crate::support::{
    TestApp, gateway_tests,
    wire::{Reply, Wire},
};

gateway_tests!(nothing_gives_a_server_error);

/// Requests to each form of the gateway.
const REQUESTS: usize = 2500;

/// How many connections they share.
const CONNECTIONS: usize = 4;

const METHODS: [&str; 9] = [
    "GET", "GET", "POST", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS",
];

const PATHS: [&str; 26] = [
    "/v3/users",
    "/v3/users",
    "/v3/users",
    "/v3/users/1",
    "/v3/users/2",
    "/v3/users/3",
    "/v3/users/4",
    "/v3/users/-1",
    "/v3/users/99999999999999999999",
    "/v3/users/%31",
    "/v3/users/%FF",
    "/v3/users/%00",
    "/v3/users/1/",
    "/v3/users//",
    "/v3/%75sers",
    "/v3",
    "/v3/%",
    "/",
    "//v3/users",
    "/%C0%AF",
    "/api/external/v1/users/retrieve",
    "/api/external/v1/users/retrieve/",
    "/api/external/v1/users/%72etrieve",
    "/api/external/v1/users/delete",
    "/api/external/v1/ping",
    "/api/external/v1/users/retrieve%FF",
];

const TYPES: [&str; 12] = [
    "application/json",
    "application/json",
    "application/x-www-form-urlencoded",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "multipart/form-data; boundary=x",
    "multipart/form-data; boundary=\"x",
    "multipart/form-data",
    "application/problem+json; charset=utf-16",
    "text/plain",
    "",
    ";,= /",
];

/// Names of fields, as they are and as PHP nests them.
const NAMES: [&str; 20] = [
    "email",
    "role",
    "auth_method",
    "name",
    "team_id",
    "page",
    "per_page",
    "limit",
    "filter[name]",
    "filter[email]",
    "filter[role]",
    "filter[role][]",
    "filter[%20role]",
    "filter[",
    "name[a][]",
    "name[9223372036854775807]",
    "%00",
    "a%ffb",
    "user_id",
    "api_key",
];

/// Values, percent-encoded, none of which needs to be quoted in JSON.
const VALUES: [&str; 24] = [
    "",
    ",",
    "a",
    "1",
    "2",
    "08",
    "-1",
    "1e400",
    "99999999999999999999",
    "viewer",
    "admin",
    "oidc",
    "password",
    "user1@acme.example.com",
    "new@acme.example.com",
    "new@xn--99999999999.example",
    "%E2%80%8B",
    "%F0%9F%98%80",
    "%ff",
    "%C3",
    "%00",
    "%0d%0a",
    "%",
    "%zz",
];

const EMAILS: [&str; 6] = [
    "user1@acme.example.com",
    "user2@acme.example.com",
    "a@acme.example.com",
    "b@acme.example.com",
    "c@acme.example.com",
    "d@acme.example.com",
];

/// What parsers trip over.
const PIECES: [&str; 28] = [
    "{",
    "}",
    "[",
    "]",
    "\"",
    "\\",
    "\\ud800",
    ":",
    ",",
    "null",
    "1e999",
    "-0",
    "NaN",
    "&",
    "=",
    "+",
    "%",
    "[]",
    "\r\n",
    "--x",
    "--x--",
    "\r\n\r\n",
    "Content-Disposition: form-data; name=",
    "filename=\"",
    "\0",
    "\u{feff}",
    "email",
    "é",
];

/// A `SplitMix64` generator: of the same seed come the same requests.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((bits ^ (bits >> 31)) % end as u64).unwrap()
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    fn many<T>(&mut self, most: usize, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let count = self.below(most + 1);
        repeat_with(|| one(self)).take(count).collect()
    }

    /// Names and values, now and then those of a user who can be created.
    fn fields(&mut self) -> Vec<(&'static str, &'static str)> {
        let mut fields = self.many(4, |seeded| (seeded.one_of(&NAMES), seeded.one_of(&VALUES)));
        if self.below(3) == 0 {
            let email = ("email", self.one_of(&EMAILS));
            fields.extend([email, ("role", "viewer"), ("auth_method", "oidc")]);
        }
        fields
    }

    fn query(&mut self) -> String {
        let pairs: Vec<_> = self
            .fields()
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        pairs.join("&")
    }

    /// A body and its content type.
    fn body(&mut self, api_key: &str) -> (&'static str, Vec<u8>) {
        let any = self.one_of(&TYPES);
        match self.below(12) {
            0..=2 => ("application/x-www-form-urlencoded", self.query().into_bytes()),
            3 => {
                let nested = "[".repeat(self.one_of(&[10, 511, 66_000]));
                (any, format!("{{\"email\":{nested}").into_bytes())
            }
            4..=6 => {
                let key = self.one_of(&[api_key, api_key, "x", ""]);
                let fields = self.fields();
                let fields = fields
                    .iter()
                    .map(|(name, value)| format!("\"{name}\":\"{value}\""));
                let fields: Vec<_> = fields.chain([format!("\"api_key\":\"{key}\"")]).collect();
                let body = format!("{{{}}}", fields.join(","));
                ("application/json", body.into_bytes())
            }
            7..=9 => {
                let file = self.one_of(&["", "", "", "; filename=a", "; filename=\"\""]);
                let parts: Vec<_> = self
                    .fields()
                    .iter()
                    .map(|(name, value)| {
                        format!(
                            "--x\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n{value}\r\n"
                        )
                    })
                    .collect();
                let mut body = parts.concat().into_bytes();
                body.extend_from_slice(self.one_of(&["--x--\r\n", "--x--", "--x", ""]).as_bytes());
                // Some bytes are others.
                for _ in 0..self.below(3) {
                    let at = self.below(body.len().max(1));
                    let byte = u8::try_from(self.below(256)).unwrap();
                    if let Some(there) = body.get_mut(at) {
                        *there = byte;
                    }
                }
                (self.one_of(&TYPES[4..6]), body)
            }
            10 => {
                let pieces = self.many(20, |seeded| seeded.one_of(&PIECES));
                (any, pieces.concat().into_bytes())
            }
            _ => {
                let most = self.one_of(&[20, 20, 300, 70_000]);
                (
                    any,
                    self.many(most, |seeded| u8::try_from(seeded.below(256)).unwrap()),
                )
            }
        }
    }

    /// A method and the whole request.
    fn request(&mut self, directory_key: &str, api_key: &str) -> (&'static str, Vec<u8>) {
        let (method, path, query) = (self.one_of(&METHODS), self.one_of(&PATHS), self.query());
        let (content_type, body) = self.body(api_key);
        let key = self.one_of(&[directory_key, directory_key, directory_key, api_key, "x", ""]);
        let head = format!(
            "{method} {path}?{query} HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {key}\r\n\
             content-type: {content_type}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        (method, [head.into_bytes(), body].concat())
    }
}

async fn exchange(wire: &mut Wire, method: &str, request: &[u8]) -> Option<Reply> {
    wire.send(request).await;
    match method {
        "HEAD" => wire.head().await,
        _ => wire.any_reply().await,
    }
}

/// Whether a reply is no server error, and JSON or rightly empty.
fn is_expected(method: &str, reply: &Reply) -> bool {
    let body = if reply.body.is_empty() {
        method == "HEAD" || [200, 204, 307].contains(&reply.status)
    } else {
        reply.header("content-type") == Some("application/json")
            && serde_json::from_slice::<serde::de::IgnoredAny>(&reply.body).is_ok()
    };
    body && reply.status < 500
}

async fn nothing_gives_a_server_error(app: TestApp) {
    let acme = app.tenant("acme").await;
    let directory_key = app.key(&acme.organization, &[Scope::DirectoryWrite]).await;
    app.member(&acme.organization, "user1@acme.example.com").await;
    let mut connections = JoinSet::new();
    for connection in 0..CONNECTIONS {
        let (addr, directory_key, api_key) = (app.http_addr, directory_key.clone(), acme.key.clone());
        connections.spawn(async move {
            let mut wire = Wire::open(addr).await;
            let mut statuses = BTreeSet::new();
            for seed in (connection..REQUESTS).step_by(CONNECTIONS) {
                let (method, request) = Seeded(seed as u64).request(&directory_key, &api_key);
                let mut reply = exchange(&mut wire, method, &request).await;
                if reply.is_none() {
                    // The one before had a body that nobody read, so its answer was the last of the connection.
                    wire = Wire::open(addr).await;
                    reply = exchange(&mut wire, method, &request).await;
                }
                if !reply.as_ref().is_some_and(|reply| is_expected(method, reply)) {
                    let request = request[..request.len().min(2000)].escape_ascii();
                    panic!("{seed}: {reply:?} to {request}");
                }
                statuses.extend(reply.map(|reply| reply.status));
            }
            statuses
        });
    }
    let statuses: BTreeSet<u16> = connections.join_all().await.into_iter().flatten().collect();
    // They get everywhere.
    let expected = [200, 201, 204, 307, 400, 401, 404, 405, 413, 422];
    assert_eq!(Vec::from_iter(statuses), expected);
}
