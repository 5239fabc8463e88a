//! An import that is killed, and run again.

use std::{thread::sleep, time::Duration};

use super::{Place, lines, took};
use crate::support::process::{Process, USERBRIDGE, command};

const ROWS: usize = 32_000;

/// Rows of one transaction.
const BATCH: usize = 10_000;

/// How often it is looked whether something is there.
const LOOK: Duration = Duration::from_millis(20);

#[test]
fn an_import_that_was_killed_ends_as_if_it_had_not_been() {
    let place = Place::new();
    let rows = lines(ROWS, |number| {
        format!("p{number:05}@acme.example,Somebody,{number}\n")
    });
    let file = place.write("people.csv", format!("email,name,external_id\n{rows}"));
    for round in 1..=2 {
        let mut import = Process::start(
            command(USERBRIDGE)
                .env("USERBRIDGE_DATABASE_URL", &place.url)
                .args(["import", "--org", "acme", &file]),
        );
        while place.members().len() < BATCH * round {
            sleep(LOOK);
        }
        import.kill();
        let there = place.members().len();
        assert_eq!(there % BATCH, 0, "batches are whole or not at all");
        assert!(there < ROWS, "it was cut off in the middle");
    }
    let there = u64::try_from(place.members().len()).unwrap();
    let rest = u64::try_from(ROWS).unwrap() - there;
    assert_eq!(place.import(&[&file]).json(), took(rest, 0, there));
    let emails = place.emails();
    assert!(
        emails
            .iter()
            .enumerate()
            .all(|(number, email)| *email == format!("p{number:05}@acme.example"))
    );
    assert_eq!(emails.len(), ROWS);
    assert_eq!(place.run(&["check"]).code, 0);
    assert_eq!(place.import(&[&file]).json(), took(0, 0, ROWS as u64));
}
