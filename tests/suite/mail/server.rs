//! A real mail server: aiosmtpd, as `tests/programs/mail/server.py` runs it.

use std::{
    env,
    ffi::OsStr,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    time::Duration,
};

use serde_json::Value;
use tokio::sync::watch;
use userbridge::{
    mail::{Smtp, SmtpUrl, Transport},
    server::MailConfig,
    service::Retries,
};

use crate::support::skip;

/// Long enough for anything that comes at all.
const NEVER: Duration = Duration::from_secs(60);

/// A mail server, and all that it has said.
pub(crate) struct MailServer {
    pub(crate) port: u16,
    process: Child,
    input: ChildStdin,
    said: watch::Receiver<Vec<Value>>,
}

impl Drop for MailServer {
    fn drop(&mut self) {
        // An error means that it has ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl MailServer {
    /// Starts it. None: there is no Python for it, which was said.
    pub(crate) fn start() -> Option<Self> {
        Self::start_as(None)
    }

    /// It takes mails only over STARTTLS and with a password, and leaves the certificate of its authority in the folder.
    pub(super) fn start_with(folder: &Path) -> Option<Self> {
        Self::start_as(Some(folder.as_os_str()))
    }

    /// It knows no addresses but those of ASCII.
    pub(super) fn start_ascii() -> Option<Self> {
        Self::start_as(Some("--ascii".as_ref()))
    }

    fn start_as(argument: Option<&OsStr>) -> Option<Self> {
        let Some(python) = env::var_os("USERBRIDGE_TEST_PYTHON") else {
            skip("USERBRIDGE_TEST_PYTHON names no Python with aiosmtpd");
            return None;
        };
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/programs/mail/server.py");
        let mut command = Command::new(python);
        command
            .arg(program)
            .args(argument)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let input = process.stdin.take().unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let first: Value = serde_json::from_str(&line).expect("the mail server says its port");
        let port = first["port"].as_u64().unwrap().try_into().unwrap();
        let (sender, said) = watch::channel(Vec::new());
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let value: Value = serde_json::from_str(&line).expect("the mail server speaks JSON");
                sender.send_modify(|said| said.push(value));
            }
        });
        Some(Self {
            port,
            process,
            input,
            said,
        })
    }

    /// What it has said, once that is so much.
    pub(crate) async fn heard(&self, count: usize) -> Vec<Value> {
        let mut said = self.said.clone();
        let heard = tokio::time::timeout(NEVER, said.wait_for(|said| said.len() >= count)).await;
        let heard = heard
            .unwrap_or_else(|_| panic!("fewer than {count} mails came"))
            .unwrap();
        heard.clone()
    }

    /// Lets it take what it holds, and all that comes.
    pub(crate) fn release(&mut self) {
        writeln!(self.input, "release").unwrap();
    }

    pub(crate) fn so_far(&self) -> Vec<Value> {
        self.said.borrow().clone()
    }

    /// A way out for a server's mails, which is tried again soon.
    pub(crate) fn config(&self) -> MailConfig {
        let url = SmtpUrl::new(&format!("smtp://127.0.0.1:{}", self.port), None).unwrap();
        config(Transport::Smtp(Smtp::new(url, None).unwrap()))
    }
}

pub(super) fn config(transport: Transport) -> MailConfig {
    MailConfig {
        transport,
        from: "people@userbridge.example".parse().unwrap(),
        retries: Retries {
            first: Duration::from_millis(20),
            longest: Duration::from_millis(100),
            give_up: Duration::from_secs(3600),
        },
        timeout: Duration::from_secs(30),
        links: None,
    }
}

/// A header of a mail. It has it once.
pub(super) fn header<'a>(mail: &'a Value, name: &str) -> &'a str {
    let headers = mail["headers"].as_array().unwrap();
    let mut found = headers.iter().filter(|header| header[0] == name);
    let value = found
        .next()
        .unwrap_or_else(|| panic!("{name} is missing in {headers:?}"));
    assert!(found.next().is_none(), "{name} comes twice");
    value[1].as_str().unwrap()
}

/// The link of a mail, the same in both parts.
pub(crate) fn link(mail: &Value) -> String {
    let (text, html) = (mail["text"].as_str().unwrap(), mail["html"].as_str().unwrap());
    let link = text
        .lines()
        .find(|line| line.starts_with("http"))
        .unwrap()
        .to_owned();
    assert!(html.contains(&format!("href=\"{link}\"")), "{html}");
    link
}
