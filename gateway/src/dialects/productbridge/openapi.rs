//! This dialect in OpenAPI.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{
    DELETE, PING, RETRIEVE, Refusal, Rejection,
    body::{self, API_KEY, EMAIL, USER_ID},
    items::{BODY, Kind},
    response::{self, Pong, UserObject},
};
use crate::{
    openapi::{Answer, Dialect, Operation, SAMPLE_KEY, Schemas, content, object},
    proto::users_v1::{PingResponse, User},
    upstream::{Resource, UpstreamError},
};

const DESCRIPTION: &str = "ProductBridge's public API, version 1: an organization's end users. The key is the field \
    `api_key` of each body, and one in a header does not count. Fields are judged before the key is.";

const SAMPLE_ID: &str = "bb3c3ef8-b8cd-4d15-81ba-000000000001";
const SAMPLE_EMAIL: &str = "sally@acme.example.com";

/// The description of this dialect.
pub(crate) fn dialect() -> Dialect {
    let mut schemas = Schemas::default();
    let user = schemas.add::<UserObject<'_>>();
    let pong = schemas.add::<Pong<'_>>();
    let invalid = schemas.add_json("productbridge.Invalid", invalid());
    let failures = |sample: Rejection| {
        let mut answers = failures();
        answers.push(refused(sample, "the body is not valid").with_schema(&invalid));
        answers
    };
    let unknown = refused(
        UpstreamError::NotFound(Resource::User),
        "no live end user of this organization",
    );
    let key = json!({ "type": "string" });
    let uuid = json!({
        "type": "string",
        "format": "uuid",
        "description": "Also read without hyphens, in braces, or after `urn:uuid:`; digits in either case.",
    });
    let email = json!({ "type": "string", "description": "Compared byte for byte: nothing is trimmed, and case matters." });
    let not_given = json!({ "type": "null" });
    let retrieve = schemas.add_json(
        "productbridge.Retrieve",
        json!({
            "type": "object",
            "description": "Names a user by exactly one of id and address; null counts as not given.",
            "properties": { API_KEY: key },
            "required": [API_KEY],
            "oneOf": [
                { "title": "By id", "properties": { USER_ID: uuid, EMAIL: not_given }, "required": [USER_ID] },
                { "title": "By address", "properties": { EMAIL: email, USER_ID: not_given }, "required": [EMAIL] },
            ],
        }),
    );
    let delete = schemas.add_json(
        "productbridge.Delete",
        object(&json!({ API_KEY: key, USER_ID: uuid }), &[API_KEY, USER_ID]),
    );
    let ping_body = schemas.add_json("productbridge.Ping", object(&json!({ API_KEY: key }), &[API_KEY]));
    let by_id = json!({ API_KEY: SAMPLE_KEY, USER_ID: SAMPLE_ID });
    let by_email = json!({ API_KEY: SAMPLE_KEY, EMAIL: SAMPLE_EMAIL });
    let empty = b"{}";
    let operations = vec![
        Operation {
            id: "productbridge_retrieve",
            summary: "Retrieve an end user",
            body: vec![("application/json", content(&retrieve, &by_email))],
            answers: [
                vec![
                    Answer::of(response::user(&sample()), "the user").with_schema(&user),
                    unknown.clone(),
                ],
                failures(body::retrieve(empty, true).err().unwrap_or(Rejection::Unparsable)),
            ]
            .concat(),
            ..Operation::of("post", RETRIEVE)
        },
        Operation {
            id: "productbridge_delete",
            summary: "End a user's link to the organization",
            description: "For good and at once. Links to other organizations stay.",
            body: vec![("application/json", content(&delete, &by_id))],
            answers: [
                vec![Answer::of(response::deleted(), "the link has ended"), unknown],
                failures(body::delete(empty, true).err().unwrap_or(Rejection::Unparsable)),
            ]
            .concat(),
            ..Operation::of("post", DELETE)
        },
        Operation {
            id: "productbridge_ping",
            summary: "Say whose key it is",
            body: vec![(
                "application/json",
                content(&ping_body, &json!({ API_KEY: SAMPLE_KEY })),
            )],
            answers: [
                vec![Answer::of(response::pong(&sample_pong()), "whose key it is").with_schema(&pong)],
                failures(body::ping(b"[]", true).err().unwrap_or(Rejection::Unparsable)),
            ]
            .concat(),
            ..Operation::of("post", PING)
        },
    ];
    Dialect {
        name: "productbridge",
        title: "ProductBridge",
        description: DESCRIPTION,
        operations,
        schemas,
        security_schemes: Map::new(),
    }
}

/// What every endpoint may answer.
fn failures() -> Vec<Answer> {
    vec![
        refused(Rejection::Unparsable, "the body is no text, or nested too deep"),
        refused(Rejection::MissingKey, "the key is missing or not good"),
        refused(Refusal::TooLarge, "the body has more than 64 KiB"),
        refused(
            UpstreamError::OVERLOADED,
            "the key has called too often, or too much is waiting",
        ),
        refused(UpstreamError::Internal, "a fault of the directory"),
        refused(
            UpstreamError::Unavailable(Duration::from_secs(1)),
            "the directory is away for now",
        ),
        refused(
            UpstreamError::DeadlineExceeded,
            "it took too long, and may have happened",
        ),
    ]
}

fn refused(refusal: impl Into<Refusal>, when: &'static str) -> Answer {
    Answer::of(
        response::respond::<()>(Err(refusal.into()), |()| response::deleted()),
        when,
    )
}

/// The body of a 422: Pydantic's items.
fn invalid() -> Value {
    let fields = [BODY, API_KEY, USER_ID, EMAIL];
    let properties = json!({
        "type": { "enum": Kind::ALL.map(Kind::name) },
        "loc": {
            "description": "`body`, and the field in it or the place, in characters, where the JSON is broken.",
            "type": "array",
            "items": { "anyOf": [{ "enum": fields }, { "type": "integer", "minimum": 0 }] },
            "minItems": 1,
            "maxItems": 2,
        },
        "msg": { "type": "string" },
        "input": { "description": "What was sent in its place; for what is missing, the whole object." },
        "ctx": {
            "type": "object",
            "properties": { "error": { "description": "What was wrong with it; or `{}`." } },
        },
    });
    let item = object(&properties, &["type", "loc", "msg", "input"]);
    let detail = json!({ "type": "array", "items": item, "minItems": 1 });
    object(&json!({ "detail": detail }), &["detail"])
}

fn sample() -> User {
    User {
        id: "019d4b1f-5b00-7c3e-a5d5-4f2f0e6f8a10".to_owned(),
        user_id: SAMPLE_ID.to_owned(),
        email: Some(SAMPLE_EMAIL.to_owned()),
        name: Some("Sally Doe".to_owned()),
        avatar_url: None,
        portal_role: "end_user".to_owned(),
        company_name: Some("Acme Inc".to_owned()),
        customer_status: Some("paying".to_owned()),
        created_at: Some(moment()),
    }
}

fn sample_pong() -> PingResponse {
    PingResponse {
        organization_id: "019d4b1f-5aff-7000-8000-3d1c9f7a2b44".to_owned(),
        organization_slug: "acme".to_owned(),
        time: Some(moment()),
    }
}

/// 2026-04-01, 8 o'clock.
fn moment() -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: 1_775_030_400,
        nanos: 0,
    }
}
