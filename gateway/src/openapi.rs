//! How a dialect describes itself: in OpenAPI 3.1, made of the types, limits and responses that it serves with.
//!
//! What cannot be derived of a type is written as JSON. A response is described by being made: [`Answer::of`] takes one of the
//! dialect's own, so its status, headers and words are those that clients get.

use std::collections::BTreeMap;

use axum::response::Response;
use futures_util::FutureExt as _;
use http::{HeaderName, StatusCode, header};
use http_body_util::BodyExt as _;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

const OPENAPI: &str = "3.1.0";

const JSON: &str = "application/json";

/// A key in examples.
pub(crate) const SAMPLE_KEY: &str = "pb_...";

/// Beside what takes a value from the shell in commands to paste: the variable that has it.
pub(crate) const SHELL_VARIABLE: &str = "x-shell-variable";

/// The variable that has a key with a scope of the directory.
pub(crate) const DIRECTORY_KEY: &str = "USERBRIDGE_DIRECTORY_KEY";

/// A dialect's description.
pub(crate) struct Dialect {
    /// Its tag, and its part of the document's path.
    pub(crate) name: &'static str,
    /// What people call it.
    pub(crate) title: &'static str,
    /// In Markdown.
    pub(crate) description: &'static str,
    pub(crate) operations: Vec<Operation>,
    pub(crate) schemas: Schemas,
    /// By name, as in OpenAPI's `securitySchemes`.
    pub(crate) security_schemes: Map<String, Value>,
}

/// Schemas that others refer to, by name.
#[derive(Default)]
pub(crate) struct Schemas(Map<String, Value>);

/// One method of one path.
pub(crate) struct Operation {
    pub(crate) method: &'static str,
    /// With parameters in braces.
    pub(crate) path: &'static str,
    pub(crate) id: &'static str,
    pub(crate) summary: &'static str,
    /// In Markdown; may be empty.
    pub(crate) description: &'static str,
    pub(crate) parameters: Vec<Value>,
    /// Media types with their content. Empty: it takes no body.
    pub(crate) body: Vec<(&'static str, Value)>,
    /// Whether no body is less than it takes.
    pub(crate) body_required: bool,
    /// Security schemes, all of which it takes.
    pub(crate) security: &'static [&'static str],
    pub(crate) answers: Vec<Answer>,
}

/// A response that an operation may have.
#[derive(Clone)]
pub(crate) struct Answer {
    status: StatusCode,
    when: &'static str,
    headers: Vec<HeaderName>,
    /// None: it has no body.
    body: Option<Value>,
    schema: Value,
}

impl Schemas {
    /// Adds a type, with those that it has within, and refers to it.
    pub(crate) fn add<T: ToSchema>(&mut self) -> Value {
        let mut found = Vec::new();
        T::schemas(&mut found);
        found.push((T::name().into_owned(), T::schema()));
        for (name, schema) in found {
            self.0.insert(name, written(&schema));
        }
        reference(&T::name())
    }

    /// Adds what no type says, and refers to it.
    pub(crate) fn add_json(&mut self, name: &'static str, schema: Value) -> Value {
        self.0.insert(name.to_owned(), schema);
        reference(name)
    }
}

impl Answer {
    /// As this response is, and its body no other. `when` completes its status.
    pub(crate) fn of(response: Response, when: &'static str) -> Self {
        let (parts, body) = response.into_parts();
        let bytes = body.collect().now_or_never().and_then(Result::ok);
        let bytes = bytes.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let body: Option<Value> = serde_json::from_slice(&bytes).ok();
        let described = [header::RETRY_AFTER, header::ETAG];
        Self {
            status: parts.status,
            when,
            headers: described
                .into_iter()
                .filter(|name| parts.headers.contains_key(name))
                .collect(),
            schema: json!({ "const": body }),
            body,
        }
    }

    /// With these headers besides, where there is something to say.
    pub(crate) fn add_headers(&mut self, names: impl IntoIterator<Item = HeaderName>) {
        self.headers.extend(names);
    }

    /// With bodies that keep to this schema; that of the response is an example.
    pub(crate) fn with_schema(mut self, schema: &Value) -> Self {
        self.schema.clone_from(schema);
        self
    }
}

impl Dialect {
    /// This dialect's document.
    pub(crate) fn document(self) -> Value {
        document([self])
    }
}

/// One document about all of these.
pub(crate) fn document(dialects: impl IntoIterator<Item = Dialect>) -> Value {
    let mut tags = Vec::new();
    let mut paths = Map::new();
    let mut schemas = Map::new();
    let mut security_schemes = Map::new();
    let mut titles = Vec::new();
    for dialect in dialects {
        titles.push(dialect.title);
        tags.push(
            json!({ "name": dialect.name, "description": dialect.description, "x-title": dialect.title }),
        );
        for operation in dialect.operations {
            let method = operation.method;
            let path = paths.entry(operation.path).or_insert_with(|| json!({}));
            path[method] = operation.written(dialect.name);
        }
        schemas.extend(dialect.schemas.0);
        security_schemes.extend(dialect.security_schemes);
    }
    json!({
        "openapi": OPENAPI,
        "info": {
            "title": format!("Userbridge: {}", titles.join(", ")),
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "tags": tags,
        "paths": paths,
        "components": { "schemas": schemas, "securitySchemes": security_schemes },
    })
}

impl Operation {
    /// One of which nothing is said yet.
    pub(crate) const fn of(method: &'static str, path: &'static str) -> Self {
        Self {
            method,
            path,
            id: "",
            summary: "",
            description: "",
            parameters: Vec::new(),
            body: Vec::new(),
            body_required: true,
            security: &[],
            answers: Vec::new(),
        }
    }

    fn written(self, tag: &str) -> Value {
        let mut by_status: BTreeMap<u16, Vec<Answer>> = BTreeMap::new();
        for answer in self.answers {
            by_status.entry(answer.status.as_u16()).or_default().push(answer);
        }
        let responses: Map<_, _> = by_status
            .into_iter()
            .map(|(status, answers)| (status.to_string(), written_response(&answers)))
            .collect();
        let security: Map<_, _> = self
            .security
            .iter()
            .map(|name| ((*name).to_owned(), json!([])))
            .collect();
        let mut operation = json!({
            "operationId": self.id,
            "tags": [tag],
            "summary": self.summary,
            "responses": responses,
            "security": if security.is_empty() { json!([]) } else { json!([security]) },
        });
        if !self.description.is_empty() {
            operation["description"] = self.description.into();
        }
        if !self.parameters.is_empty() {
            operation["parameters"] = self.parameters.into();
        }
        if !self.body.is_empty() {
            let content: Map<_, _> = self
                .body
                .into_iter()
                .map(|(kind, content)| (kind.to_owned(), content))
                .collect();
            operation["requestBody"] = json!({ "required": self.body_required, "content": content });
        }
        operation
    }
}

/// What one status means, in one or several answers.
fn written_response(answers: &[Answer]) -> Value {
    let whens: Vec<_> = answers.iter().map(|answer| answer.when).collect();
    let mut response = json!({ "description": whens.join("; ") });
    let bodies: Vec<_> = answers
        .iter()
        .filter_map(|answer| Some((answer, answer.body.as_ref()?)))
        .collect();
    match &bodies[..] {
        [] => {}
        [(answer, body)] => {
            response["content"] = json!({ JSON: { "schema": answer.schema, "example": body } });
        }
        several => {
            let mut schemas: Vec<&Value> = Vec::new();
            for (answer, _) in several {
                if !schemas.contains(&&answer.schema) {
                    schemas.push(&answer.schema);
                }
            }
            let examples: Map<_, _> = several
                .iter()
                .map(|(answer, body)| (answer.when.replace(' ', "_"), json!({ "value": body })))
                .collect();
            let schema = match schemas[..] {
                [one] => one.clone(),
                _ => json!({ "anyOf": schemas }),
            };
            response["content"] = json!({ JSON: { "schema": schema, "examples": examples } });
        }
    }
    let headers: Map<_, _> = answers
        .iter()
        .flat_map(|answer| &answer.headers)
        .map(|name| (name.to_string(), written_header(name)))
        .collect();
    if !headers.is_empty() {
        response["headers"] = headers.into();
    }
    response
}

fn written_header(name: &HeaderName) -> Value {
    if name == header::RETRY_AFTER {
        return json!({ "description": "Seconds.", "schema": { "type": "integer", "minimum": 1 } });
    }
    json!({ "schema": { "type": "string" } })
}

/// A type's schema as JSON. What can't be written says nothing, as an empty schema does.
pub(crate) fn written(schema: &impl serde::Serialize) -> Value {
    serde_json::to_value(schema).unwrap_or_else(|error| {
        tracing::error!(%error, "a schema could not be written");
        json!({})
    })
}

/// A body of a request in this form.
pub(crate) fn content(schema: &Value, example: &Value) -> Value {
    json!({ "schema": schema, "example": example })
}

/// What keeps to this schema, or is of one of these types, which then say nothing.
pub(crate) fn any_of(schema: &Value, types: &[&str]) -> Value {
    json!({ "anyOf": [schema, { "description": "Says nothing.", "type": types }] })
}

/// An object with these properties and maybe others.
pub(crate) fn object(properties: &Value, required: &[&str]) -> Value {
    json!({ "type": "object", "properties": properties, "required": required })
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}
