//! Times, and other values that have more than one form.

use super::*;

fn seen(time: &str) -> Option<String> {
    let record = records(format!("email;last_seen_at\na@b;{time}\n")).remove(0);
    let row = match record.row {
        Ok(row) => row,
        Err(flaws) => {
            let flaw = Flaw {
                column: "last_seen_at".to_owned(),
                reason: Reason::NotATime,
            };
            assert_eq!(flaws, [flaw]);
            return None;
        }
    };
    Some(row.last_seen_at.unwrap().to_string())
}

#[test]
fn a_time_has_many_forms() {
    for (time, expected) in [
        ("2026-04-01T08:00:00Z", "2026-04-01T08:00:00.000Z"),
        ("2026-04-01T08:00:00.123456+02:00", "2026-04-01T06:00:00.123Z"),
        ("2026-04-01t08:00:00z", "2026-04-01T08:00:00.000Z"),
        ("2026-04-01 08:00:00", "2026-04-01T08:00:00.000Z"),
        ("2026-04-01 08:00", "2026-04-01T08:00:00.000Z"),
        ("2026-04-01 08:00:00 UTC", "2026-04-01T08:00:00.000Z"),
        ("2026-04-01 08:00:00 +0000", "2026-04-01T08:00:00.000Z"),
        ("2026-04-01 08:00:00 -0730", "2026-04-01T15:30:00.000Z"),
        ("2026-04-01 08:00:00+05:30", "2026-04-01T02:30:00.000Z"),
        ("2026-04-01", "2026-04-01T00:00:00.000Z"),
        ("1775030400", "2026-04-01T08:00:00.000Z"),
        ("1775030400012", "2026-04-01T08:00:00.012Z"),
    ] {
        assert_eq!(seen(time).as_deref(), Some(expected), "{time}");
    }
}

#[test]
fn a_time_that_could_be_another_is_refused() {
    for time in [
        "01/04/2026",
        "4/1/2026 08:00",
        "01.04.2026",
        "01-04-2026",
        "2026-4-1",
        "20260401",
        "2026-04-31",
        "2026-04-01T25:00:00Z",
        "2026-04-01 08:00:00 CEST",
        "2026-04-01T08:00:00[Europe/Berlin]",
        "2026-04-01T08:00:00+99:00",
        "2026-04-01T",
        "Wed, 01 Apr 2026 08:00:00 GMT",
        "yesterday",
        "-1",
        "1e9",
        "99999999999999999999999999999999999999999",
        "２０２６-04-01",
    ] {
        assert_eq!(seen(time), None, "{time}");
    }
}

#[test]
fn a_number_of_json_is_a_time_too() {
    let row = row(r#"{"email":"a@b","last_seen_at":1775030400012}"#);
    assert_eq!(row.last_seen_at.unwrap().as_millis(), 1_775_030_400_012);
    assert_eq!(
        flaws_of(r#"{"email":"a@b","last_seen_at":1775030400.5}"#),
        [("last_seen_at".to_owned(), Reason::NotATime)]
    );
}

#[test]
fn a_time_that_is_refused_says_which_are_taken() {
    assert_eq!(
        told("email,last_seen_at\na@b,01/04/2026\n"),
        [
            "2: last_seen_at: must be a time: like 2026-04-01T08:00:00Z, 2026-04-01 08:00:00 (also with UTC or +02:00 \
          behind it) or 2026-04-01, or Unix seconds or milliseconds"
        ]
    );
}

#[test]
fn teams_are_numbers() {
    for (teams, reason) in [
        ("1,2", Reason::NotATeam),
        ("0", Reason::NotATeam),
        ("sales", Reason::NotATeam),
        ("9223372036854775808", Reason::NotATeam),
    ] {
        assert_eq!(
            flaws_of(&format!("email;teams\na@b;{teams}\n")),
            [("teams".to_owned(), reason)],
            "{teams}"
        );
    }
    assert_eq!(
        flaws_of("email,primary_team\na@b,-1\n"),
        [("primary_team".to_owned(), Reason::NotATeam)]
    );
}
