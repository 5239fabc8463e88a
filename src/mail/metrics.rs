//! What is counted of mails. The only label is the kind, which no client chooses.

use std::time::Duration;

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use crate::domain::MailKind;

/// Upper bounds of the durations that are told apart, in seconds. `--smtp-timeout` is a minute, unless it is said otherwise.
const DURATIONS: [f64; 9] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 60.0];

/// A counter for each kind of mail.
type ByKind = Family<[(&'static str, &'static str); 1], Counter>;

/// What one server counts of its mails, from its start on. Clones count the same.
#[derive(Clone, Debug)]
pub struct MailMetrics {
    sent: ByKind,
    attempts_failed: ByKind,
    given_up: ByKind,
    sending: Gauge,
    durations: Histogram,
}

impl MailMetrics {
    /// Counters that stand at zero and are shown with the rest of the registry.
    #[must_use]
    pub fn new(registry: &mut Registry) -> Self {
        let mut by_kind = |name: &str, help: &str| {
            let family = ByKind::default();
            // What never happened is zero, and not absent, so that its rate is known from the first one on.
            for kind in MailKind::ALL {
                drop(family.get_or_create(&of(*kind)));
            }
            registry.register(name, help, family.clone());
            family
        };
        let metrics = Self {
            sent: by_kind("mails_sent", "Mails that the mail server has taken, by kind"),
            attempts_failed: by_kind(
                "mail_attempts_failed",
                "Attempts to send a mail that have failed, those after which it was given up included, by kind",
            ),
            given_up: by_kind("mails_given_up", "Mails that are not tried any more, by kind"),
            sending: Gauge::default(),
            durations: Histogram::new(DURATIONS),
        };
        registry.register(
            "mails_sending",
            "Mails that are being sent now, eight at most",
            metrics.sending.clone(),
        );
        registry.register_with_unit(
            "mail_attempt_duration",
            "How long attempts to send a mail took, from connecting to the mail server's answer",
            Unit::Seconds,
            metrics.durations.clone(),
        );
        metrics
    }

    pub(super) fn attempt(&self, took: Duration) {
        self.durations.observe(took.as_secs_f64());
    }

    pub(super) fn sent(&self, kind: MailKind) {
        self.sent.get_or_create(&of(kind)).inc();
    }

    pub(super) fn attempt_failed(&self, kind: MailKind) {
        self.attempts_failed.get_or_create(&of(kind)).inc();
    }

    pub(super) fn given_up(&self, kind: MailKind) {
        self.given_up.get_or_create(&of(kind)).inc();
    }

    pub(super) fn sending(&self, count: usize) {
        self.sending.set(i64::try_from(count).unwrap_or(i64::MAX));
    }
}

const fn of(kind: MailKind) -> [(&'static str, &'static str); 1] {
    [("kind", kind.as_str())]
}
