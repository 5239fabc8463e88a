//! This dialect in OpenAPI.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::{
    input::Input,
    list::PER_PAGE,
    page::{Page, Position},
    response::{self, ALLOWANCE, Invalid, Message, Refusal},
    rules::{self, CREATE, MAX_CHARS, MAX_PER_PAGE, UPDATE},
    user::{AUTH_METHODS, User, given_roles, role_schema},
};
use crate::{
    body::BodyError,
    openapi::{
        Answer, DIRECTORY_KEY, Dialect, Operation, SHELL_VARIABLE, Schemas, any_of, content, object, written,
    },
    proto::directory_v1::{Member, Role},
    upstream::UpstreamError,
};

const DESCRIPTION: &str = "Feedier's API, version 3: the people who run an organization. The key belongs to one organization \
    and has the scope `directory.read`, for changes `directory.write`.";

const USERS: &str = "/v3/users";
const USER: &str = "/v3/users/{id}";

/// The security scheme.
const KEY: &str = "feedier.key";

/// Forms of bodies. PHP reads the last with POST alone.
const BODIES: [&str; 3] = [
    "application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
];

/// JSON that is no object says nothing, as no body does.
const NO_OBJECT: &[&str] = &["array", "string", "number", "boolean", "null"];

/// What has something in it to be seen, and no control character.
const VISIBLE: &str = r"^[^\x00-\x1f\x7f-\x9f]*[^\x00-\x20\x7f-\xa0][^\x00-\x1f\x7f-\x9f]*$";

/// The description of this dialect.
#[expect(clippy::too_many_lines, reason = "it is a list")]
pub(crate) fn dialect() -> Dialect {
    let mut schemas = Schemas::default();
    let user = schemas.add::<User>();
    let page = schemas.add::<Page>();
    let message = schemas.add::<Message<'_>>();
    let invalid = schemas.add::<Invalid<'_>>();
    let (_, missing) = rules::create(&Input::default());
    let required: Vec<_> = missing.names().collect();
    let create = schemas.add_json("feedier.NewUser", fields(CREATE, &required));
    let update = schemas.add_json("feedier.Change", fields(UPDATE, &[]));
    let not_valid = refused(missing, "fields are not valid").with_schema(&invalid);
    let shown = |status, when| Answer::of(response::json(status, &sample()), when).with_schema(&user);
    let nobody = refused(Refusal::NoUser("42".to_owned()), "no user has this id").with_schema(&message);
    let one = |method| Operation {
        parameters: vec![json!({
            "name": "id",
            "in": "path",
            "required": true,
            "schema": { "type": "integer", "minimum": 1 },
        })],
        security: &[KEY],
        ..Operation::of(method, USER)
    };
    let named = json!({ "name": "Ada Lovelace" });
    let ada = json!({
        "email": "ada@acme.example.com",
        "role": "editor",
        "auth_method": "password",
        "name": "Ada King",
    });
    let mut operations = vec![
        Operation {
            id: "feedier_list",
            summary: "List users",
            description: "By id. Filters ignore letter case; a comma in one means or, and an empty one is ignored.",
            parameters: list_parameters(),
            security: &[KEY],
            answers: [
                vec![
                    Answer::of(response::json(StatusCode::OK, &sample_page()), "a page").with_schema(&page),
                    refused(
                        Refusal::UnknownFilters(vec!["x".to_owned()]),
                        "there is no such filter",
                    )
                    .with_schema(&message),
                    not_valid.clone(),
                ],
                failures(),
            ]
            .concat(),
            ..Operation::of("get", USERS)
        },
        Operation {
            id: "feedier_create",
            summary: "Create a user",
            description: "They are welcomed by mail, unless they sign in by `oidc`.",
            body: BODIES.map(|kind| (kind, content(&create, &ada))).to_vec(),
            security: &[KEY],
            answers: [
                vec![shown(StatusCode::CREATED, "the new user"), not_valid.clone()],
                changing(),
            ]
            .concat(),
            ..Operation::of("post", USERS)
        },
        Operation {
            id: "feedier_retrieve",
            summary: "Retrieve a user",
            answers: [
                vec![shown(StatusCode::OK, "the user"), nobody.clone()],
                failures(),
            ]
            .concat(),
            ..one("get")
        },
        Operation {
            id: "feedier_update",
            summary: "Change a user",
            description: "Only what is given changes.",
            body: vec![
                (BODIES[0], content(&any_of(&update, NO_OBJECT), &named)),
                (BODIES[1], content(&update, &named)),
            ],
            body_required: false,
            answers: [
                vec![shown(StatusCode::OK, "the user"), nobody.clone(), not_valid],
                changing(),
            ]
            .concat(),
            ..one("put")
        },
        Operation {
            id: "feedier_delete",
            summary: "End a user's link to the organization",
            description: "For good. The last enabled owner stays.",
            answers: [
                vec![Answer::of(response::no_content(), "the link has ended"), nobody],
                changing(),
            ]
            .concat(),
            ..one("delete")
        },
    ];
    for answer in operations.iter_mut().flat_map(|operation| &mut operation.answers) {
        answer.add_headers(ALLOWANCE);
    }
    let key = json!({
        "type": "http",
        "scheme": "bearer",
        "description": "An API key of the organization.",
        SHELL_VARIABLE: DIRECTORY_KEY,
    });
    Dialect {
        name: "feedier",
        title: "Feedier",
        description: DESCRIPTION,
        operations,
        schemas,
        security_schemes: Map::from_iter([(KEY.to_owned(), key)]),
    }
}

/// What every call may be answered with.
fn failures() -> Vec<Answer> {
    vec![
        refused(Refusal::Unauthenticated, "the key is missing or not good"),
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

/// The same, and what a change may be answered with.
fn changing() -> Vec<Answer> {
    let mut answers = failures();
    answers.extend([
        refused(
            UpstreamError::PermissionDenied,
            "the key may only read, or it is the last owner",
        ),
        refused(BodyError::BrokenOff, "the body broke off"),
        refused(BodyError::TooSlow, "the body took longer than 30 seconds"),
        refused(BodyError::TooLarge, "the body has more than 64 KiB"),
    ]);
    answers
}

fn refused(refusal: impl Into<Refusal>, when: &'static str) -> Answer {
    Answer::of(response::refused(refusal.into()), when)
}

/// An object with these of the fields that the rules know.
fn fields(names: &[&'static str], required: &[&str]) -> Value {
    let properties: Map<_, _> = names
        .iter()
        .map(|name| ((*name).to_owned(), field(name, required.is_empty())))
        .collect();
    object(&properties.into(), required)
}

/// What a field takes; `there` if it must have something in it when it is there.
fn field(name: &str, there: bool) -> Value {
    match name {
        "email" => json!({ "type": "string", "format": "email", "maxLength": MAX_CHARS }),
        "role" => written(&role_schema()),
        "auth_method" => json!({ "enum": AUTH_METHODS.map(|(name, _)| name) }),
        "name" if there => json!({ "type": "string", "maxLength": MAX_CHARS, "pattern": VISIBLE }),
        "name" => json!({
            "description": "The address if it is not given.",
            "anyOf": [
                { "type": "string", "maxLength": MAX_CHARS, "pattern": VISIBLE },
                { "enum": ["", null] },
            ],
        }),
        "team_id" => json!({
            "description": "A team of the organization; its root team if it is not given.",
            "type": ["integer", "null"],
        }),
        _ => Value::Null,
    }
}

fn list_parameters() -> Vec<Value> {
    let query = |name: &str, description: &str, schema: Value| json!({ "name": name, "in": "query", "description": description, "schema": schema });
    let size = json!({ "type": "integer", "minimum": 1, "maximum": MAX_PER_PAGE, "default": PER_PAGE });
    let text = json!({ "type": "string" });
    let roles: Vec<_> = given_roles().map(|(name, _)| name).collect();
    let page = json!({ "anyOf": [{ "type": "integer", "minimum": 1, "default": 1 }, { "type": "string" }] });
    vec![
        query("page", "What is no positive integer is 1.", page),
        query("per_page", "Users of a page.", size.clone()),
        query(
            "limit",
            "The same as `per_page`, which counts if both are there.",
            size,
        ),
        query("filter[name]", "A part of the name.", text.clone()),
        query("filter[email]", "A part of the address.", text.clone()),
        query(
            "filter[role]",
            &format!("The role, exactly: {}. No user has any other.", roles.join(", ")),
            text,
        ),
    ]
}

fn sample() -> Option<User> {
    let moment = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    User::of(Member {
        number: 42,
        name: Some("Ada King".to_owned()),
        email: Some("ada@acme.example.com".to_owned()),
        role: Role::Editor.into(),
        primary_team: 1,
        created_at: moment(1_623_749_410),
        updated_at: moment(1_623_749_410),
        ..Member::default()
    })
}

fn sample_page() -> Page {
    let users: Vec<_> = sample().into_iter().collect();
    let position = Position {
        page: 1,
        per_page: PER_PAGE,
        total: 1,
        more: false,
    };
    Page::new(format!("http://127.0.0.1:8080{USERS}"), position, users)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialects::feedier::Route;

    #[test]
    fn every_field_that_is_judged_is_described() {
        for name in [CREATE, UPDATE].concat() {
            assert_ne!(field(name, false), Value::Null, "{name}");
        }
    }

    #[test]
    fn every_method_of_a_path_is_described() {
        for (path, route) in [(USERS, Route::Users), (USER, Route::User("{id}".to_owned()))] {
            assert_eq!(Route::at(path).as_ref(), Some(&route));
            let described: Vec<_> = dialect()
                .operations
                .iter()
                .filter(|operation| operation.path == path)
                .map(|operation| operation.method.to_uppercase())
                .collect();
            let served: Vec<_> = route
                .methods()
                .split(", ")
                .filter(|method| *method != "HEAD")
                .collect();
            assert_eq!(described, served, "{path}");
        }
    }
}
