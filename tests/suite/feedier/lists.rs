//! Lists: who is on them.

use userbridge::{domain::Role, service::Write};

use super::{Acme, USERS, assert_answer, ids};
use crate::support::{Answer, TestApp, gateway_tests, wire::Wire};

gateway_tests!(
    only_live_members_with_a_role_are_listed,
    names_and_addresses_are_found_by_any_part,
    what_a_filter_says_is_what_is_meant,
    roles_are_exact_and_owners_are_admins,
    filters_are_read_as_php_reads_them,
    an_unknown_filter_is_refused,
    a_query_is_read_as_it_is_sent,
);

async fn only_live_members_with_a_role_are_listed(app: TestApp) {
    let acme = Acme::of(app).await;
    let globex = acme.app.organization("globex").await;
    acme.app.member(&globex, "other@globex.example.com").await;
    acme.member("end@acme.example.com", None, None).await;
    let seen = acme
        .member("seen@acme.example.com", None, Some(Role::Editor))
        .await;
    let gone = acme
        .member("gone@acme.example.com", None, Some(Role::Viewer))
        .await;
    let grant = Write::operator(acme.organization.id);
    acme.app
        .directory()
        .revoke_member(grant, gone.id, None)
        .await
        .unwrap();
    let page = acme.get(USERS).await;
    assert_eq!(ids(&page), [seen.number.0]);
    assert_eq!(page.json()["meta"]["total"], 1);
}

/// Five people, with the numbers 1 to 5.
async fn people(app: TestApp) -> Acme {
    let acme = Acme::of(app).await;
    for (email, name, role) in [
        ("jurgen@acme.example.com", "Jürgen Groß", Role::Owner),
        ("aurelio_m@acme.example.com", "Aurelio Montoya", Role::Admin),
        ("100%@globex.example.com", "Ana ŚWIĘTA", Role::Editor),
        ("aurelioXm@globex.example.com", "Ада Лавлейс", Role::Viewer),
        ("x@initech.example.com", "A, B_C%", Role::RestrictedViewer),
    ] {
        acme.member(email, Some(name), Some(role)).await;
    }
    acme
}

#[track_caller]
fn assert_found(answer: &Answer, query: &str, expected: &[i64]) {
    assert_eq!(ids(answer), expected, "{query}");
    assert_eq!(answer.json()["meta"]["total"], expected.len(), "{query}");
}

async fn names_and_addresses_are_found_by_any_part(app: TestApp) {
    let acme = people(app).await;
    for (filter, expected) in [
        (("name", "aurelio"), &[2][..]),
        (("name", "AUR"), &[2]),
        (("name", "JÜR"), &[1]),
        (("name", "święta"), &[3]),
        (("name", "ЛАВ"), &[4]),
        (("name", "а"), &[4]),
        (("name", "a"), &[2, 3, 5]),
        (("name", " aurelio "), &[2]),
        (("name", "o m"), &[2]),
        (("name", "nobody"), &[]),
        (("email", "ACME"), &[1, 2]),
        (("email", "@"), &[1, 2, 3, 4, 5]),
        (("email", "globex.example.com"), &[3, 4]),
    ] {
        let (name, value) = filter;
        let answer = acme.get(&format!("{USERS}?filter[{name}]={value}")).await;
        assert_found(&answer, value, expected);
    }
}

async fn what_a_filter_says_is_what_is_meant(app: TestApp) {
    let acme = people(app).await;
    for (query, expected) in [
        // Not wildcards.
        ("filter[email]=%25", &[3][..]),
        ("filter[email]=100%25@", &[3]),
        ("filter[email]=aurelio_m", &[2]),
        ("filter[name]=_", &[5]),
        ("filter[name]=_C%25", &[5]),
        // A comma is or; nothing is nothing.
        ("filter[name]=aurelio,jür", &[1, 2]),
        ("filter[name]=nobody,jür,", &[1]),
        ("filter[name]=,", &[1, 2, 3, 4, 5]),
        ("filter[name]=", &[1, 2, 3, 4, 5]),
        ("filter[name]=%20", &[1, 2, 3, 4, 5]),
        ("filter[name]=a&filter[email]=globex", &[3]),
        ("filter[name]=a&filter[email]=globex&filter[role]=editor", &[3]),
        ("filter[name]=a&filter[email]=globex&filter[role]=viewer", &[]),
        // Quotes and the like are letters as any other.
        ("filter[name]=%22", &[]),
        ("filter[name]=%22%20OR%20name:%22", &[]),
        ("filter[name]='", &[]),
        ("filter[name]=a%00b", &[]),
    ] {
        assert_found(&acme.get(&format!("{USERS}?{query}")).await, query, expected);
    }
    let long = "a".repeat(400);
    for name in ["name", "email"] {
        let query = format!("filter[{name}]={long}");
        assert_found(&acme.get(&format!("{USERS}?{query}")).await, name, &[]);
    }
    let many: Vec<_> = (0..101).map(|part| part.to_string()).collect();
    let answer = acme
        .get(&format!("{USERS}?filter[name]={}", many.join(",")))
        .await;
    assert_answer(
        &answer,
        422,
        r#"{"message":"The filter.name field must not have more than 100 items.","errors":{"filter.name":["The filter.name field must not have more than 100 items."]}}"#,
    );
    let answer = acme
        .get(&format!("{USERS}?filter[name]={}", many[..100].join(",")))
        .await;
    assert_eq!(answer.status, 200);
}

async fn roles_are_exact_and_owners_are_admins(app: TestApp) {
    let acme = people(app).await;
    for (roles, expected) in [
        ("admin", &[1, 2][..]),
        ("editor", &[3]),
        ("viewer", &[4]),
        ("restricted_viewer", &[5]),
        ("viewer,editor", &[3, 4]),
        ("viewer,nope", &[4]),
        ("admin,editor,viewer,restricted_viewer", &[1, 2, 3, 4, 5]),
        ("owner", &[]),
        ("Admin", &[]),
        ("view", &[]),
        ("", &[1, 2, 3, 4, 5]),
        (",", &[]),
        ("viewer,", &[4]),
    ] {
        let answer = acme.get(&format!("{USERS}?filter[role]={roles}")).await;
        assert_found(&answer, roles, expected);
    }
}

async fn filters_are_read_as_php_reads_them(app: TestApp) {
    let acme = people(app).await;
    for (query, expected) in [
        ("filter%5Brole%5D=admin", &[1, 2][..]),
        ("filter%5brole%5d=%61dmin", &[1, 2]),
        ("filter[role]=viewer&filter[role]=admin", &[1, 2]),
        ("filter[role][]=viewer&filter[role][]=admin", &[1, 2, 4]),
        ("filter[role][x]=viewer&filter[role]=editor", &[3]),
        ("filter[role]=editor&filter[role][]=viewer", &[4]),
        ("filter[role][][]=editor", &[3]),
        ("filter=admin", &[1, 2, 3, 4, 5]),
        ("filter", &[1, 2, 3, 4, 5]),
        ("filter[role=admin", &[1, 2, 3, 4, 5]),
        ("role=admin", &[1, 2, 3, 4, 5]),
        ("filter[role]=admin+", &[1, 2]),
        ("filter[role][]=", &[]),
        ("filter[name][]=", &[1, 2, 3, 4, 5]),
        ("&&filter[role]=editor&", &[3]),
    ] {
        assert_found(&acme.get(&format!("{USERS}?{query}")).await, query, expected);
    }
}

async fn an_unknown_filter_is_refused(app: TestApp) {
    let acme = people(app).await;
    for (query, names) in [
        ("filter[x]=1", "x"),
        ("filter[x]=&filter[name]=a&filter[Role]=b", "x, Role"),
        ("filter[]=1", "0"),
        ("filter[08]=1&filter[]=2", "08, 0"),
        ("filter[%20role]=admin", " role"),
        ("filter[role+]=admin", "role "),
        ("filter[name%FF]=a", "name\u{fffd}"),
        ("filter[id]=1&page=9", "id"),
    ] {
        let answer = acme.get(&format!("{USERS}?{query}")).await;
        let message = format!(
            r#"{{"message":"Requested filter(s) `{names}` are not allowed. Allowed filter(s) are `name, email, role`."}}"#
        );
        assert_answer(&answer, 400, &message);
    }
}

/// Brackets and letters that nobody has percent-encoded, as `curl -G -d` sends them.
async fn a_query_is_read_as_it_is_sent(app: TestApp) {
    let acme = people(app).await;
    let mut wire = Wire::open(acme.app.http_addr).await;
    for (query, expected) in [
        ("filter[role]=admin".as_bytes(), 2),
        ("filter[name]=Jürgen".as_bytes(), 1),
        ("filter[name]=100%&filter[name]=%zz".as_bytes(), 0),
        ("filter[email]=100%".as_bytes(), 1),
    ] {
        let mut request = b"GET /v3/users?".to_vec();
        request.extend_from_slice(query);
        let head = format!(
            " HTTP/1.1\r\nhost: test\r\nauthorization: bearer {}\r\n\r\n",
            acme.key
        );
        request.extend_from_slice(head.as_bytes());
        wire.send(&request).await;
        let reply = wire.reply().await.unwrap();
        let query = String::from_utf8_lossy(query);
        assert_eq!(reply.status, 200, "{query}");
        let page: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(page["meta"]["total"], expected, "{query}");
        assert_eq!(page["meta"]["path"], "http://test/v3/users");
    }
}
