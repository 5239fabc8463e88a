//! A disk that takes nothing more while mails are being sent.

use std::{collections::BTreeSet, time::Duration};

use super::layer::{Layer, Mode};
use crate::{
    mail::{
        processes::{invite, make, sending, wait_for},
        server::MailServer,
    },
    support::{process::Serve, skip},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mails_sent_while_the_disk_is_full_are_written_down_later_and_not_sent_again() {
    let Some(mut mail) = MailServer::start() else {
        return;
    };
    let Some(layer) = Layer::new() else {
        return skip("there is no C compiler");
    };
    let url = format!("sqlite:{}", layer.files().join("users.db").display());
    let emails: Vec<_> = (0..6)
        .map(|number| format!("held{number}@acme.example.com"))
        .collect();
    make(&url, &emails.iter().map(String::as_str).collect::<Vec<_>>());
    let mut server = Serve::start_as(layer.before(sending(&url, &mail).env("USERBRIDGE_LOG", "off")));
    // So many are sent at once; the others wait for them.
    mail.heard(4).await;
    layer.control().fail_all_changes(Mode::NoSpace);
    mail.release();
    while layer.control().failed() == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    layer.control().disarm();
    wait_for(&url, "sent", 6);
    // The same process goes on.
    invite(&url, &["sally@acme.example.com"]);
    wait_for(&url, "sent", 7);
    server.process.terminate();
    assert!(server.process.wait().success());
    let heard = mail.so_far();
    let to: BTreeSet<_> = heard.iter().map(|mail| mail["to"].as_str().unwrap()).collect();
    assert_eq!((heard.len(), to.len()), (7, 7), "one came twice: {heard:?}");
}
