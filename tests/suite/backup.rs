//! Backup and restore, by the commands of `docs/operations.md`.

use std::{fs, path::Path};

use tempfile::TempDir;

use crate::support::{
    process::{Serve, command, userbridge},
    skip,
};

/// The commands of the section, block by block.
fn commands() -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, section) = page.split_once("## Backup and restore\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let blocks = section.split("\n\n").filter(|block| block.starts_with("    "));
    blocks.map(str::to_owned).collect()
}

fn run(folder: &Path, commands: &str) -> bool {
    let mut shell = command("sh");
    shell.args(["-e", "-c", commands]).current_dir(folder);
    shell.status().unwrap().success()
}

#[test]
fn a_backup_is_restored_by_the_commands_of_the_page() {
    if !command("python3")
        .args(["-c", "import sqlite3"])
        .status()
        .is_ok_and(|status| status.success())
    {
        return skip("python3 is not there");
    }
    let [backup, restore]: [String; 2] = commands().try_into().unwrap();
    let folder = TempDir::new().unwrap();
    let url = format!("sqlite:{}", folder.path().join("userbridge.db").display());
    let mut serve = Serve::start(&url);
    assert_eq!(userbridge(&url, &["org", "create", "acme"]).code, 0);
    let link = |email: &str| userbridge(&url, &["member", "link", "--org", "acme", "--email", email]);
    assert_eq!(link("before@acme.example.com").code, 0);
    assert!(run(folder.path(), &backup));
    for index in 0..10 {
        assert_eq!(link(&format!("after{index}@acme.example.com")).code, 0);
    }
    // What the server has not folded in lies beside the file.
    serve.process.kill();
    assert!(
        fs::metadata(folder.path().join("userbridge.db-wal"))
            .unwrap()
            .len()
            > 0
    );
    assert!(run(folder.path(), &restore));

    let listed = userbridge(&url, &["member", "list", "--org", "acme", "--json"]).json();
    let emails: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|member| member["email"].clone())
        .collect();
    assert_eq!(emails, ["before@acme.example.com"]);
    let mut serve = Serve::start(&url);
    assert_eq!(link("later@acme.example.com").code, 0);
    serve.process.terminate();
    assert!(serve.process.wait().success());
}
