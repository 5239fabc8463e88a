//! The checker on histories of which we know whether they are good.

use super::{
    checker::{Timed, check},
    person::{Answer, Call, Person, Seen},
};

fn seen(id: &str, etag: &str, name: &str) -> Answer {
    Answer::Done(Seen {
        id: Some(id.to_owned()),
        etag: Some(etag.to_owned()),
        name: Some(name.to_owned()),
    })
}

fn at(begun: u64, ended: u64, call: Call) -> Timed<Call> {
    Timed {
        begun,
        ended: Some(ended),
        call,
    }
}

fn link(id: &str, etag: &str, name: &str) -> Call {
    Call::Link {
        name: name.to_owned(),
        created: true,
        answer: seen(id, etag, name),
    }
}

fn update(id: &str, etag: &str, name: &str, answer: Answer) -> Call {
    Call::Update {
        id: id.to_owned(),
        etag: Some(etag.to_owned()),
        name: name.to_owned(),
        answer,
    }
}

fn read(answer: Answer) -> Call {
    Call::Read { id: None, answer }
}

fn revoke(id: &str) -> Call {
    Call::Revoke {
        id: id.to_owned(),
        etag: None,
        answer: Answer::Done(Seen::default()),
    }
}

fn never_answered(begun: u64, call: Call) -> Timed<Call> {
    Timed {
        begun,
        ended: None,
        call,
    }
}

#[test]
fn a_history_that_has_an_order_is_taken() {
    let good: [Vec<Timed<Call>>; 6] = [
        vec![
            at(0, 1, link("a", "1", "Ann")),
            at(2, 3, read(seen("a", "1", "Ann"))),
        ],
        // Beside a change one sees it or what was before.
        vec![
            at(0, 1, link("a", "1", "Ann")),
            at(2, 9, update("a", "1", "Bob", seen("a", "2", "Bob"))),
            at(3, 4, read(seen("a", "1", "Ann"))),
            at(5, 6, read(seen("a", "2", "Bob"))),
        ],
        // A change that was not answered was made, sooner or later,
        vec![
            at(0, 1, link("a", "1", "Ann")),
            never_answered(2, update("a", "1", "Bob", Answer::Unknown)),
            at(3, 4, read(seen("a", "1", "Ann"))),
            at(5, 6, read(seen("a", "2", "Bob"))),
        ],
        // or never.
        vec![
            at(0, 1, link("a", "1", "Ann")),
            never_answered(2, update("a", "1", "Bob", Answer::Unknown)),
            at(3, 4, read(seen("a", "1", "Ann"))),
        ],
        // Nobody told the id of a link: who sees it does.
        vec![
            never_answered(
                0,
                Call::Link {
                    name: "Ann".to_owned(),
                    created: false,
                    answer: Answer::Unknown,
                },
            ),
            at(1, 2, read(Answer::NotFound)),
            at(3, 4, read(seen("a", "1", "Ann"))),
            at(5, 6, revoke("a")),
            at(7, 8, link("b", "1", "Ann")),
        ],
        // Of two changes of one version one is done.
        vec![
            at(0, 1, link("a", "1", "Ann")),
            at(2, 9, update("a", "1", "Bob", Answer::Stale)),
            at(3, 8, update("a", "1", "Cid", seen("a", "2", "Cid"))),
        ],
    ];
    for mut history in good {
        check(&Person::default(), &mut history).unwrap();
    }
}

#[test]
fn a_history_that_has_none_is_refused() {
    let bad: [(&str, Vec<Timed<Call>>); 7] = [
        (
            "an old name after the change",
            vec![
                at(0, 1, link("a", "1", "Ann")),
                at(2, 3, update("a", "1", "Bob", seen("a", "2", "Bob"))),
                at(4, 5, read(seen("a", "1", "Ann"))),
            ],
        ),
        (
            "a member after its end",
            vec![
                at(0, 1, link("a", "1", "Ann")),
                at(2, 3, revoke("a")),
                at(4, 5, read(seen("a", "1", "Ann"))),
            ],
        ),
        (
            "two changes of one version",
            vec![
                at(0, 1, link("a", "1", "Ann")),
                at(2, 9, update("a", "1", "Bob", seen("a", "2", "Bob"))),
                at(3, 8, update("a", "1", "Cid", seen("a", "2", "Cid"))),
            ],
        ),
        (
            "one person linked twice",
            vec![at(0, 9, link("a", "1", "Ann")), at(1, 8, link("b", "1", "Bob"))],
        ),
        (
            "an id that comes again",
            vec![
                at(0, 1, link("a", "1", "Ann")),
                at(2, 3, revoke("a")),
                at(4, 5, link("a", "3", "Bob")),
            ],
        ),
        (
            "a change that is seen and then undone",
            vec![
                at(0, 1, link("a", "1", "Ann")),
                never_answered(2, update("a", "1", "Bob", Answer::Unknown)),
                at(3, 4, read(seen("a", "2", "Bob"))),
                at(5, 6, read(seen("a", "1", "Ann"))),
            ],
        ),
        (
            "nobody, while somebody is there",
            vec![
                at(0, 1, link("a", "1", "Ann")),
                at(2, 3, read(Answer::NotFound)),
                at(4, 5, revoke("a")),
            ],
        ),
    ];
    for (what, mut history) in bad {
        assert!(check(&Person::default(), &mut history).is_err(), "{what}");
    }
}
