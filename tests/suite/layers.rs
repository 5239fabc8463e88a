//! Which layer knows which: what `docs/architecture.md` says, read from the sources.

use std::{fs, path::Path};

/// Folders, and the crates and modules that none of their files names.
const UNKNOWN: [(&str, &[&str]); 16] = [
    (
        "src/domain",
        &[
            "sqlx", "tonic", "prost", "clap", "storage", "service", "rpc", "cli",
        ],
    ),
    (
        "src/storage",
        &["tonic", "prost", "clap", "service", "rpc", "cli"],
    ),
    (
        "src/service",
        &["sqlx", "tonic", "prost", "clap", "lettre", "rpc", "mail", "cli"],
    ),
    (
        "src/mail",
        &["sqlx", "tonic", "prost", "clap", "storage", "rpc", "cli"],
    ),
    ("src/rpc", &["sqlx", "clap", "storage", "cli"]),
    (
        "src/transfer",
        &[
            "sqlx", "tonic", "prost", "clap", "storage", "service", "rpc", "mail", "cli",
        ],
    ),
    ("gateway/src", &["sqlx", "userbridge"]),
    ("gateway/src/upstream", &["dialects", "portal", "listen"]),
    (
        "gateway/src/listen",
        &["dialects", "observe", "portal", "upstream"],
    ),
    ("gateway/src/observe", &["dialects", "portal", "upstream"]),
    ("gateway/src/portal", &["dialects"]),
    ("gateway/src/docs", &["dialects", "portal", "upstream"]),
    (
        "gateway/src/dialects/feedier",
        &["portal", "productbridge", "thebridge"],
    ),
    (
        "gateway/src/dialects/productbridge",
        &["feedier", "portal", "thebridge"],
    ),
    (
        "gateway/src/dialects/thebridge",
        &["feedier", "portal", "productbridge"],
    ),
    ("wire/src", &["sqlx", "userbridge", "userbridge_gateway"]),
];

/// Every Rust file below a folder, and its text without comments and unit tests.
fn sources(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]").next().unwrap_or_default();
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            found.push((path.display().to_string(), code.collect::<Vec<_>>().join("\n")));
        }
    }
}

/// Whether the name begins a path, as in `name::`, or is a module of the crate, as in `crate::name`.
fn names(code: &str, name: &str) -> bool {
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
    code.match_indices(name).any(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + name.len()..]);
        let begins = !before.ends_with(is_part) && !before.ends_with(':') && after.starts_with("::");
        begins || before.ends_with("crate::") && !after.starts_with(is_part)
    })
}

#[test]
fn no_layer_names_what_it_does_not_know() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (folder, unknown) in UNKNOWN {
        let mut found = Vec::new();
        sources(&root.join(folder), &mut found);
        assert!(!found.is_empty(), "{folder}");
        for (path, code) in found {
            let named: Vec<_> = unknown.iter().filter(|name| names(&code, name)).collect();
            assert!(named.is_empty(), "{path} names {named:?}");
        }
    }
}

#[test]
fn a_name_is_found_where_it_is_a_path() {
    for (code, found) in [
        ("use sqlx::Row;", true),
        ("    storage::{Storage, StoreError},", true),
        ("use crate::storage;", true),
        ("crate::storage::connect()", true),
        ("let storage = self.storage.write();", false),
        ("sqlx_core::Row", false),
        ("my_storage::x", false),
    ] {
        let either = names(code, "sqlx") || names(code, "storage");
        assert_eq!(either, found, "{code}");
    }
}
