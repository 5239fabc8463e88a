//! JSON and NDJSON.

use super::*;
use crate::domain::MemberPatch;

#[test]
fn the_forms_of_json_are_recognized() {
    let object = r#"{"email":"a@b","name":"A"}"#;
    let page = r#"{"count":1,"users":[{"email":"a@b"},{"email":"c@d"}],"next_page":null}"#;
    for (file, format, count) in [
        (object.to_owned(), Format::Ndjson, 1),
        (format!("{object}\n{object}\r\n\n{object}"), Format::Ndjson, 3),
        (format!("[{object},\n{object}]"), Format::Json, 2),
        (format!("  \n[ {object} , {object} ]\n"), Format::Json, 2),
        ("[]".to_owned(), Format::Json, 0),
        (page.to_owned(), Format::Json, 2),
        // Pages one behind the other.
        (format!("{page}\n{page}"), Format::Json, 4),
        (
            "{\n  \"email\": \"a@b\"\n}\n{\n  \"email\": \"c@d\"\n}".to_owned(),
            Format::Json,
            2,
        ),
        (
            r#"{"meta":{"users":[]},"contacts":[{"email":"a@b"}],"users":[]}"#.to_owned(),
            Format::Json,
            1,
        ),
    ] {
        let reader = open(&file);
        assert_eq!(reader.format(), format, "{file}");
        assert_eq!(rows(&file).len(), count, "{file}");
    }
}

#[test]
fn a_value_has_its_type() {
    let flaws = flaws_of(
        r#"{"email":7,"name":true,"company_name":[1],"locale":{"a":1},"enabled":"true","teams":"1","primary_team":"1",
        "last_seen_at":true,"external_id":1.5,"role":null,"onboarded":0}"#,
    );
    let expected = [
        ("email", Reason::NotText),
        ("name", Reason::NotText),
        ("company_name", Reason::Nested),
        ("locale", Reason::Nested),
        ("enabled", Reason::NotABool),
        ("onboarded", Reason::NotABool),
        ("external_id", Reason::NotAnId),
        ("teams", Reason::NotTeams),
        ("primary_team", Reason::NotATeam),
        ("last_seen_at", Reason::NotATime),
    ];
    assert_eq!(
        flaws,
        expected.map(|(column, reason)| (column.to_owned(), reason))
    );
}

#[test]
fn an_id_may_be_a_number_and_teams_are_an_array() {
    let row =
        row(r#"{"external_id":18446744073709551615,"teams":[9,2,9],"primary_team":2,"name":"J\u00e9"}"#);
    assert_eq!(external_id(&row), "18446744073709551615");
    let teams: Vec<_> = row.values.teams.unwrap().iter().map(|team| team.0).collect();
    assert_eq!(teams, [2, 9]);
    assert_eq!(row.values.name.unwrap().unwrap().as_str(), "Jé");
    assert_eq!(
        flaws_of(r#"{"email":"a@b","teams":[1,"2"]}"#),
        [("teams".to_owned(), Reason::NotTeams)]
    );
    assert_eq!(
        flaws_of(r#"{"email":"a@b","teams":[0]}"#),
        [("teams".to_owned(), Reason::NotATeam)]
    );
}

#[test]
fn null_and_empty_text_set_nothing() {
    let row = row(r#"{"email":"a@b","name":null,"company_name":"","teams":[],"enabled":null}"#);
    let values = MemberPatch {
        email: Some(Some("a@b".parse().unwrap())),
        ..Default::default()
    };
    assert_eq!(row.values, values);
}

#[test]
fn a_key_that_is_there_twice_is_a_flaw() {
    assert_eq!(
        flaws_of(r#"{"email":"a@b","email":"c@d","x":1,"x":2}"#),
        [("email".to_owned(), Reason::Twice)]
    );
}

#[test]
fn what_is_wrong_in_a_line_is_told_of_that_line() {
    let file = b"{\"email\":\"a@b\"}\n{\"email\":\n\n[1]\n\"x\"\n{\"email\":\"\xff\"}\n{\"email\":\"c\0@d\"}\n{\"email\":\"e@f\"} x\n{\"email\":\"g@h\"}\n";
    assert_eq!(
        told(file),
        [
            "1: a@b",
            "2: can't be read as JSON at line 2, byte 9",
            "4: must be a JSON object",
            "5: must be a JSON object",
            "6: is not UTF-8",
            "7: can't be read as JSON at line 7, byte 12",
            "8: can't be read as JSON at line 8, byte 17",
            "9: g@h"
        ]
    );
}

#[test]
fn a_broken_first_line_leaves_the_others() {
    let told = told("{\"email\":\"a@b\n{\"email\":\"c@d\"}\n");
    assert_eq!(told.len(), 2);
    assert!(told[0].starts_with("1: can't be read as JSON"), "{told:?}");
    assert_eq!(told[1], "2: c@d");
}

#[test]
fn what_is_wrong_in_an_element_is_told_of_that_element() {
    let file = "[\n  {\"email\": \"a@b\"},\n  {\"email\": tru},\n  {\n    \"email\": \"c@d\",,\n  }, 7, \"]\", [{}],\n  {\"email\": \"}]\\\"@f\"}\n]\n";
    assert_eq!(
        told(file),
        [
            "2: a@b",
            "3: can't be read as JSON at line 3, byte 14",
            "4: can't be read as JSON at line 5, byte 20",
            "6: must be a JSON object",
            "6: must be a JSON object",
            "6: must be a JSON object",
            "7: }]\"@f",
        ]
    );
}

#[test]
fn a_file_that_is_cut_off_says_so_behind_its_records() {
    let whole = "[{\"email\":\"a@b\"},\n{\"email\":\"c@d\\u00e4\",\"teams\":[1]}]";
    for end in 1..whole.len() {
        let mut reader = open(&whole[..end]);
        let last = reader.by_ref().last().unwrap().unwrap_err();
        assert!(
            matches!(last, FileError::CutJson { .. }),
            "{last} after {}",
            &whole[..end]
        );
    }
    assert_eq!(
        error(&whole[..40]),
        "line 2: the file is cut off in what begins here"
    );
}

#[test]
fn what_stands_between_records_must_be_json() {
    for file in [
        "[{\"email\":\"a@b\"} {\"email\":\"c@d\"}]",
        "[{\"email\":\"a@b\"},]",
        "[{\"email\":\"a@b\"}]]",
        "[,]",
    ] {
        assert_eq!(
            error(file),
            "line 1: what stands between the records is not JSON",
            "{file}"
        );
    }
    assert_eq!(
        error_with("email\na@b\n", named(Format::Json)),
        "line 1: what stands between the records is not JSON"
    );
}

#[test]
fn keys_are_read_from_where_it_was_said() {
    let options = mapped(&[(Field::Email, "mail"), (Field::CompanyName, "org")]);
    let mut reader = reader(r#"[{"mail":"a@b","email":"c@d","org":{"name":"Acme"}}]"#, options).unwrap();
    assert_eq!(reader.column(Field::CompanyName), "org");
    let row = reader.next().unwrap().unwrap().row.unwrap();
    assert_eq!(email(&row), "a@b");
    assert_eq!(row.values.company_name.unwrap().unwrap().as_str(), "Acme");
}

#[test]
fn deep_nesting_is_a_flaw() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let file = format!("[{{\"email\":\"a@b\",\"x\":{deep}}},{{\"email\":{deep}}},{{\"email\":\"c@d\"}}]");
    let told = told(file);
    assert_eq!(told.len(), 3);
    assert_eq!(told[2], "1: c@d");
}
