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
    if let Some(told) = check("productbridge", &[]).await {
        assert_admitted(&told);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn feedier_keeps_to_its_description() {
    if let Some(told) = check("feedier", &[]).await {
        assert_admitted(&told);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bridge_keeps_to_its_description() {
    // Nest answers 404 to a method that a path does not take, and the contract has it so; the check wants 405.
    check("thebridge", &["--exclude-checks", UNSUPPORTED_METHOD]).await;
}

/// What schemathesis told. None: it is not here.
async fn check(dialect: &'static str, arguments: &'static [&'static str]) -> Option<String> {
    if !available(&[Needs::Python("schemathesis")]) {
        return None;
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
    Some(stdout)
}

/// That no operation was answered with 401 alone.
#[track_caller]
fn assert_admitted(told: &str) {
    assert!(!told.contains("Authentication failed"), "{told}");
}

/// The dialect's settings, for an organization with the end user and the key of the examples, and staff.
async fn settings(app: &TestApp, dialect: &str) -> String {
    let acme = app.organization("acme").await;
    app.raw_key(&acme, "pb_...", &[Scope::PublicApi], None).await;
    app.member(&acme, "sally@acme.example.com").await;
    let staff = app.key(&acme, &[Scope::DirectoryWrite]).await;
    let path = format!("schemathesis/{dialect}.toml");
    let values = [("DIRECTORY_KEY", staff), ("TENANT_ID", acme.id.to_string())];
    let template = fs::read_to_string(script(&path)).unwrap();
    values.into_iter().fold(template, |text, (name, value)| {
        text.replace(&format!("${{{name}}}"), &value)
    })
}
