//! What is counted of mails, as Prometheus gets it.

use std::{collections::BTreeMap, time::Duration};

use reqwest::Method;
use userbridge::{domain::MailState, service::Write};

use super::{
    delivery::{address, settled, welcome},
    server::MailServer,
};
use crate::support::{Answer, Form, TestApp};

const SENT: &str = r#"userbridge_mails_sent_total{kind="onboarding"}"#;
const ATTEMPTS_FAILED: &str = r#"userbridge_mail_attempts_failed_total{kind="onboarding"}"#;
const GIVEN_UP: &str = r#"userbridge_mails_given_up_total{kind="onboarding"}"#;
const ATTEMPTS: &str = "userbridge_mail_attempt_duration_seconds_count";
const SENDING: &str = "userbridge_mails_sending";

/// What a server has counted, by name and labels.
struct Scraped {
    text: String,
    samples: BTreeMap<String, f64>,
}

impl Scraped {
    async fn from(app: &TestApp) -> Self {
        let url = format!("http://{}/metrics", app.server.admin_addr.unwrap());
        let answer = Answer::of(app.http.get(url)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(
            answer.headers["content-type"],
            "text/plain; version=0.0.4; charset=utf-8"
        );
        let lines = answer.body.lines().filter(|line| !line.starts_with('#'));
        let samples = lines.map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        });
        Self {
            samples: samples.collect(),
            text: answer.body,
        }
    }

    /// What it has counted, once these samples are so.
    async fn when(app: &TestApp, expected: &[(&str, f64)]) -> Self {
        for _ in 0..600 {
            let scraped = Self::from(app).await;
            if expected
                .iter()
                .all(|(name, value)| scraped.samples.get(*name) == Some(value))
            {
                return scraped;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("no {expected:?} in {}", Self::from(app).await.text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_that_is_given_up_is_counted_where_prometheus_looks_and_nowhere_else() {
    let Some(server) = MailServer::start() else { return };
    let app = TestApp::mailing(Form::Embedded, server.config()).await;
    let other = TestApp::start(Form::Embedded).await;
    let acme = app.tenant("acme").await;
    let organization = acme.organization.id;
    for who in ["refused", "deferred", "sally"] {
        welcome(&app, organization, address(&format!("{who}@acme.example.com"))).await;
    }
    let counted = [
        (SENT, 2.0),
        (ATTEMPTS_FAILED, 2.0),
        (GIVEN_UP, 1.0),
        (ATTEMPTS, 4.0),
        (SENDING, 0.0),
    ];
    let scraped = Scraped::when(&app, &counted).await;

    // A mail that is tried again is counted again.
    let failed = settled(&app, organization, MailState::Failed, 1).await.remove(0);
    let grant = Write::operator(organization);
    app.directory().retry_mail(grant, failed.id).await.unwrap();
    Scraped::when(&app, &[(SENT, 2.0), (ATTEMPTS_FAILED, 3.0), (GIVEN_UP, 2.0)]).await;

    // Each is described, and nothing is named that belongs to somebody.
    for name in scraped.samples.keys() {
        let metric = name.split('{').next().unwrap();
        let metric = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|part| metric.strip_suffix(part))
            .unwrap_or(metric);
        for what in ["HELP", "TYPE"] {
            let line = format!("# {what} {metric} ");
            assert!(scraped.text.contains(&line), "no {line}in {}", scraped.text);
        }
    }
    let id = organization.to_string();
    for secret in ["@", "acme", id.as_str(), acme.key.as_str(), "ubp_", "127.0.0.1"] {
        assert!(!scraped.text.contains(secret), "{secret} in {}", scraped.text);
    }

    // Another server in this process has counted nothing, and listeners for clients tell nothing.
    let uncounted = Scraped::from(&other).await.samples;
    let mut of_mails = uncounted
        .iter()
        .filter(|(name, _)| name.starts_with("userbridge_mail"));
    assert!(of_mails.all(|(_, value)| *value == 0.0), "{uncounted:?}");
    let public = Answer::of(app.request(Method::GET, "/metrics")).await;
    assert_eq!(public.status, 404);
    assert!(!public.body.contains("userbridge_"), "{public:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_whose_member_can_not_be_written_to_is_counted_as_given_up_without_an_attempt() {
    let Some(server) = MailServer::start() else { return };
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.organization("acme").await.id;
    let sally = welcome(&app, acme, address("sally@acme.example.com")).await;
    let grant = Write::operator(acme);
    app.directory()
        .revoke_member(grant, sally.id, None)
        .await
        .unwrap();
    let app = TestApp::mailing_on(app.shutdown().await, server.config()).await;
    settled(&app, acme, MailState::Failed, 1).await;
    Scraped::when(&app, &[(GIVEN_UP, 1.0), (ATTEMPTS_FAILED, 0.0), (ATTEMPTS, 0.0)]).await;
}
