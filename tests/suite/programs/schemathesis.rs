//! Each dialect against its own description, by schemathesis: what the document allows is taken, what it does not is refused,
//! and every answer is one that it has.

use std::{fs, process::Command};

use tokio::task::spawn_blocking;
use userbridge::domain::Scope;

use super::tools::{Needs, Ran, available, python, run, script};
use crate::support::{Form, TestApp};

/// Cases of one operation in a phase.
const EXAMPLES: &str = "25";

/// A check that contradicts a vendor's contract.
const UNSUPPORTED_METHOD: &str = "unsupported_method";

#[tokio::test(flavor = "multi_thread")]
async fn productbridge_keeps_to_its_description() {
    check("productbridge", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn feedier_keeps_to_its_description() {
    check("feedier", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bridge_keeps_to_its_description() {
    // Nest answers 404 to a method that a path does not take, and the contract has it so; the check wants 405.
    check("thebridge", &["--exclude-checks", UNSUPPORTED_METHOD]).await;
}

async fn check(dialect: &'static str, arguments: &'static [&'static str]) {
    if !available(&[Needs::Python("schemathesis")]) {
        return;
    }
    let app = TestApp::start(Form::Embedded).await;
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("schemathesis.toml");
    fs::write(&config, settings(&app, dialect).await).unwrap();
    let url = format!("http://{}", app.http_addr);
    let ran = spawn_blocking(move || {
        run(Command::new(python())
            .args(["-m", "schemathesis.cli", "--config-file"])
            .arg(&config)
            .args(["run", &format!("{url}/openapi/{dialect}.json"), "--url", &url])
            .args([
                "--checks",
                "all",
                "--max-examples",
                EXAMPLES,
                "--seed",
                "1",
                "--no-color",
            ])
            .args(arguments)
            .current_dir(folder.path()))
    });
    let Ran { code, stdout, stderr } = ran.await.unwrap();
    assert_eq!(code, Some(0), "{stdout}\n{stderr}");
    assert!(!stdout.contains("errored"), "{stdout}");
}

/// The dialect's settings, for an organization with end users and staff.
async fn settings(app: &TestApp, dialect: &str) -> String {
    let acme = app.tenant("acme").await;
    let email = "sally@acme.example.com";
    let sally = app.member(&acme.organization, email).await;
    let staff = app.key(&acme.organization, &[Scope::DirectoryWrite]).await;
    let path = format!("schemathesis/{dialect}.toml");
    let values = [
        ("API_KEY", acme.key),
        ("DIRECTORY_KEY", staff),
        ("TENANT_ID", acme.organization.id.to_string()),
        ("EMAIL", email.to_owned()),
        ("USER_ID", sally.user_id.to_string()),
    ];
    let template = fs::read_to_string(script(&path)).unwrap();
    values.into_iter().fold(template, |text, (name, value)| {
        text.replace(&format!("${{{name}}}"), &value)
    })
}
