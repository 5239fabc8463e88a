//! What the page shows of a document.

use serde_json::Value;

use super::command::{curl, items, text};

const METHODS: [&str; 4] = ["get", "post", "put", "delete"];

/// One dialect.
pub(super) struct Section {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) description: String,
    pub(super) operations: Vec<OperationView>,
    pub(super) schemas: Vec<SchemaView>,
}

pub(super) struct OperationView {
    pub(super) id: String,
    /// In capitals.
    pub(super) method: String,
    pub(super) path: String,
    pub(super) summary: String,
    pub(super) description: String,
    pub(super) parameters: Vec<Property>,
    pub(super) bodies: Vec<Body>,
    pub(super) responses: Vec<Answered>,
    /// The path, then options.
    pub(super) command: Vec<String>,
}

/// A form that the body of a request may have.
pub(super) struct Body {
    pub(super) kind: String,
    pub(super) schema: Kind,
}

pub(super) struct Answered {
    pub(super) status: String,
    pub(super) description: String,
    pub(super) schema: Kind,
    pub(super) examples: Vec<String>,
}

/// A schema that others refer to.
pub(super) struct SchemaView {
    pub(super) name: String,
    pub(super) description: String,
    /// Its properties, once for each of the forms that it has.
    pub(super) forms: Vec<Form>,
}

/// One of the forms of an object.
pub(super) struct Form {
    /// Empty if there is but one.
    pub(super) title: String,
    pub(super) properties: Vec<Property>,
}

pub(super) struct Property {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) required: bool,
    pub(super) description: String,
}

/// What a value is: words, and the schemas that they name.
#[derive(Default)]
pub(super) struct Kind {
    pub(super) words: String,
    pub(super) schemas: Vec<String>,
}

/// Every dialect of a document.
pub(super) fn sections(document: &Value) -> Vec<Section> {
    items(&document["tags"])
        .map(|tag| section(document, tag))
        .collect()
}

fn section(document: &Value, tag: &Value) -> Section {
    let name = text(&tag["name"]);
    let security = &document["components"]["securitySchemes"];
    let paths = document["paths"].as_object().into_iter().flatten();
    let operations = paths.flat_map(|(path, item)| {
        let methods = METHODS
            .iter()
            .filter_map(|method| Some((*method, item.get(method)?)));
        methods
            .filter(|(_, operation)| items(&operation["tags"]).any(|of| of == name))
            .map(|(method, operation)| operation_view(method, path, operation, security))
    });
    let schemas = document["components"]["schemas"]
        .as_object()
        .into_iter()
        .flatten();
    let prefix = format!("{name}.");
    Section {
        title: text(&tag["x-title"]).to_owned(),
        description: prose(&tag["description"]),
        operations: operations.collect(),
        schemas: schemas
            .filter(|(name, _)| name.starts_with(&prefix))
            .map(|(name, schema)| schema_view(name, schema))
            .collect(),
        name: name.to_owned(),
    }
}

fn operation_view(method: &str, path: &str, operation: &Value, security: &Value) -> OperationView {
    let method = method.to_uppercase();
    let bodies = operation["requestBody"]["content"]
        .as_object()
        .into_iter()
        .flatten();
    let responses = operation["responses"].as_object().into_iter().flatten();
    OperationView {
        id: text(&operation["operationId"]).to_owned(),
        path: path.to_owned(),
        summary: text(&operation["summary"]).to_owned(),
        description: prose(&operation["description"]),
        parameters: items(&operation["parameters"])
            .map(|parameter| Property {
                name: format!("{} ({})", text(&parameter["name"]), text(&parameter["in"])),
                kind: kind(&parameter["schema"]),
                required: parameter["required"] == true,
                description: prose(&parameter["description"]),
            })
            .collect(),
        bodies: bodies
            .map(|(media, content)| Body {
                kind: media.clone(),
                schema: kind(&content["schema"]),
            })
            .collect(),
        responses: responses
            .map(|(status, response)| {
                let content = &response["content"]["application/json"];
                let several = content["examples"].as_object().into_iter().flatten();
                let examples = several
                    .map(|(_, example)| &example["value"])
                    .chain(content.get("example"));
                Answered {
                    status: status.clone(),
                    description: prose(&response["description"]),
                    schema: kind(&content["schema"]),
                    examples: examples.map(indented).collect(),
                }
            })
            .collect(),
        command: curl(&method, path, operation, security),
        method,
    }
}

fn schema_view(name: &str, schema: &Value) -> SchemaView {
    let forms: Vec<_> = items(&schema["oneOf"]).collect();
    SchemaView {
        name: name.to_owned(),
        description: prose(&schema["description"]),
        forms: if forms.is_empty() {
            vec![form(&[schema])]
        } else {
            forms.into_iter().map(|one| form(&[one, schema])).collect()
        },
    }
}

/// The properties of all of these together.
fn form(schemas: &[&Value]) -> Form {
    let of = |schema: &Value| {
        let required: Vec<_> = items(&schema["required"]).map(text).map(str::to_owned).collect();
        let properties = schema["properties"].as_object().cloned().unwrap_or_default();
        properties.into_iter().map(move |(name, property)| Property {
            required: required.contains(&name),
            kind: kind(&property),
            description: prose(&property["description"]),
            name,
        })
    };
    Form {
        title: schemas
            .first()
            .map_or("", |schema| text(&schema["title"]))
            .to_owned(),
        properties: schemas.iter().flat_map(|schema| of(schema)).collect(),
    }
}

fn kind(schema: &Value) -> Kind {
    let mut schemas = Vec::new();
    let words = words(schema, &mut schemas);
    Kind { words, schemas }
}

/// A schema in a few words. Those that it refers to are noted, and not named.
fn words(schema: &Value, schemas: &mut Vec<String>) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        schemas.push(reference.rsplit('/').next().unwrap_or_default().to_owned());
        return String::new();
    }
    if let Some(value) = schema.get("const") {
        return value.to_string();
    }
    if let Some(values) = schema["enum"].as_array() {
        return either(values.iter().map(Value::to_string));
    }
    let several = ["anyOf", "oneOf"]
        .into_iter()
        .find_map(|name| schema[name].as_array());
    if let Some(several) = several {
        return either(several.iter().map(|one| words(one, schemas)));
    }
    let types = match &schema["type"] {
        Value::Array(types) => either(types.iter().map(|name| text(name).to_owned())),
        name => text(name).to_owned(),
    };
    let mut all = vec![if types == "array" {
        format!("list of {}", words(&schema["items"], schemas))
    } else {
        types
    }];
    all.extend(schema["format"].as_str().map(|format| format!("({format})")));
    for (name, before) in [
        ("minimum", "from"),
        ("maximum", "to"),
        ("maxLength", "at most, in characters,"),
        ("maxItems", "at most"),
    ] {
        all.extend(schema.get(name).map(|bound| format!("{before} {bound}")));
    }
    all.join(" ")
}

fn either(words: impl Iterator<Item = String>) -> String {
    words
        .filter(|words| !words.is_empty())
        .collect::<Vec<_>>()
        .join(" or ")
}

/// Markdown without the marks of code, the only ones that it has.
fn prose(markdown: &Value) -> String {
    text(markdown).replace('`', "")
}

fn indented(value: &Value) -> String {
    format!("{value:#}")
}
