//! Files of other products.

use super::*;

/// As the reference of Zendesk's API has them.
const ZENDESK: &str = r#"{
  "id": 35436, "url": "https://acme.zendesk.example/api/v2/users/35436.json", "name": "Johnny Agent",
  "email": "johnny@example.com", "external_id": "sai989", "role": "admin", "active": true, "verified": true,
  "suspended": false, "locale": "en-US", "locale_id": 1, "organization_id": 57542, "organization": {"id": 57542, "name": "Acme"},
  "photo": {"id": 928374, "name": "p.png", "content_url": "https://acme.zendesk.example/p.png", "thumbnails": [{"id": 9,
  "name": "t.png", "content_url": "https://acme.zendesk.example/t.png"}]}, "tags": ["enterprise", "other"],
  "user_fields": {"name": "not this"}, "created_at": "2009-07-20T22:55:29Z", "last_login_at": "2011-05-05T10:38:52Z"
}"#;
const FRESHDESK: &str = r#"{
  "id": 4, "active": false, "email": "sally@example.com", "name": "Sally", "unique_external_id": "u-1", "company_id": 23,
  "company": {"id": 23, "name": "Acme"}, "language": "pt-BR", "deleted": false, "other_emails": [], "tags": ["a"],
  "avatar": {"avatar_url": "https://acme.freshdesk.example/a.png", "name": "a.png", "id": 4}, "created_at": "2015-08-18T16:18:14Z"
}"#;

fn only(text: &str) -> String {
    text.replace('\n', " ")
}

fn told_of(row: &ImportRow) -> [Option<String>; 5] {
    let values = row.values.clone();
    [
        values.name.flatten().map(|value| value.to_string()),
        values.company_name.flatten().map(|value| value.to_string()),
        values.avatar_url.flatten().map(|value| value.to_string()),
        values.locale.flatten().map(|value| value.to_string()),
        row.last_seen_at.map(|value| value.to_string()),
    ]
}

#[test]
fn users_of_zendesk_come_in_each_of_its_forms() {
    let object = only(ZENDESK);
    for file in [
        ZENDESK.to_owned(),
        object.clone(),
        format!("[{object}]"),
        format!("{{\"users\":[{object}],\"next_page\":null,\"previous_page\":null,\"count\":1}}"),
        format!("{{\"after_cursor\":\"x\",\"end_of_stream\":true,\"users\":[{ZENDESK}]}}"),
    ] {
        assert_eq!(open(&file).format(), Format::Zendesk, "{file}");
        let row = row(&file);
        assert_eq!(row.origin.source.as_str(), "zendesk");
        assert_eq!((email(&row), external_id(&row)), ("johnny@example.com", "35436"));
        let expected = [
            "Johnny Agent",
            "Acme",
            "https://acme.zendesk.example/p.png",
            "en-US",
            "2011-05-05T10:38:52.000Z",
        ];
        assert_eq!(told_of(&row), expected.map(|value| Some(value.to_owned())));
        assert_eq!(
            (row.values.role, row.values.enabled, row.values.portal_role),
            (None, None, None)
        );
    }
}

#[test]
fn who_is_suspended_or_deleted_elsewhere_is_not_enabled() {
    let zendesk = |suspended, active| {
        let file = format!(
            r#"{{"id":1,"email":"a@b","role":"end-user","suspended":{suspended},"active":{active}}}"#
        );
        row(file).values.enabled
    };
    assert_eq!(zendesk("false", "true"), None);
    assert_eq!(zendesk("true", "true"), Some(false));
    assert_eq!(zendesk("false", "false"), Some(false));
    assert_eq!(zendesk("null", "null"), None);
    let freshdesk = |deleted, blocked| {
        let file =
            format!("id,email,unique_external_id,active,deleted,blocked\n1,a@b,,false,{deleted},{blocked}\n");
        row(file).values.enabled
    };
    assert_eq!(freshdesk("false", ""), None);
    assert_eq!(freshdesk("true", "false"), Some(false));
    assert_eq!(freshdesk("", "TRUE"), Some(false));
}

#[test]
fn the_id_of_a_third_product_is_taken_where_that_is_said() {
    let options = mapped(&[(Field::ExternalId, "external_id")]);
    let row = reader(ZENDESK, options)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .row
        .unwrap();
    assert_eq!(external_id(&row), "sai989");
}

#[test]
fn contacts_of_freshdesk_come_as_json_and_as_csv() {
    let object = only(FRESHDESK);
    for file in [object.clone(), format!("[{object}]")] {
        assert_eq!(open(&file).format(), Format::Freshdesk, "{file}");
        let row = row(&file);
        assert_eq!(row.origin.source.as_str(), "freshdesk");
        assert_eq!((email(&row), external_id(&row)), ("sally@example.com", "4"));
        let expected = ["Sally", "Acme", "https://acme.freshdesk.example/a.png", "pt-BR"];
        assert_eq!(told_of(&row)[..4], expected.map(|value| Some(value.to_owned())));
        assert_eq!(row.values.enabled, None);
    }
    let file = "ID,Full Name,Title,Company,Email,Unique External Id,Language,Avatar\n4,Sally,,Acme,sally@example.com,u-1,pt-BR,\n";
    assert_eq!(open(file).format(), Format::Freshdesk);
    let row = row(file);
    assert_eq!((email(&row), external_id(&row)), ("sally@example.com", "4"));
    assert_eq!(
        told_of(&row)[..2],
        ["Sally", "Acme"].map(|value| Some(value.to_owned()))
    );
}

#[test]
fn users_of_the_bridge_are_staff() {
    let file = "email;role;firstName;lastName;enabled;teams\nada@example.com;OWNER;Ada;Lovelace;true;sales\n\
                otto@example.com;restricted_viewer;Otto;;false;\n";
    let reader = open(file);
    assert_eq!(reader.format(), Format::TheBridge);
    assert_eq!(reader.column(Field::GivenName), "firstName");
    let rows = rows(file);
    let roles: Vec<_> = rows
        .iter()
        .map(|row| row.values.role.flatten().unwrap().as_str())
        .collect();
    assert_eq!(roles, ["owner", "restricted_viewer"]);
    assert_eq!(rows[0].origin.source.as_str(), "import");
    assert_eq!(rows[0].origin.external_id, None);
    assert_eq!(
        rows[0]
            .values
            .given_name
            .as_ref()
            .unwrap()
            .as_ref()
            .unwrap()
            .as_str(),
        "Ada"
    );
    assert_eq!(rows[0].values.teams, None);
    assert_eq!(rows[1].values.enabled, Some(false));
}

#[test]
fn what_others_also_have_is_nobodys() {
    for (file, format) in [
        ("email,name,company\na@b,A,Acme\n", Format::Csv),
        ("id,email,name\n1,a@b,A\n", Format::Csv),
        (r#"{"id":1,"email":"a@b","active":true}"#, Format::Ndjson),
        (
            r#"{"id":"x","user_id":"y","email":"a@b","role":"admin","photo":1,"tags":1,"verified":1}"#,
            Format::Ndjson,
        ),
    ] {
        assert_eq!(open(file).format(), format, "{file}");
    }
}

#[test]
fn a_format_may_be_named_and_must_be_possible() {
    let file = r#"{"id":1,"email":"a@b"}"#;
    let row = reader(file, named(Format::Zendesk))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .row
        .unwrap();
    assert_eq!(external_id(&row), "1");
    assert_eq!(
        error_with("email\na@b\n", named(Format::Zendesk)),
        "the file is not in the format zendesk"
    );
    assert_eq!(
        error_with(file, named(Format::TheBridge)),
        "the file is not in the format thebridge"
    );
    assert!(reader("", named(Format::Ndjson)).unwrap().next().is_none());
}

#[test]
fn what_the_vendor_has_in_another_type_is_a_flaw() {
    assert_eq!(
        flaws_of(
            r#"{"id":[1],"email":"a@b","suspended":"no","photo":{"id":1},"organization":7,"last_login_at":"05/05/2011"}"#
        ),
        [
            ("id".to_owned(), Reason::Nested),
            ("photo".to_owned(), Reason::Nested),
            ("organization".to_owned(), Reason::NotText),
            ("last_login_at".to_owned(), Reason::NotATime),
            ("suspended".to_owned(), Reason::NotABool),
        ]
    );
}
