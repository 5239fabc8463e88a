//! CSV.

use std::{fmt::Debug, str::FromStr};

use super::*;
use crate::domain::{MemberPatch, Origin, TeamNumber};

const FILE: &str = "email,name,company_name\n";

fn of<T: FromStr<Err: Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

#[test]
fn a_row_has_the_values_of_its_columns() {
    let file = "\
email,name,given_name,family_name,avatar_url,portal_role,company_name,customer_status,locale,role,enabled,auth_method,\
onboarded,source,external_id,teams,primary_team,last_seen_at
sally@acme.example.com,Sally Hill,Sally,Hill,https://a.example/s.png,vip,Acme,paying,pt-BR,Editor,FALSE,oidc,true,crm,\
0042,7 3 3,3,2026-04-01T08:00:00Z
";
    let row = row(file);
    let expected = MemberPatch {
        email: Some(Some(of("sally@acme.example.com"))),
        name: Some(Some(of("Sally Hill"))),
        avatar_url: Some(Some(of("https://a.example/s.png"))),
        portal_role: Some(Some(of("vip"))),
        company_name: Some(Some(of("Acme"))),
        customer_status: Some(Some(of("paying"))),
        locale: Some(Some(of("pt-BR"))),
        given_name: Some(Some(of("Sally"))),
        family_name: Some(Some(of("Hill"))),
        role: Some(Some(of("editor"))),
        enabled: Some(false),
        auth_method: Some(Some(of("oidc"))),
        onboarded: Some(true),
        external_id: None,
        teams: Some(vec![TeamNumber(3), TeamNumber(7)]),
        primary_team: Some(TeamNumber(3)),
    };
    assert_eq!(row.values, expected);
    assert_eq!(row.origin.source.as_str(), "crm");
    assert_eq!(external_id(&row), "0042");
    assert_eq!(row.last_seen_at.unwrap().to_string(), "2026-04-01T08:00:00.000Z");
}

#[test]
fn an_empty_cell_sets_nothing() {
    let row = row("email,name,enabled,teams,last_seen_at,external_id\na@b,,,,,\n");
    let expected = ImportRow {
        values: MemberPatch {
            email: Some(Some(of("a@b"))),
            ..Default::default()
        },
        origin: Origin {
            source: "import".parse().unwrap(),
            external_id: None,
        },
        last_seen_at: None,
    };
    assert_eq!(row, expected);
}

#[test]
fn what_separates_cells_is_seen_by_the_header() {
    for (separator, other) in [(',', ';'), (';', ','), ('\t', ',')] {
        let file = format!("name{separator}email\n\"Hill{other} Sally\"{separator}a@b\n").replace('"', "");
        let row = row(&file);
        assert_eq!(email(&row), "a@b");
        assert_eq!(
            row.values.name.unwrap().unwrap().as_str(),
            format!("Hill{other} Sally")
        );
    }
    // One column has no separator.
    assert_eq!(email(&row("email\na@b\n")), "a@b");
}

#[test]
fn lines_end_in_every_way_and_quotes_go_over_several() {
    let file = format!("{FILE}\"a@b\",\"A \"\"B\"\"\",\r\n\r\nc@d,\"E\nF\",\rg@h,,");
    assert_eq!(
        told(file),
        ["2: a@b", "4: name: must not have control characters", "6: g@h"]
    );
}

#[test]
fn a_header_may_have_capitals_and_spaces() {
    let row = row("Email , Company Name\na@b,Acme\n");
    assert_eq!(row.values.company_name.unwrap().unwrap().as_str(), "Acme");
}

#[test]
fn a_guard_against_formulas_is_taken_away() {
    let file = "email,name\na@b,'=1+1\n'+c@d,''x\ne@f,'x\n";
    let rows = rows(file);
    let names = rows
        .iter()
        .map(|row| row.values.name.as_ref().unwrap().as_ref().unwrap().as_str());
    assert_eq!(names.collect::<Vec<_>>(), ["=1+1", "'x", "'x"]);
    assert_eq!(email(&rows[1]), "+c@d");
}

#[test]
fn a_row_with_other_cells_than_the_header_is_flawed() {
    let file = format!("{FILE}a@b,A,\nc@d,C\ne@f,E,,\ng@h,G,\n");
    assert_eq!(
        told(file),
        [
            "2: a@b",
            "3: has 2 cells, and the header has 3",
            "4: has 4 cells, and the header has 3",
            "5: g@h"
        ]
    );
}

#[test]
fn a_quote_that_is_never_closed_is_told_with_its_column() {
    let file = format!("{FILE}a@b,A,\nc@d,\"C,\ne@f,E,\n");
    assert_eq!(
        told(file),
        ["2: a@b", "3: name: has a quote that is never closed"]
    );
    assert_eq!(
        error("email,\"name\n"),
        "the header has a quote that is never closed"
    );
    // One that was closed is none.
    assert_eq!(told(format!("{FILE}a@b,\"A\",\"\"")), ["2: a@b"]);
}

#[test]
fn what_is_no_text_is_told_with_its_column() {
    let file = b"email,name,note\na@b,\xff,\nc@d,C,\0\ne@f,\xc3,\xa9\ng@h,G,\n";
    assert_eq!(
        told(file),
        [
            "2: name: is not UTF-8",
            "3: note: has a NUL byte",
            "4: name: is not UTF-8; note: is not UTF-8",
            "5: g@h"
        ]
    );
}

#[test]
fn all_flaws_of_a_row_are_told() {
    let file = "email,role,locale,enabled,avatar_url\nnobody,king,??,perhaps,x\n";
    assert_eq!(
        told(file),
        [
            "2: email: must be an email address; locale: must be a language tag such as en or pt-BR; role: must be one of \
          owner, admin, editor, viewer, restricted_viewer; enabled: must be true or false"
        ]
    );
}

#[test]
fn somebody_without_address_and_id_is_nobody_and_who_was_revoked_stays_so() {
    let file = "email,external_id,revoked_at\n,,\n,7,\na@b,,2026-04-01T08:00:00.000Z\n";
    let records = records(file);
    assert_eq!(line(&records[0]), "2: has neither an address nor an external id");
    assert_eq!(external_id(records[1].row.as_ref().unwrap()), "7");
    assert_eq!(line(&records[2]), "4: revoked_at: was revoked");
}

#[test]
fn a_header_that_can_not_be_used_ends_the_reading() {
    assert_eq!(error(""), "the file is empty");
    assert_eq!(error("\n\r\n"), "the file is empty");
    let nobody = "no column of the header is email or external_id; other names are told by --map";
    assert_eq!(error("a,b,c\n1,2,3\n"), nobody);
    assert_eq!(error("name,company_name\nA,B\n"), nobody);
    assert_eq!(
        error("email,name,email\na@b,A,c@d\n"),
        "the header has the column email twice"
    );
    let no_text = "line 1: this is no text in UTF-8, or in UTF-16 with a byte order mark";
    assert_eq!(error(b"email,\xff\na@b,\n"), no_text);
    assert_eq!(error("email\0,name\na@b,\n"), no_text);
    assert_eq!(error("e\0m\0a\0i\0l\0\n\0"), no_text);
    // Nobody reads these.
    assert_eq!(told("email,x,x,,\na@b,1,2,,\n"), ["2: a@b"]);
}

#[test]
fn fields_are_read_from_the_columns_that_were_named() {
    let options = mapped(&[
        (Field::Email, "E-Mail"),
        (Field::Name, "company_name"),
        (Field::ExternalId, "E-Mail"),
    ]);
    let file = "E-Mail;email;name;company_name\na@b;c@d;C;Acme\n";
    let mut reader = reader(file, options).unwrap();
    assert_eq!(reader.column(Field::Email), "E-Mail");
    assert_eq!(reader.column(Field::Name), "company_name");
    assert_eq!(reader.column(Field::CompanyName), "company_name");
    assert_eq!(reader.column(Field::Role), "role");
    let row = reader.next().unwrap().unwrap().row.unwrap();
    assert_eq!((email(&row), external_id(&row)), ("a@b", "a@b"));
    assert_eq!(row.values.name.unwrap().unwrap().as_str(), "Acme");
    assert_eq!(row.values.company_name.unwrap().unwrap().as_str(), "Acme");
}

#[test]
fn a_column_that_was_named_must_be_there() {
    let file = "mail,name\na@b,A\n";
    assert_eq!(
        error_with(file, mapped(&[(Field::Email, "Mail")])),
        "the header has no column Mail, from which email is to be read"
    );
    assert_eq!(
        error_with(file, mapped(&[(Field::Email, "mail"), (Field::Email, "name")])),
        "email is to be read from two columns"
    );
}

#[test]
fn ten_thousand_columns_are_read() {
    let header: Vec<_> = (0..10_000).map(|column| format!("column_{column}")).collect();
    let header = header.join(",");
    let cells = ",x".repeat(10_000);
    assert_eq!(
        told(format!("email,{header}\na@b{cells}\n{cells}\n")),
        ["2: a@b", "3: has neither an address nor an external id"]
    );
}
