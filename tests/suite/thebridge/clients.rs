//! The vendor's own clients, as npm has them, against a running server.

use std::{fs, process::Command};

use super::Acme;
use crate::{
    programs::tools::{Needs, available, root, run, script},
    support::{TestApp, gateway_tests},
};

gateway_tests!(
    the_vendors_client_works,
    the_vendors_newer_client_works,
    the_documented_curl_lines_work_when_pasted,
);

async fn the_vendors_client_works(app: TestApp) {
    client_works(app, "ts_client.cjs", "@nebulr-group/nblocks-ts-client").await;
}

async fn the_vendors_newer_client_works(app: TestApp) {
    client_works(app, "auth_core.mjs", "@nebulr-group/bridge-auth-core").await;
}

/// Runs a program that does with the client all that it can, and asserts what comes of it.
async fn client_works(app: TestApp, program: &str, package: &'static str) {
    if !available(&[Needs::Npm(package)]) {
        return;
    }
    let acme = Acme::of(app).await;
    let reader = acme
        .app
        .key(&acme.organization, &[userbridge::domain::Scope::DirectoryRead])
        .await;
    let mut command = Command::new("node");
    command
        .arg(script(&format!("thebridge/{program}")))
        .env("USERBRIDGE_URL", format!("http://{}", acme.app.http_addr))
        .env(
            "NBLOCKS_ACCOUNT_API_URL",
            format!("http://{}/account", acme.app.http_addr),
        )
        .env("USERBRIDGE_API_KEY", &acme.key)
        .env("USERBRIDGE_READ_KEY", reader)
        .env("USERBRIDGE_TENANT_ID", acme.organization.id.to_string());
    let ran = tokio::task::spawn_blocking(move || run(&mut command))
        .await
        .unwrap();
    assert_eq!(ran.ok(), "done\n");
}

/// The shell lines of a page that ask this contract.
fn samples(page: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(page)).unwrap();
    let blocks = text.split("```sh\n").skip(1);
    let blocks = blocks.filter_map(|block| Some(block.split_once("```")?.0.to_owned()));
    blocks
        .filter(|block| block.contains("/account/tenant/user"))
        .collect()
}

async fn the_documented_curl_lines_work_when_pasted(app: TestApp) {
    if !available(&[Needs::Curl]) {
        return;
    }
    let acme = Acme::of(app).await;
    let samples = [samples("README.md"), samples("docs/thebridge.md")].concat();
    assert_eq!(samples.len(), 2);
    let mut shown = Vec::new();
    for sample in samples {
        let mut command = Command::new("bash");
        command
            .args([
                "-c",
                &sample.replace("127.0.0.1:8080", &acme.app.http_addr.to_string()),
            ])
            .env("USERBRIDGE_DIRECTORY_KEY", &acme.key)
            .env("USERBRIDGE_TENANT_ID", acme.organization.id.to_string());
        let ran = tokio::task::spawn_blocking(move || run(&mut command))
            .await
            .unwrap();
        shown.push(ran.json());
    }
    assert_eq!(shown[0]["fullName"], "Jane Smith");
    assert_eq!(shown[1], serde_json::json!([shown[0]]), "created, then listed");
}
