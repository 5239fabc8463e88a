use super::*;
use crate::domain::Timestamp;
use std::{sync::atomic::AtomicI64, time::Duration};

#[derive(Default)]
struct Hand(AtomicI64);

impl Hand {
    fn pass(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::Relaxed);
    }
}

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_775_030_400_000 + self.0.load(Ordering::Relaxed))
    }
}

fn number(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

fn limits(limits: CallLimits) -> (Arc<Hand>, KeyLimits) {
    let hand = Arc::new(Hand::default());
    let clock: Arc<dyn Clock> = hand.clone();
    (hand, KeyLimits::new(limits, &clock))
}

fn shown(key: &str, from: &str) -> Shown {
    Shown {
        presented: Presented::new(key),
        from: Some(from.parse().unwrap()),
        counted: false,
    }
}

#[test]
fn a_key_has_its_calls_at_once_and_then_one_after_the_other() {
    let (hand, limits) = limits(CallLimits {
        per_key: Some(CallRate {
            per_second: number(10),
            burst: number(3),
        }),
        ..CallLimits::default()
    });
    let (acme, globex) = (shown("pb_acme", "192.0.2.1"), shown("pb_globex", "192.0.2.1"));
    let allowance = |remaining| Some(Allowance { limit: 3, remaining });
    // The first call shows that it is a key.
    assert_eq!(limits.admit(acme).unwrap(), None);
    assert_eq!(limits.opened(acme.presented.digest), allowance(2));
    for remaining in [1, 0] {
        assert_eq!(limits.admit(acme).unwrap(), allowance(remaining));
        assert_eq!(limits.opened(acme.presented.digest), None);
    }
    let refused = limits.admit(acme).unwrap_err();
    let ServiceError::RateLimited { wait, limit: 3 } = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(wait, Duration::from_millis(100));
    // What belongs to a request that was counted goes on, and so does everybody else.
    let counted = Shown {
        counted: true,
        ..acme
    };
    assert_eq!(limits.admit(counted).unwrap(), None);
    assert_eq!(limits.admit(globex).unwrap(), None);
    hand.pass(100);
    assert_eq!(limits.admit(acme).unwrap(), allowance(0));
    limits.admit(acme).unwrap_err();
    assert_eq!(limits.refused().call_rate, 2);
}

#[test]
fn an_address_that_guesses_is_refused_before_a_look_up_and_known_keys_from_there_are_not() {
    let (hand, limits) = limits(CallLimits {
        failed_keys: Some(number(3)),
        ..CallLimits::default()
    });
    let honest = shown("pb_honest", "192.0.2.1");
    limits.admit(honest).unwrap();
    limits.opened(honest.presented.digest);
    let guess = |number: u32| shown(&format!("pb_{number}"), "192.0.2.1");
    for number in 0..3 {
        limits.admit(guess(number)).unwrap();
        limits.opened_nothing(guess(number));
    }
    let refused = limits.admit(guess(3)).unwrap_err();
    let ServiceError::TooManyFailedKeys(wait) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(wait, Duration::from_secs(20));
    limits.admit(honest).unwrap();
    limits.admit(shown("pb_3", "192.0.2.2")).unwrap();
    // One each time, however many come.
    hand.pass(20_000);
    limits.admit(guess(3)).unwrap();
    limits.admit(guess(4)).unwrap_err();
    limits.opened_nothing(guess(3));
    assert_eq!(limits.refused().failed_keys, 2);
    // A key that has died is known no more.
    limits.opened_nothing(honest);
    limits.admit(honest).unwrap_err();
    hand.pass(90_000);
    limits.sweep();
    for number in 5..8 {
        limits.admit(guess(number)).unwrap();
    }
}

#[test]
fn this_machine_is_not_counted() {
    let (_, limits) = limits(CallLimits {
        failed_keys: Some(number(1)),
        ..CallLimits::default()
    });
    for from in ["127.0.0.1", "::1"] {
        for _ in 0..9 {
            limits.admit(shown("pb_no", from)).unwrap();
            limits.opened_nothing(shown("pb_no", from));
        }
    }
}

#[test]
fn a_key_is_remembered_for_a_day_after_it_was_used() {
    let (_, limits) = limits(CallLimits {
        failed_keys: Some(number(1)),
        ..CallLimits::default()
    });
    let key = shown("pb_acme", "192.0.2.1");
    limits.opened(key.presented.digest);
    for _ in 0..REMEMBERED {
        limits.sweep();
    }
    assert!(limits.is_good(key.presented.digest));
    limits.opened(key.presented.digest);
    for _ in 0..=REMEMBERED {
        assert!(limits.is_good(key.presented.digest));
        limits.sweep();
    }
    assert!(!limits.is_good(key.presented.digest));
}

#[test]
fn a_key_that_is_shown_where_it_opens_nothing_may_not_call_more_often_for_that() {
    let (_, limits) = limits(CallLimits {
        per_key: Some(CallRate {
            per_second: number(1),
            burst: number(3),
        }),
        failed_keys: Some(number(3)),
    });
    let acme = shown("pb_acme", "192.0.2.1");
    limits.admit(acme).unwrap();
    limits.opened(acme.presented.digest);
    for _ in 0..2 {
        limits.admit(acme).unwrap();
        limits.opened_nothing(acme);
        assert!(!limits.is_good(acme.presented.digest));
        assert_eq!(limits.opened(acme.presented.digest), None);
        assert!(limits.is_good(acme.presented.digest));
    }
    let refused = limits.admit(acme).unwrap_err();
    assert!(matches!(refused, ServiceError::RateLimited { .. }), "{refused:?}");
}
