//! This dialect in OpenAPI.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::{
    handover::Code,
    input::{BodyRefusal, Input},
    response::{self, Coded, Framework, Reason, Refusal, Unknown},
    rules,
    teams::{MAX_KEY, MAX_TEAMS},
    user::{TenantAssociation, User, role_schema},
    users::{MAX_EMAIL, MAX_NAME},
};
use crate::{
    openapi::{
        Answer, DIRECTORY_KEY, Dialect, Operation, SHELL_VARIABLE, Schemas, any_of, content, object, written,
    },
    proto::directory_v1::{Association, Member, Role},
    upstream::UpstreamError,
};

const DESCRIPTION: &str = "The Bridge's (nblocks') tenant users: the people who run a tenant, which is an organization. The key \
    has the scope `directory.read`, for changes `directory.write`. Each path is there with `/v1` in front as well.";

const USERS: &str = "/account/tenant/user";
const USER: &str = "/account/tenant/user/{id}";
const ASSOCIATIONS: &str = "/account/tenant/user/{id}/associations";
const PASSWORD: &str = "/account/tenant/user/{id}/password";
const HANDOVER: &str = "/auth/handover/code/{appId}";

/// The security scheme.
const KEY: &str = "thebridge.key";

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

const SAMPLE_ID: &str = "bb3c3ef8-b8cd-4d15-81ba-000000000001";
const SAMPLE_TENANT: &str = "019d4b1f-5aff-7000-8000-3d1c9f7a2b44";

/// What the directory takes for an address: something on both sides of an `@`, no white space, no control character.
const ADDRESS: &str = r"^[^\s\x00-\x1f\x7f-\x9f]+@[^\s\x00-\x1f\x7f-\x9f]+$";

/// What the directory takes in a text: no control character.
const PRINTABLE: &str = r"^[^\x00-\x1f\x7f-\x9f]*$";

/// Schemas of errors.
struct Errors {
    coded: Value,
    framework: Value,
    unknown: Value,
}

/// The description of this dialect.
#[expect(clippy::too_many_lines, reason = "it is a list")]
pub(crate) fn dialect() -> Dialect {
    let mut schemas = Schemas::default();
    let user = schemas.add::<User>();
    let association = schemas.add::<TenantAssociation>();
    let code = schemas.add::<Code>();
    let errors = Errors {
        coded: schemas.add::<Coded<'_>>(),
        framework: schemas.add::<Framework<'_, String>>(),
        unknown: schemas.add::<Unknown<'_>>(),
    };
    let new_user = schemas.add_json("thebridge.NewUser", object(&new_user(), &["username"]));
    let change = schemas.add_json("thebridge.Change", object(&change(), &[]));
    let token = schemas.add_json("thebridge.AccessToken", object(&token(), &["accessToken"]));
    let shown = |status, when| Answer::of(response::json(status, &sample()), when).with_schema(&user);
    let many = |schema: &Value| json!({ "type": "array", "items": schema });
    let done = Answer::of(response::done(), "it is done");
    let all = |answers: &[&[Answer]]| answers.concat();
    let operations = vec![
        Operation {
            id: "thebridge_list",
            summary: "List all users of the tenant",
            description: "Not paged, as they came.",
            answers: all(&[
                &[
                    Answer::of(response::json(StatusCode::OK, &[sample()]), "all users")
                        .with_schema(&many(&user)),
                ],
                &errors.tenant(),
            ]),
            ..tenant("get", USERS)
        },
        Operation {
            id: "thebridge_create",
            summary: "Create a user",
            description: "Who is known by the address is linked. They are sent a link to set a password, unless \
                `muteNotifications` is true. The role is the organization's default if it is not given.",
            body: vec![(
                JSON,
                content(
                    &new_user,
                    &json!({ "username": "jane@acme.example.com", "role": "ADMIN", "firstName": "Jane", "lastName": "Smith" }),
                ),
            )],
            answers: all(&[
                &[
                    shown(StatusCode::CREATED, "the new user"),
                    errors.invalid(rules::create(&Input::default()).err()),
                    errors.coded(Reason::NoUsername, "the username is blank"),
                    errors.coded(Reason::NoSuchRole, "there is no such role"),
                    errors.coded(Reason::Taken, "the address is taken"),
                ],
                &errors.tenant(),
                &errors.changing(),
            ]),
            ..tenant("post", USERS)
        },
        Operation {
            id: "thebridge_get",
            summary: "Get a user",
            answers: all(&[
                &[shown(StatusCode::OK, "the user")],
                &errors.user(),
                &errors.tenant(),
            ]),
            ..one("get", USER)
        },
        Operation {
            id: "thebridge_update",
            summary: "Change a user",
            description: "Only what is given changes. `teams` replaces the set, and a team that is not there is made.",
            body: vec![(
                JSON,
                content(
                    &any_of(&change, &["array"]),
                    &json!({ "role": "EDITOR", "teams": ["support"] }),
                ),
            )],
            body_required: false,
            answers: all(&[
                &[
                    shown(StatusCode::OK, "the user"),
                    errors.invalid(Some(vec!["enabled must be a boolean value".to_owned()])),
                    errors.coded(Reason::NoSuchRole, "there is no such role"),
                    errors.coded(Reason::LastOwner, "it is the last enabled owner"),
                ],
                &errors.user(),
                &errors.tenant(),
                &errors.changing(),
            ]),
            ..one("put", USER)
        },
        Operation {
            id: "thebridge_delete",
            summary: "End a user's link to the tenant",
            description: "For good.",
            answers: all(&[
                &[
                    done.clone(),
                    errors.coded(Reason::LastOwner, "it is the last enabled owner"),
                ],
                &errors.user(),
                &errors.tenant(),
                &errors.changing(),
            ]),
            ..one("delete", USER)
        },
        Operation {
            id: "thebridge_associations",
            summary: "List the tenants of a user",
            description: "Those in which the user has a role and that the key may see.",
            answers: all(&[
                &[Answer::of(
                    response::json(StatusCode::OK, &[sample_association()]),
                    "the tenants",
                )
                .with_schema(&many(&association))],
                &errors.user(),
                &errors.tenant(),
            ]),
            ..one("get", ASSOCIATIONS)
        },
        Operation {
            id: "thebridge_password",
            summary: "Mail a user a link to set a new password",
            answers: all(&[
                &[
                    done,
                    errors.coded(Reason::NoUsername, "there is no address to write to"),
                ],
                &errors.user(),
                &errors.tenant(),
                &errors.changing(),
            ]),
            ..one("post", PASSWORD)
        },
        Operation {
            id: "thebridge_handover",
            summary: "Get a code for the hosted pages",
            description: "For an access token of an owner or an admin, which `CredentialService.Verify` gives.",
            parameters: vec![json!({
                "name": "appId",
                "in": "path",
                "required": true,
                "description": "Not looked at: there is one app.",
                "schema": { "type": "string", "minLength": 1 },
                "example": "app",
            })],
            body: [JSON, FORM]
                .map(|kind| (kind, content(&token, &json!({ "accessToken": "ub_at_..." }))))
                .to_vec(),
            answers: all(&[
                &[
                    Answer::of(
                        response::json(
                            StatusCode::OK,
                            &Code {
                                code: "ub_hc_...".to_owned(),
                            },
                        ),
                        "the code",
                    )
                    .with_schema(&code),
                    errors.invalid(rules::handover(&Input::default()).err()),
                    errors.coded(Reason::NoToken, "the token is not good"),
                ],
                &errors.changing(),
                &errors.always(),
            ]),
            ..Operation::of("post", HANDOVER)
        },
    ];
    let key = json!({
        "type": "apiKey",
        "in": "header",
        "name": "x-api-key",
        "description": "An API key: of the tenant, or one that is bound to no organization.",
        SHELL_VARIABLE: DIRECTORY_KEY,
    });
    Dialect {
        name: "thebridge",
        title: "The Bridge",
        description: DESCRIPTION,
        operations,
        schemas,
        security_schemes: Map::from_iter([(KEY.to_owned(), key)]),
    }
}

/// A method that is about a tenant.
fn tenant(method: &'static str, path: &'static str) -> Operation {
    Operation {
        parameters: vec![json!({
            "name": "x-tenant-id",
            "in": "header",
            "required": true,
            "description": "The organization's id.",
            "schema": { "type": "string", "format": "uuid" },
            "example": SAMPLE_TENANT,
            SHELL_VARIABLE: "USERBRIDGE_TENANT_ID",
        })],
        security: &[KEY],
        ..Operation::of(method, path)
    }
}

/// A method that is about a user of a tenant.
fn one(method: &'static str, path: &'static str) -> Operation {
    let mut operation = tenant(method, path);
    operation.parameters.push(json!({
        "name": "id",
        "in": "path",
        "required": true,
        "schema": { "type": "string", "format": "uuid" },
        "example": SAMPLE_ID,
    }));
    operation
}

impl Errors {
    fn coded(&self, refusal: impl Into<Refusal>, when: &'static str) -> Answer {
        Answer::of(response::refused(refusal.into()), when).with_schema(&self.coded)
    }

    fn invalid(&self, messages: Option<rules::Messages>) -> Answer {
        let refusal = Refusal::Invalid(messages.unwrap_or_default());
        Answer::of(response::refused(refusal), "fields are not valid").with_schema(&self.framework)
    }

    fn unknown(&self, refusal: BodyRefusal, when: &'static str) -> Answer {
        Answer::of(response::refused(refusal.into()), when).with_schema(&self.unknown)
    }

    /// Of every call.
    fn always(&self) -> Vec<Answer> {
        let away = UpstreamError::Unavailable(Duration::from_secs(1));
        vec![
            self.coded(
                UpstreamError::OVERLOADED,
                "the key has called too often, or too much is waiting",
            ),
            self.coded(UpstreamError::Internal, "a fault of the directory"),
            self.coded(away, "the directory is away for now"),
            self.coded(
                UpstreamError::DeadlineExceeded,
                "it took too long, and may have happened",
            ),
        ]
    }

    /// Of every call that is about a tenant.
    fn tenant(&self) -> Vec<Answer> {
        let mut answers = self.always();
        answers.extend([
            self.coded(Reason::NoKey, "the key is missing or not good"),
            self.coded(
                Reason::NoTenant,
                "there is no such tenant, or it is not the key's",
            ),
        ]);
        answers
    }

    /// Of every call that is about a user.
    fn user(&self) -> Vec<Answer> {
        let nowhere = Refusal::NoRoute {
            method: Method::GET,
            url: "/account/tenant/user/a/b".to_owned(),
        };
        let undecodable = Refusal::BadParam("%ff".to_owned());
        vec![
            self.coded(Reason::NoUser, "no user has this id"),
            Answer::of(response::refused(nowhere), "there is nothing at the path")
                .with_schema(&self.framework),
            Answer::of(response::refused(undecodable), "the id can't be decoded")
                .with_schema(&self.framework),
        ]
    }

    /// Of every call that changes something.
    fn changing(&self) -> Vec<Answer> {
        let syntax: Vec<u16> = "Unexpected end of JSON input".encode_utf16().collect();
        vec![
            self.coded(Reason::Forbidden, "the key may only read"),
            self.coded(Reason::Malformed, "a value that the directory does not keep"),
            Answer::of(
                response::refused(BodyRefusal::Syntax(syntax).into()),
                "the body is no JSON",
            )
            .with_schema(&self.framework),
            self.unknown(BodyRefusal::BrokenOff, "the body broke off"),
            self.unknown(BodyRefusal::TooSlow, "the body took longer than 30 seconds"),
            self.unknown(BodyRefusal::TooLarge, "the body has more than 100 KiB"),
            self.unknown(
                BodyRefusal::Charset("LATIN1".to_owned()),
                "the body is in another charset than UTF-8, or compressed",
            ),
        ]
    }
}

fn new_user() -> Value {
    json!({
        "username": { "type": "string", "maxLength": MAX_EMAIL, "pattern": ADDRESS },
        "role": role(),
        "firstName": name(),
        "lastName": name(),
        "muteNotifications": { "type": ["boolean", "null"], "default": false },
    })
}

fn change() -> Value {
    json!({
        "role": role(),
        "enabled": { "type": ["boolean", "null"] },
        "teams": {
            "description": "Keys.",
            "type": ["array", "null"],
            "items": { "type": "string", "minLength": 1, "maxLength": MAX_KEY, "pattern": PRINTABLE },
            "maxItems": MAX_TEAMS,
        },
        "firstName": name(),
        "lastName": name(),
        "onboarded": {
            "description": "Nobody is un-onboarded: false is not looked at.",
            "type": ["boolean", "null"],
        },
    })
}

fn token() -> Value {
    json!({ "accessToken": { "type": "string", "minLength": 1 } })
}

fn role() -> Value {
    json!({ "anyOf": [written(&role_schema()), { "type": "null" }] })
}

fn name() -> Value {
    json!({ "type": ["string", "null"], "maxLength": MAX_NAME, "pattern": PRINTABLE })
}

fn sample() -> Option<User> {
    let member = Member {
        user_id: SAMPLE_ID.to_owned(),
        email: Some("jane@acme.example.com".to_owned()),
        given_name: Some("Jane".to_owned()),
        family_name: Some("Smith".to_owned()),
        role: Role::Admin.into(),
        enabled: true,
        created_at: Some(prost_types::Timestamp {
            seconds: 1_674_237_612,
            nanos: 489_000_000,
        }),
        ..Member::default()
    };
    User::of(member, vec!["support".to_owned()])
}

fn sample_association() -> Option<TenantAssociation> {
    TenantAssociation::of(Association {
        organization_id: SAMPLE_TENANT.to_owned(),
        organization_name: "Acme Inc".to_owned(),
        role: Role::Admin.into(),
        ..Association::default()
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use axum::{body::Body, http::header};

    use super::*;
    use crate::dialects::thebridge::Route;

    /// The fields that are told when every property is of a wrong kind.
    async fn judged<T>(
        properties: &Value,
        judge: impl FnOnce(&Input) -> Result<T, rules::Messages>,
    ) -> BTreeSet<String> {
        let wrong: Map<_, _> = properties
            .as_object()
            .unwrap()
            .keys()
            .map(|name| (name.clone(), json!({})))
            .collect();
        let headers = [(header::CONTENT_TYPE, JSON.parse().unwrap())];
        let body = Body::from(Value::from(wrong).to_string());
        let input = Input::of_request(&headers.into_iter().collect(), body)
            .await
            .unwrap();
        let messages = judge(&input).err().unwrap();
        let field = |message: &String| {
            let message = message.trim_start_matches("each value in ");
            message.split(' ').next().unwrap_or_default().to_owned()
        };
        messages.iter().map(field).collect()
    }

    #[tokio::test]
    async fn the_fields_that_are_described_are_those_that_are_judged() {
        let names = |properties: &Value| properties.as_object().unwrap().keys().cloned().collect();
        for (properties, judged) in [
            (new_user(), judged(&new_user(), rules::create).await),
            (change(), judged(&change(), rules::update).await),
            (token(), judged(&token(), rules::handover).await),
        ] {
            let described: BTreeSet<String> = names(&properties);
            assert_eq!(described, judged);
        }
    }

    #[test]
    fn every_path_that_is_described_is_there() {
        for operation in dialect().operations {
            let path = operation.path.replace(['{', '}'], "");
            assert!(matches!(Route::at(&path), Ok(Some(_))), "{path}");
        }
    }
}
