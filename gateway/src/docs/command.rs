//! Commands for curl, to paste into a shell.

use serde_json::Value;

use crate::openapi::{SAMPLE_KEY, SHELL_VARIABLE};

/// What a JSON key in an example becomes.
const KEY_VARIABLE: &str = "USERBRIDGE_API_KEY";

/// The lines of a command behind the server's URL: the path, then options.
pub(super) fn curl(method: &str, path: &str, operation: &Value, security_schemes: &Value) -> Vec<String> {
    let mut path = path.to_owned();
    let mut lines = Vec::new();
    for parameter in items(&operation["parameters"]) {
        let name = text(&parameter["name"]);
        match text(&parameter["in"]) {
            "path" => {
                let sample = parameter.get("example").map_or_else(|| "42".to_owned(), plain);
                path = path.replace(&format!("{{{name}}}"), &sample);
            }
            "header" => lines.push(format!("-H \"{name}: {}\"", variable(parameter))),
            _ => {}
        }
    }
    for name in items(&operation["security"])
        .flat_map(|one| one.as_object().into_iter().flatten().map(|(name, _)| name))
    {
        let scheme = &security_schemes[name];
        let value = variable(scheme);
        lines.push(match text(&scheme["type"]) {
            "apiKey" => format!("-H \"{}: {value}\"", text(&scheme["name"])),
            _ => format!("-H \"authorization: Bearer {value}\""),
        });
    }
    if let Some(example) = operation.pointer("/requestBody/content/application~1json/example") {
        lines.push("-H 'content-type: application/json'".to_owned());
        let key = format!("\"{SAMPLE_KEY}\"");
        let from_shell = format!("\"'\"${KEY_VARIABLE}\"'\"");
        lines.push(format!("-d '{}'", example.to_string().replace(&key, &from_shell)));
    }
    if method != "GET" {
        lines.insert(0, format!("-X {method}"));
    }
    lines.insert(0, path);
    lines
}

fn variable(described: &Value) -> String {
    format!("${}", text(&described[SHELL_VARIABLE]))
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The items of an array; none of anything else.
pub(super) fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// A text; empty for anything else.
pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
