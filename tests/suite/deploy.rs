//! The files of `deploy/` say what the program takes: their own linters know their form, and nothing of that.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use crate::{
    programs::tools::root,
    support::process::{Finished, USERBRIDGE, command},
};

/// The names of all variables in a text.
fn variables(text: &str) -> BTreeSet<&str> {
    let is_name = |c: char| c.is_ascii_uppercase() || c == '_';
    let words = text.split(|c| !is_name(c));
    words.filter(|word| word.starts_with("USERBRIDGE_")).collect()
}

/// Every file of a folder and those in it, as text.
fn files(folder: &Path) -> Vec<(PathBuf, String)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                return files(&path);
            }
            let text = fs::read_to_string(&path).unwrap();
            vec![(path, text)]
        })
        .collect()
}

fn userbridge(arguments: &[&str]) -> Finished {
    command(USERBRIDGE).args(arguments).output().unwrap().into()
}

#[test]
fn the_variables_in_deploy_are_those_of_the_program() {
    let help = userbridge(&["help", "serve"]).stdout;
    let known = variables(&help);
    let mut seen = 0;
    for (path, text) in files(&root().join("deploy")) {
        for name in variables(&text) {
            assert!(known.contains(name), "{}: {name}", path.display());
            seen += 1;
        }
    }
    assert!(seen > 0);
}

/// Those in comments are examples to be uncommented.
#[test]
fn the_settings_in_deploy_are_those_of_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("settings.toml");
    let files = files(&root().join("deploy"));
    let mut tried = 0;
    for (path, text) in files
        .iter()
        .filter(|(path, _)| path.extension() == Some("toml".as_ref()))
    {
        let lines = text.lines().map(|line| match line.strip_prefix("# ") {
            Some(example) if example.contains(" = ") => example,
            _ => line,
        });
        fs::write(&settings, lines.collect::<Vec<_>>().join("\n")).unwrap();
        let shown = userbridge(&["--config", &settings.display().to_string(), "config"]);
        assert_eq!(shown.code, 0, "{}: {}", path.display(), shown.stderr);
        assert!(
            shown.stdout.contains("\tfile "),
            "{} sets something",
            path.display()
        );
        tried += 1;
    }
    assert!(tried > 0);
}
