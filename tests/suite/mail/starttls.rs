//! Somebody on the way to the mail server, without a certificate.

use std::time::Duration;

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::timeout,
};
use userbridge::{
    domain::MailState,
    mail::{Smtp, SmtpUrl, Transport},
};

use super::{
    delivery::{address, settled, welcome},
    server::{MailServer, config},
};
use crate::support::{Form, TestApp};

/// Hands everything on, and puts answers behind the one to STARTTLS.
async fn inject(client: TcpStream, server: TcpStream) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let (asked, sees) = watch::channel(false);
    tokio::join!(
        until_asked(from_client, to_server, asked),
        answers(from_server, to_client, sees)
    );
}

async fn until_asked(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    asked: watch::Sender<bool>,
) {
    let mut bytes = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if bytes.starts_with(b"STARTTLS") {
            asked.send_replace(true);
        }
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

async fn answers(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    asked: watch::Receiver<bool>,
) {
    let mut bytes = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        let mut all = bytes[..count].to_vec();
        let is_last = *asked.borrow();
        if is_last {
            all.extend(b"250-injected\r\n250 AUTH PLAIN LOGIN\r\n");
        }
        if to.write_all(&all).await.is_err() {
            return;
        }
        if is_last {
            let _ = copy(&mut from, &mut to).await;
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_before_tls_is_not_taken_for_an_answer_within_it() {
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = MailServer::start_with(folder.path()) else {
        return;
    };
    let port = server.port;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let between = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            tokio::spawn(inject(client, server));
        }
    });
    let ca = std::fs::read(folder.path().join("ca.pem")).unwrap();
    let url = format!("smtp://bob@localhost:{between}?tls=required");
    let url = SmtpUrl::new(&url, Some("s/e:cret".to_owned())).unwrap();
    let transport = Transport::Smtp(Smtp::new(url, Some(&ca)).unwrap());
    let app = TestApp::mailing(Form::Embedded, config(transport)).await;
    let acme = app.organization("acme").await.id;
    welcome(&app, acme, address("sally@acme.example.com")).await;
    let tried = async {
        loop {
            let mail = settled(&app, acme, MailState::Queued, 1).await.remove(0);
            match mail.error {
                Some(error) => return error,
                None => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    };
    let error = timeout(Duration::from_mins(1), tried).await.unwrap();
    assert_eq!(error.as_str(), "the mail server has no TLS that can be trusted");
    assert!(server.so_far().is_empty());
}
