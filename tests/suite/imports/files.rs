//! Files of others, good and bad.

use std::{
    io::Write as _,
    process::{Command, Stdio},
    thread::sleep,
    time::Duration,
};

use serde_json::{Value, json};
use sqlx::{Connection as _, SqliteConnection};

use super::{Place, lines, numbers, rejected, took};
use userbridge::storage;

use crate::support::process::{Process, Serve, USERBRIDGE, command};

const ZENDESK: &str = r#"{"users": [
    {"id": 35436, "name": "Sally Doe", "email": "sally@acme.example", "role": "end-user", "active": true, "suspended": false,
     "organization": {"name": "Acme"}, "photo": {"content_url": "https://x.example/s.png"}, "locale": "en-US",
     "created_at": "2019-07-20T22:55:29Z", "last_login_at": "2026-05-05T10:38:52Z", "tags": ["a"], "external_id": "ian1"},
    {"id": 35437, "name": "Tom", "email": "tom@acme.example", "role": "admin", "active": true, "suspended": true}
], "next_page": null, "count": 2}"#;

#[test]
fn users_of_zendesk_come_in_once_however_often_they_are_imported() {
    let place = Place::new();
    let file = place.write("users.json", ZENDESK);
    assert_eq!(place.import(&[&file]).json(), took(2, 0, 0));
    let members = place.members();
    let of = |member: &Value, fields: &[&str]| -> Vec<Value> {
        fields.iter().map(|field| member[field].clone()).collect()
    };
    assert_eq!(
        of(
            &members[0],
            &[
                "name",
                "source",
                "external_id",
                "company_name",
                "avatar_url",
                "locale",
                "portal_role",
                "role",
                "enabled"
            ]
        ),
        [
            json!("Sally Doe"),
            json!("zendesk"),
            json!("35436"),
            json!("Acme"),
            json!("https://x.example/s.png"),
            json!("en-US"),
            json!("end_user"),
            json!(null),
            json!(true)
        ]
    );
    // An administrator there is nobody's here.
    assert_eq!(
        of(&members[1], &["role", "portal_role", "enabled"]),
        [json!(null), json!("end_user"), json!(false)]
    );
    assert_eq!(place.import(&[&file]).json(), took(0, 0, 2));
    assert_eq!(place.members(), members);
    let renamed = place.write("users.json", ZENDESK.replace("Sally Doe", "Sally Roe"));
    assert_eq!(place.import(&[&renamed]).json(), took(0, 1, 1));
}

#[test]
fn an_import_gives_way_to_servers() {
    let place = Place::new();
    let serve = Serve::start(&place.url);
    let server = niceness(&serve.process);
    let import = Process::start(
        command(USERBRIDGE)
            .env("USERBRIDGE_DATABASE_URL", &place.url)
            .args(["import", "--org", "acme", "-"])
            .stdin(Stdio::piped()),
    );
    // It waits for what comes. The thread that starts the others has begun as any other process does.
    while niceness(&import).len() < 2 {
        sleep(Duration::from_millis(5));
    }
    let import = niceness(&import);
    assert!(import.iter().min() > server.iter().max(), "{import:?} {server:?}");
}

/// An address that somebody gives up, and another one takes over many rows later.
#[test]
fn a_rehearsal_foresees_what_rows_far_apart_come_to() {
    let place = Place::new();
    let old = place.write("old.csv", "email,external_id\nold@acme.example,one\n");
    assert_eq!(place.import(&[&old]).code, 0);
    let others = lines(storage::bulk_rows(&place.url).rehearsed, |number| {
        format!("p{number}@acme.example,{number}\n")
    });
    let rows = format!("email,external_id\nnew@acme.example,one\n{others}old@acme.example,two\n");
    let file = place.write("new.csv", rows);
    let rehearsed = place.import(&["--dry-run", &file]);
    let imported = place.import(&[&file]);
    assert_eq!(numbers(&rehearsed), numbers(&imported), "{rehearsed:?}");
    assert_eq!(numbers(&imported)[1], 1);
}

/// How nice each of a process's threads is.
fn niceness(process: &Process) -> Vec<i64> {
    let process = procfs::process::Process::new(process.id().cast_signed()).unwrap();
    let threads = process.tasks().unwrap().flatten();
    threads
        .filter_map(|thread| Some(thread.stat().ok()?.nice))
        .collect()
}

#[test]
fn standard_input_may_be_compressed_and_in_other_encodings() {
    let place = Place::new();
    let csv = "email;role;firstName;lastName\r\nzoë@acme.example;VIEWER;\"Zoë\nMaria\";Doe\r\n";
    let utf16: Vec<u8> = std::iter::once(0xfeff)
        .chain(csv.encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    let mut gzip = Command::new("gzip")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = gzip.stdin.take().unwrap();
    stdin.write_all(&utf16).unwrap();
    drop(stdin);
    let compressed = gzip.wait_with_output().unwrap().stdout;
    // A name of two lines is none.
    let finished = place.import_from(&compressed, &[]);
    assert_eq!((finished.code, numbers(&finished)), (5, [0, 0, 0, 1]));
    let list = rejected(place.path("import.rejected.csv"));
    assert_eq!((list[0][0].as_str(), list[0][2].as_str()), ("2", "firstName"));
    let one_line = csv.replace("\nMaria", "");
    for content in [
        one_line.clone().into_bytes(),
        format!("\u{feff}{one_line}").into_bytes(),
    ] {
        let finished = place.import_from(&content, &[]);
        assert_eq!(finished.code, 0, "{finished:?}");
    }
    assert!(
        !place.path("import.rejected.csv").exists(),
        "nothing was rejected"
    );
    let members = place.members();
    assert_eq!(members[0]["role"], "viewer");
    assert_eq!(members[0]["name"], "Zoë Doe");
}

#[test]
fn rows_that_are_not_taken_are_listed_and_the_others_imported() {
    let place = Place::new();
    place.run(&[
        "member",
        "link",
        "--org",
        "acme",
        "--email",
        "owner@acme.example",
        "--role",
        "owner",
    ]);
    let csv = "email,name,role,external_id,last_seen_at\n\
        a@acme.example,Ann,,,2026-04-01\n\
        nobody,Bob,,,\n\
        a@acme.example,Ann again,,,\n\
        owner@acme.example,,viewer,,\n\
        =cmd@acme.example,\"=1+1\",king,,01/04/2026\n\
        ,,,,\n\
        d@acme.example,Dan\n\
        e@acme.example,E\0ve,,,\n\
        f@acme.example,Fay,,7,1775030400\n\
        g@acme.example,Gil,,7,\n";
    let file = place.write("people.csv", csv);
    let dry = place.import(&["--dry-run", &file]);
    assert_eq!(place.emails(), ["owner@acme.example"]);
    let finished = place.import(&[&file]);
    assert_eq!((dry.code, finished.code), (5, 5), "{finished:?}");
    assert_eq!(numbers(&dry), numbers(&finished));
    assert_eq!(numbers(&finished), [2, 0, 0, 8]);
    let said: Value = serde_json::from_str(&finished.stdout).unwrap();
    let path = format!("{file}.rejected.csv");
    assert_eq!(said["list"], path.as_str());
    assert!(finished.stderr.contains(&path), "{finished:?}");
    let list = rejected(&path);
    let places: Vec<_> = list
        .iter()
        .map(|[line, _, column, _]| (line.as_str(), column.as_str()))
        .collect();
    assert_eq!(
        places,
        [
            ("3", "email"),
            ("4", "email"),
            ("5", ""),
            ("6", "role"),
            ("6", "last_seen_at"),
            ("7", ""),
            ("8", ""),
            ("9", "name"),
            ("11", "external_id"),
        ]
    );
    assert_eq!(list[1], ["4", "3", "email", "is the same as in record 1"]);
    assert_eq!(list[8], ["11", "10", "external_id", "is the same as in record 9"]);
    assert_eq!(
        place.emails(),
        ["a@acme.example", "f@acme.example", "owner@acme.example"]
    );
}

#[test]
fn records_on_one_line_are_told_apart() {
    let place = Place::new();
    let users = r#"{"users": [{"id": 1, "email": "a@acme.example"}, {"id": 2, "email": "nobody"}, {"id": 3, "email": "a@acme.example"}]}"#;
    let file = place.write("users.json", users);
    let finished = place.import(&[&file]);
    assert_eq!((finished.code, numbers(&finished)), (5, [1, 0, 0, 2]));
    assert_eq!(
        rejected(format!("{file}.rejected.csv")),
        [
            ["1", "2", "email", "must be an email address"],
            ["1", "3", "email", "is the same as in record 1"],
        ]
    );
}

#[test]
fn a_strict_import_changes_nothing_unless_every_row_is_good() {
    let place = Place::new();
    let good = lines(3000, |number| format!("p{number}@acme.example,Somebody\n"));
    let bad = format!("email,name\n{good}nobody,Nobody\n");
    let finished = place.import_from(bad.as_bytes(), &["--strict"]);
    assert_eq!((finished.code, numbers(&finished)), (5, [0, 0, 0, 1]));
    assert!(place.members().is_empty());
    let good = format!("email,name\n{good}");
    assert_eq!(
        place.import_from(good.as_bytes(), &["--strict"]).json(),
        took(3000, 0, 0)
    );
}

#[test]
fn columns_of_other_names_are_read_where_they_are_mapped() {
    let place = Place::new();
    let file = place.write("people.tsv", "E-Mail\tFull name\n a@acme.example\tAnn\n");
    let refused = place.import(&[&file]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains("--map"), "{refused:?}");
    let file = place.write("people.tsv", "E-Mail\tFull name\na@acme.example\tAnn\n");
    let map = ["--map", "email=E-Mail", "--map", "name=Full name"];
    assert_eq!(place.import(&[&map[..], &[&file]].concat()).json(), took(1, 0, 0));
    assert_eq!(place.members()[0]["name"], "Ann");
    for (map, said) in [("mail=x", "is no field"), ("email", "must be like")] {
        let refused = place.import(&["--map", map, &file]);
        assert_eq!(refused.code, 2);
        assert!(refused.stderr.contains(said), "{refused:?}");
    }
}

#[test]
fn a_file_that_is_cut_off_says_so_after_what_was_whole() {
    let place = Place::new();
    let all = lines(5000, |number| {
        format!("{{\"email\": \"p{number}@acme.example\"}}\n")
    });
    let mut array = format!("[{}", all.trim_end().replace('\n', ","));
    array.truncate(array.len() - 10);
    let file = place.write("cut.json", &array);
    let finished = place.import(&[&file]);
    assert_eq!((finished.code, numbers(&finished)), (1, [4999, 0, 0, 0]));
    assert!(
        finished.stderr.contains("cut.json: line 1: the file is cut off"),
        "{finished:?}"
    );
    assert_eq!(place.members().len(), 4999);
    let random: Vec<u8> = (0..100_000_u32)
        .map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()[0])
        .collect();
    for (name, content) in [("random", &random[..]), ("empty", b""), ("not", b"hello\n")] {
        let file = place.write(name, content);
        let finished = place.import(&[&file]);
        assert_eq!(finished.code, 1, "{name}: {finished:?}");
        assert!(finished.stderr.contains(name), "{finished:?}");
        assert_eq!(finished.stderr.lines().count(), 1, "{finished:?}");
    }
    let missing = place.import(&["/nowhere.csv"]);
    assert_eq!(missing.code, 3);
    assert_eq!(place.members().len(), 4999);
}

#[test]
fn a_list_that_can_not_be_written_ends_the_import() {
    let place = Place::new();
    let file = place.write("people.csv", "email\na@acme.example\nnobody\n");
    let finished = place.import(&["--rejected", "/nowhere/list.csv", &file]);
    assert_eq!(finished.code, 1);
    assert!(finished.stderr.contains("/nowhere/list.csv"), "{finished:?}");
    let file = place.write("good.csv", "email\na@acme.example\n");
    assert_eq!(place.import(&[&file]).code, 0);
    let finished = place.run(&["import", "--org", "nobodys", &file]);
    assert_eq!(finished.code, 3);
    let table = place.run(&["import", "--org", "acme", &file]);
    assert_eq!(
        table.stdout,
        "created\t0\nupdated\t0\nunchanged\t1\nrejected\t0\n"
    );
}

#[tokio::test]
async fn what_is_wrong_with_rows_is_listed_also_if_the_others_can_not_be_imported() {
    let place = Place::new();
    let mut database = SqliteConnection::connect(&place.url).await.unwrap();
    sqlx::query("CREATE TRIGGER refuse BEFORE INSERT ON members BEGIN SELECT RAISE(ABORT, 'refused'); END")
        .execute(&mut database)
        .await
        .unwrap();
    database.close().await.unwrap();
    let file = place.write("people.csv", "email\nnobody\na@acme.example\n");
    let failed = place.import(&[&file]);
    assert_eq!((failed.code, numbers(&failed)), (1, [0, 0, 0, 1]));
    assert!(!failed.stderr.contains("not taken"), "{failed:?}");
    let list = rejected(format!("{file}.rejected.csv"));
    assert_eq!(list, [["2", "1", "email", "must be an email address"]]);
}
