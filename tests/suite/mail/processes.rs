//! Servers as processes: killed, two on one file, and with secrets.

use std::{fs, process::Command};

use serde_json::Value;

use super::server::{MailServer, header, link};
use crate::support::{
    database,
    process::{Serve, serve, userbridge},
};

fn make(url: &str, emails: &[&str]) {
    userbridge(url, &["org", "create", "acme", "--json"]).json();
    for email in emails {
        let member = [
            "member",
            "link",
            "--org",
            "acme",
            "--email",
            email,
            "--role",
            "owner",
            "--send-onboarding-mail",
            "--json",
        ];
        userbridge(url, &member).json();
    }
}

/// A server that sends mails to this one.
fn sending(url: &str, mail: &MailServer) -> Serve {
    let smtp = format!("smtp://127.0.0.1:{}", mail.port);
    Serve::start_with(&[
        "--database-url",
        url,
        "--smtp-url",
        &smtp,
        "--mail-from",
        "people@acme.example.com",
        "--public-url",
        "https://people.example.com/",
        "--smtp-timeout",
        "2",
    ])
}

fn mails(url: &str, state: &str) -> Vec<Value> {
    let listed = userbridge(
        url,
        &["mail", "list", "--org", "acme", "--state", state, "--json"],
    );
    listed.json().as_array().unwrap().clone()
}

fn wait_for(url: &str, state: &str, count: usize) {
    for _ in 0..300 {
        if mails(url, state).len() >= count {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("no {count} mails are {state}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_outlives_the_kill_of_its_server_and_is_sent_once() {
    let Some(mail) = MailServer::start() else { return };
    let (_folder, url) = database();
    make(&url, &["sally@acme.example.com", "dropped@acme.example.com"]);
    // Nobody has sent them yet. The second one is taken and not answered.
    let mut first = sending(&url, &mail);
    mail.heard(2).await;
    first.process.kill();
    let _second = sending(&url, &mail);
    wait_for(&url, "sent", 2);
    let heard = mail.so_far();
    let to = |email: &str| {
        heard
            .iter()
            .filter(|said| said["to"] == email)
            .collect::<Vec<_>>()
    };
    // Taken and perhaps not written down before the kill: then it has come twice.
    let sally = to("sally@acme.example.com");
    assert!(!sally.is_empty() && sally.len() <= 2, "{heard:?}");
    assert_eq!(
        header(sally[0], "Message-ID"),
        header(sally[sally.len() - 1], "Message-ID")
    );
    let dropped = to("dropped@acme.example.com");
    assert_eq!(dropped.len(), 2);
    assert_eq!(header(dropped[0], "Message-ID"), header(dropped[1], "Message-ID"));
    assert!(link(dropped[1]).starts_with("https://people.example.com/set-password?token=ubp_"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_on_one_file_send_each_mail_once() {
    let Some(mail) = MailServer::start() else { return };
    let (_folder, url) = database();
    let emails: Vec<_> = (0..20)
        .map(|number| format!("m{number}@acme.example.com"))
        .collect();
    let emails: Vec<_> = emails.iter().map(String::as_str).collect();
    make(&url, &emails);
    let _servers = [sending(&url, &mail), sending(&url, &mail)];
    wait_for(&url, "sent", 20);
    let mut to: Vec<_> = mail
        .so_far()
        .iter()
        .map(|said| said["to"].as_str().unwrap().to_owned())
        .collect();
    to.sort();
    let mut expected: Vec<_> = emails.iter().map(|email| (*email).to_owned()).collect();
    expected.sort();
    assert_eq!(to, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_for_the_mail_server_is_sent_over_tls_and_is_in_no_log() {
    let (folder, url) = database();
    let Some(mail) = MailServer::start_with(Some(folder.path())) else {
        return;
    };
    make(&url, &["sally@acme.example.com"]);
    let password = folder.path().join("password");
    fs::write(&password, "s/e:cret\n").unwrap();
    let log = folder.path().join("log");
    let smtp = format!("smtp://bob@localhost:{}?tls=required", mail.port);
    let mut command: Command = serve();
    command
        .args(["--database-url", &url])
        .args(["--smtp-url", &smtp, "--mail-from", "people@acme.example.com"])
        .args([
            "--public-url",
            "https://people.example.com",
            "--smtp-password-file",
        ])
        .arg(&password)
        .arg("--smtp-ca-file")
        .arg(folder.path().join("ca.pem"))
        .env("USERBRIDGE_LOG", "debug")
        .stderr(fs::File::create(&log).unwrap());
    let server = Serve::start_as(&mut command);
    let heard = mail.heard(1).await;
    let token = link(&heard[0]).split_once("token=").unwrap().1.to_owned();
    wait_for(&url, "sent", 1);
    drop(server);
    let log = fs::read_to_string(&log).unwrap();
    assert!(log.contains("a mail was sent"), "{log}");
    for secret in ["s/e:cret", &token, "sally@acme.example.com"] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[test]
fn flags_that_do_not_go_together_are_refused_without_repeating_a_password() {
    let (folder, url) = database();
    let secret = "topsecret";
    let clear = format!("smtp://bob:{secret}@mail.example.com?tls=none");
    let odd = format!("http://bob:{secret}@mail.example.com");
    for flags in [
        vec![
            "--smtp-url",
            &clear,
            "--mail-from",
            "a@b",
            "--public-url",
            "https://a",
        ],
        vec![
            "--smtp-url",
            &odd,
            "--mail-from",
            "a@b",
            "--public-url",
            "https://a",
        ],
        vec!["--smtp-url", &clear],
        vec!["--smtp-password-file", "x"],
    ] {
        let mut arguments = vec!["serve"];
        arguments.extend(flags);
        let refused = userbridge(&url, &arguments);
        assert_eq!(refused.code, 2, "{refused:?}");
        assert!(!refused.stderr.contains(secret), "{refused:?}");
    }
    drop(folder);
}

#[test]
fn the_command_line_lists_mails_and_tries_again_those_that_were_given_up() {
    let (_folder, url) = database();
    make(&url, &["sally@acme.example.com"]);
    let queued = mails(&url, "queued");
    assert_eq!(queued.len(), 1);
    assert_eq!(queued[0]["kind"], "onboarding");
    assert_eq!(mails(&url, "failed"), Vec::<Value>::new());
    let id = queued[0]["id"].as_str().unwrap();
    let refused = userbridge(&url, &["mail", "retry", "--org", "acme", id]);
    assert_eq!(refused.code, 3, "{refused:?}");
}
