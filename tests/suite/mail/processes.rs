//! Servers as processes: killed, two on one file, and with secrets.

use std::{fs, process::Command};

use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::server::{MailServer, header, link};
use crate::support::{
    database,
    process::{Serve, serve, userbridge},
    until_logged,
};

/// Makes an organization with these owners, to whom a welcome waits.
pub(crate) fn make(url: &str, emails: &[&str]) {
    userbridge(url, &["org", "create", "acme", "--json"]).json();
    invite(url, emails);
}

/// Makes owners of these, with a welcome.
pub(crate) fn invite(url: &str, emails: &[&str]) {
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

/// What starts a server that sends mails to this one.
pub(crate) fn sending(url: &str, mail: &MailServer) -> Command {
    let smtp = format!("smtp://127.0.0.1:{}", mail.port);
    let mut command = serve();
    command
        .args(["--database-url", url, "--smtp-url", &smtp])
        .args(["--mail-from", "people@acme.example.com"])
        .args(["--public-url", "https://people.example.com/"]);
    command
}

fn mails(url: &str, state: &str) -> Vec<Value> {
    let listed = userbridge(
        url,
        &["mail", "list", "--org", "acme", "--state", state, "--json"],
    );
    listed.json().as_array().unwrap().clone()
}

/// Waits until so many mails are in a state.
pub(crate) fn wait_for(url: &str, state: &str, count: usize) {
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
    let start = || Serve::start_as(sending(&url, &mail).args(["--smtp-timeout", "2"]));
    let mut first = start();
    mail.heard(2).await;
    first.process.kill();
    let _second = start();
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
    let _servers = [(); 2].map(|()| Serve::start_as(&mut sending(&url, &mail)));
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
    let Some(mail) = MailServer::start_with(folder.path()) else {
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
    until_logged(&log, "a mail was sent").await;
    drop(server);
    let log = fs::read_to_string(&log).unwrap();
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_told_to_stop_sends_what_it_has_begun_and_the_next_one_sends_the_rest() {
    let Some(mut mail) = MailServer::start() else {
        return;
    };
    let (_folder, url) = database();
    let emails: Vec<_> = (0..6)
        .map(|number| format!("held{number}@acme.example.com"))
        .collect();
    make(&url, &emails.iter().map(String::as_str).collect::<Vec<_>>());
    let mut first = Serve::start_as(&mut sending(&url, &mail));
    // So many are sent at once; the others wait for them.
    mail.heard(4).await;
    first.process.terminate();
    // It accepts nobody any more: so it knows.
    while TcpStream::connect(first.http_addr).await.is_ok() {
        tokio::task::yield_now().await;
    }
    mail.release();
    assert!(first.process.wait().success());
    assert_eq!((mails(&url, "sent").len(), mails(&url, "queued").len()), (4, 2));
    let _second = Serve::start_as(&mut sending(&url, &mail));
    wait_for(&url, "sent", 6);
    let heard = mail.so_far();
    let mut to: Vec<_> = heard.iter().map(|said| said["to"].as_str().unwrap()).collect();
    to.sort_unstable();
    assert_eq!(to, emails);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_that_was_given_up_is_sent_once_it_is_retried_by_a_server_that_runs() {
    let Some(mail) = MailServer::start() else { return };
    let (_folder, url) = database();
    make(&url, &["refused@acme.example.com"]);
    let _server = Serve::start_as(&mut sending(&url, &mail));
    wait_for(&url, "failed", 1);
    let failed = mails(&url, "failed").remove(0);
    let id = failed["id"].as_str().unwrap();
    // The address was wrong.
    let run = |arguments: &[&str]| userbridge(&url, arguments).json();
    let who = ["--org", "acme", "--json"];
    let member = run(&[
        &["member", "show", "--email", "refused@acme.example.com"],
        &who[..],
    ]
    .concat());
    let member = member["id"].as_str().unwrap();
    run(&[
        &[
            "member",
            "update",
            "--id",
            member,
            "--email",
            "sally@acme.example.com",
        ],
        &who[..],
    ]
    .concat());

    let retried = run(&[&["mail", "retry", id], &who[..]].concat());
    assert_eq!(
        (&retried["id"], &retried["state"]),
        (&failed["id"], &json!("queued"))
    );
    assert_eq!(retried["failed_at"], Value::Null);
    wait_for(&url, "sent", 1);
    let sent = mails(&url, "sent").remove(0);
    assert_eq!((&sent["id"], &sent["attempts"]), (&failed["id"], &json!(2)));
    let heard = mail.so_far();
    assert_eq!(
        (heard.len(), &heard[0]["to"]),
        (1, &json!("sally@acme.example.com"))
    );
    // One that was sent is not sent again.
    let refused = userbridge(&url, &[&["mail", "retry", id], &who[..]].concat());
    assert_eq!(refused.code, 3, "{refused:?}");
}

#[test]
fn the_command_line_lists_mails_and_retries_none_that_waits() {
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
