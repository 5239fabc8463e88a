//! `userbridge member`.

use serde_json::{Value, json};
use sqlx::{Connection as _, SqliteConnection};

use super::{NO_ID, SALLY, Shell, columns};

#[test]
fn members_are_linked_shown_listed_and_revoked() {
    let shell = Shell::new();
    let sally = shell.ok(&[
        "member",
        "link",
        "--org",
        "acme",
        "--email",
        SALLY,
        "--name",
        "Sally Doe",
        "--avatar-url",
        "https://acme.example.com/s.png",
        "--portal-role",
        "admin",
        "--company-name",
        "Acme Inc",
        "--customer-status",
        "paying",
        "--json",
    ]);
    // The nine fields of the user object, in their order.
    let fields = [
        "id",
        "user_id",
        "email",
        "name",
        "avatar_url",
        "portal_role",
        "company_name",
        "customer_status",
        "created_at",
    ];
    let places: Vec<_> = fields
        .iter()
        .map(|field| sally.find(&format!("\"{field}\":")).unwrap())
        .collect();
    assert!(places.is_sorted(), "{sally}");
    let sally: Value = serde_json::from_str(&sally).unwrap();
    assert_eq!(sally.as_object().unwrap().len(), fields.len());
    assert_eq!(
        (&sally["email"], &sally["portal_role"]),
        (&json!(SALLY), &json!("admin"))
    );

    let bare = shell.json(&["member", "link", "--org", "acme"]);
    assert_eq!(
        (&bare["email"], &bare["portal_role"]),
        (&Value::Null, &json!("end_user"))
    );

    let user = sally["user_id"].as_str().unwrap();
    let (by_email, by_user) = (["--email", SALLY], ["--user-id", user]);
    for by in [by_email, by_user] {
        let shown = shell.json(&["member", "show", "--org", "acme", by[0], by[1]]);
        for field in fields {
            assert_eq!(shown[field], sally[field], "{field}");
        }
        assert_eq!((&shown["number"], &shown["etag"]), (&json!(1), &json!("1")));
    }
    let line = shell.ok(&["member", "show", "--org", "acme", "--email", SALLY]);
    assert_eq!(columns(&line)[..3], [user, SALLY, "admin"]);
    assert_eq!(
        shell.json(&["member", "list", "--org", "acme"]),
        json!([sally, bare])
    );
    assert_eq!(shell.ok(&["member", "list", "--org", "acme"]).lines().count(), 2);

    shell.ok(&["org", "create", "globex"]);
    let there = shell.json(&[
        "member",
        "link",
        "--org",
        "globex",
        "--user-id",
        user,
        "--name",
        "S. Doe",
    ]);
    assert_eq!(there["user_id"], sally["user_id"]);

    assert_eq!(
        shell.json(&["member", "revoke", "--org", "acme", "--email", SALLY]),
        sally
    );
    shell.error(&["member", "show", "--org", "acme", "--user-id", user], 3);
    assert_eq!(
        shell.json(&["member", "show", "--org", "globex", "--user-id", user])["id"],
        there["id"]
    );
    let again = shell.json(&["member", "link", "--org", "acme", "--email", SALLY]);
    assert_eq!(again["user_id"], sally["user_id"]);
    assert_ne!(again["id"], sally["id"]);
}

#[test]
fn a_member_is_made_staff_or_an_end_user_and_one_of_both_is_taken() {
    let shell = Shell::new();
    let link = ["member", "link", "--org", "acme", "--email", SALLY];
    let staff = shell.json(&[&link[..], &["--role", "owner"]].concat());
    assert_eq!(staff["portal_role"], Value::Null);
    let show = ["member", "show", "--org", "acme", "--email", SALLY];
    let shown = shell.ok(&show);
    assert_eq!((columns(&shown)[2], columns(&shown)[5]), ("-", "owner"));
    let both = shell.json(&link);
    assert_eq!(
        (&both["id"], &both["portal_role"]),
        (&staff["id"], &json!("end_user"))
    );
    let other = ["member", "link", "--org", "acme", "--role", "viewer"];
    let other = shell.json(&[&other[..], &["--portal-role", "partner"]].concat());
    assert_eq!(other["portal_role"], "partner");

    let id = other["id"].as_str().unwrap();
    let update = ["member", "update", "--org", "acme", "--id", id];
    let taken = shell.json(&[&update[..], &["--no-portal-role"]].concat());
    assert_eq!(
        (&taken["portal_role"], &taken["role"]),
        (&Value::Null, &json!("viewer"))
    );
    let list = ["member", "list", "--org", "acme", "--end-user"];
    for (end_user, expected) in [("true", &both["id"]), ("false", &other["id"])] {
        let listed = shell.json(&[&list[..], &[end_user]].concat());
        let ids: Vec<_> = listed
            .as_array()
            .unwrap()
            .iter()
            .map(|member| &member["id"])
            .collect();
        assert_eq!(ids, [expected], "{end_user}");
    }
    shell.error(&[&update[..], &["--no-role"]].concat(), 4);
    let given = shell.json(&[&update[..], &["--no-role", "--portal-role", "partner"]].concat());
    assert_eq!(
        (&given["portal_role"], &given["role"]),
        (&json!("partner"), &Value::Null)
    );
    for wrong in [
        &["--no-role", "--no-portal-role"][..],
        &["--portal-role", "x", "--no-portal-role"],
    ] {
        let finished = shell.run(&[&update[..], wrong].concat());
        assert_eq!(finished.code, 2, "{finished:?}");
    }
}

#[test]
fn members_are_listed_by_a_text_in_an_order_and_after_they_were_revoked() {
    let shell = Shell::new();
    for (email, name) in [
        ("b@acme.example.com", "Ann"),
        ("a@acme.example.com", "Bob"),
        ("c@example.com", "Zoë Acme"),
    ] {
        shell.ok(&[
            "member", "link", "--org", "acme", "--email", email, "--name", name,
        ]);
    }
    let list = |arguments: &[&str]| -> Vec<String> {
        let listed = shell.json(&[&["member", "list", "--org", "acme"], arguments].concat());
        let emails = listed
            .as_array()
            .unwrap()
            .iter()
            .map(|member| member["email"].as_str().unwrap());
        emails.map(|email| email[..1].to_owned()).collect()
    };
    assert_eq!(list(&["--text", "ACME"]), ["b", "a", "c"]);
    assert_eq!(list(&["--text", "zoë"]), ["c"]);
    assert_eq!(list(&["--order", "email"]), ["a", "b", "c"]);
    assert_eq!(list(&["--order", "name", "--descending"]), ["c", "a", "b"]);
    assert_eq!(list(&["--revoked-since", "2026-01-01T00:00:00Z"]), [""; 0]);
    for email in ["c@example.com", "b@acme.example.com"] {
        shell.ok(&["member", "revoke", "--org", "acme", "--email", email]);
        std::thread::sleep(std::time::Duration::from_millis(3));
    }
    assert_eq!(list(&["--revoked-since", "2026-01-01T00:00:00Z"]), ["b", "c"]);
    assert_eq!(list(&["--revoked-since", "2999-01-01T00:00:00+01:00"]), [""; 0]);
    for wrong in [
        &["--revoked-since", "yesterday"][..],
        &["--revoked-since", "2026-01-01T00:00:00Z", "--order", "name"],
        &["--order", "number"],
    ] {
        let finished = shell.run(&[&["member", "list", "--org", "acme"], wrong].concat());
        assert_eq!(finished.code, 2, "{finished:?}");
    }
}

#[tokio::test]
async fn an_export_prints_all_its_pages() {
    let shell = Shell::new();
    let member = shell.json(&["member", "link", "--org", "acme", "--email", SALLY]);
    let (id, user) = (
        member["id"].as_str().unwrap(),
        member["user_id"].as_str().unwrap(),
    );
    let tom = "tom@acme.example.com";
    shell.ok(&["member", "update", "--org", "acme", "--id", id, "--email", tom]);
    let mut connection = SqliteConnection::connect(&shell.url).await.unwrap();
    sqlx::query(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200)
         INSERT INTO events (organization_id, sequence, kind, member_id, user_id, actor, at, fields)
         SELECT organization_id, sequence + i, kind, member_id, user_id, actor, at, fields
         FROM n CROSS JOIN (SELECT * FROM events WHERE user_id IS NOT NULL ORDER BY sequence DESC LIMIT 1)",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    connection.close().await.unwrap();
    let export = shell.json(&["member", "export", "--org", "acme", "--user-id", user]);
    assert_eq!(export["members"][0]["email"], tom);
    let addresses = export["addresses"].as_array().unwrap();
    let addresses: Vec<_> = addresses
        .iter()
        .map(|held| (&held["email"], held["until"].is_null()))
        .collect();
    assert_eq!(addresses, [(&json!(SALLY), false), (&json!(tom), true)]);
    assert_eq!(export["events"].as_array().unwrap().len(), 1202);
}

#[test]
fn the_organizations_of_a_user_are_listed_by_their_slugs() {
    let shell = Shell::new();
    shell.ok(&["org", "create", "a-sister", "--name", "Sister"]);
    let first = shell.json(&[
        "member", "link", "--org", "acme", "--email", SALLY, "--role", "viewer",
    ]);
    let other = shell.json(&["member", "link", "--org", "a-sister", "--email", SALLY]);
    let user = first["user_id"].as_str().unwrap();
    let associations = ["member", "associations", "--user-id", user];
    let found = shell.json(&associations);
    assert_eq!(found.as_array().unwrap().len(), 2);
    assert_eq!(
        found[0],
        json!({
            "organization_id": shell.json(&["org", "show", "a-sister"])["id"],
            "organization_slug": "a-sister",
            "organization_name": "Sister",
            "member_id": other["id"],
            "role": null,
        })
    );
    assert_eq!(
        (&found[1]["member_id"], &found[1]["role"]),
        (&first["id"], &json!("viewer"))
    );
    let lines = shell.ok(&associations);
    let second = lines.lines().nth(1).unwrap();
    assert_eq!([columns(second)[0], columns(second)[3]], ["acme", "viewer"]);

    shell.ok(&["member", "revoke", "--org", "acme", "--user-id", user]);
    assert_eq!(shell.json(&associations), json!([found[0]]));
    assert_eq!(
        shell.json(&["member", "associations", "--user-id", NO_ID]),
        json!([])
    );
}

#[test]
fn a_member_that_was_seen_says_when() {
    let shell = Shell::new();
    let member = shell.json(&["member", "link", "--org", "acme", "--email", SALLY]);
    let id = member["id"].as_str().unwrap();
    let seen = ["member", "seen", "--org", "acme", "--id"];
    let told = shell.json(&[&seen[..], &[id]].concat());
    assert_eq!(told["id"], member["id"]);
    assert!(told["last_seen_at"].as_str() >= member["created_at"].as_str());
    assert_eq!(shell.json(&["member", "show", "--org", "acme", "--id", id]), told);
    shell.ok(&[&seen[..], &[id]].concat());

    shell.error(&[&seen[..], &[NO_ID]].concat(), 3);
    shell.ok(&["member", "revoke", "--org", "acme", "--id", id]);
    shell.error(&[&seen[..], &[id]].concat(), 3);
}
