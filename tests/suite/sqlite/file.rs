//! What the file holds, and what it refuses by itself.

use std::{fs, path::Path};

use userbridge::{
    domain::{KeyDigest, Member, MemberLookup, Scope},
    service::ServiceError,
};

use super::{migrated, raw};
use crate::support::{Form, TestApp};

#[tokio::test]
async fn the_file_is_in_write_ahead_mode_and_strict_about_references() {
    let (_folder, url) = migrated().await;
    let mut connection = raw(&url).await;
    // It is a property of the file, so a connection that asks for nothing sees it.
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(mode, "wal");
    let broken = sqlx::query("PRAGMA foreign_key_check")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    assert!(broken.is_empty());
}

#[tokio::test]
async fn the_event_log_refuses_to_be_changed_or_shortened() {
    let app = TestApp::start(Form::Embedded).await;
    app.tenant("acme").await;
    let mut connection = raw(app.database_url()).await;
    let count = "SELECT count(*) FROM events";
    let before: i64 = sqlx::query_scalar(count)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert!(before > 0);
    for change in [
        "UPDATE events SET actor = 'nobody'",
        "UPDATE events SET sequence = sequence + 1000",
        "DELETE FROM events",
        "DELETE FROM events WHERE sequence = 1",
    ] {
        let error = sqlx::query(change).execute(&mut connection).await.unwrap_err();
        assert!(error.to_string().contains("append-only"), "{error}");
    }
    let after: i64 = sqlx::query_scalar(count)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(after, before);
}

#[tokio::test]
async fn no_key_is_in_the_files_and_no_profile_is_in_the_log() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.tenant("acme").await;
    let admin = app.key(&acme.organization, &[Scope::Admin]).await;
    let sally = app.member(&acme.organization, "sally@acme.example.com").await;
    let user = sally.user_id.to_string();
    app.retrieve(&acme.key, &user).await.unwrap();
    app.delete(&acme.key, &user).await.unwrap();
    app.ping("pb_presented_but_unknown").await.unwrap_err();
    // While the server runs: the write-ahead log is part of what is stored.
    let folder = Path::new(app.database_url().strip_prefix("sqlite:").unwrap())
        .parent()
        .unwrap();
    let mut stored = String::new();
    for file in fs::read_dir(folder).unwrap() {
        stored.push_str(&String::from_utf8_lossy(&fs::read(file.unwrap().path()).unwrap()));
    }
    assert!(stored.contains("sally@acme.example.com"));
    for secret in [&acme.key, &admin] {
        assert!(!stored.contains(secret));
        // The random half, or the end of it.
        assert!(!stored.contains(secret.strip_prefix("pb_").unwrap()));
        assert!(!stored.contains(secret.get(20..).unwrap()));
    }
    assert!(!stored.contains("presented_but_unknown"));

    let mut connection = raw(app.database_url()).await;
    let told: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM events WHERE instr(kind || actor || fields, 'sally') OR instr(fields, 'Doe')",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!(told, 0);
}

#[tokio::test]
async fn everybody_is_found_after_the_file_was_compacted() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.tenant("acme").await;
    let mut members = Vec::new();
    for index in 0..5 {
        let email = format!("{index}@acme.example.com");
        members.push((app.member(&acme.organization, &email).await, email));
    }
    app.delete(&acme.key, &members.remove(1).0.user_id.to_string())
        .await
        .unwrap();
    let mut connection = raw(app.database_url()).await;
    sqlx::query("VACUUM").execute(&mut connection).await.unwrap();
    for (member, email) in members {
        let found = app.retrieve_email(&acme.key, &email).await.unwrap();
        assert_eq!(found.id, member.id.to_string());
    }
}

/// In one batch with it are look-ups of others, of other organizations too.
#[tokio::test]
async fn a_row_that_is_not_readable_is_an_error_for_whoever_asks_for_it_alone() {
    let app = TestApp::start(Form::Embedded).await;
    let (acme, globex) = (app.tenant("acme").await, app.tenant("globex").await);
    let broken = app.member(&acme.organization, "broken@acme.example.com").await;
    let sound = app.member(&globex.organization, "sound@globex.example.com").await;
    // Not UTF-8: no program of ours writes this.
    sqlx::query("UPDATE members SET name = CAST(x'c328' AS TEXT) WHERE user_id = $1")
        .bind(&broken.user_id.as_uuid().as_bytes()[..])
        .execute(&mut raw(app.database_url()).await)
        .await
        .unwrap();
    let ask = |key: &str, member: &Member| {
        let (key, lookup) = (KeyDigest::of(key), MemberLookup::UserId(member.user_id));
        let directory = app.directory();
        async move { directory.retrieve_user(key, lookup).await }
    };
    // Asked for at once, they are looked up at once.
    let (first, second, third) = tokio::join!(
        ask(&globex.key, &sound),
        ask(&acme.key, &broken),
        ask(&globex.key, &sound)
    );
    assert_eq!(
        (first.unwrap(), third.unwrap()),
        (sound.clone().into(), sound.into())
    );
    assert!(matches!(second, Err(ServiceError::Internal(_))), "{second:?}");
}

#[tokio::test]
async fn a_live_member_without_a_facet_is_refused_by_the_file_itself() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.tenant("acme").await;
    app.member(&acme.organization, "sally@acme.example.com").await;
    let mut connection = raw(app.database_url()).await;
    let refused = sqlx::query("UPDATE members SET portal_role = NULL")
        .execute(&mut connection)
        .await
        .unwrap_err();
    let kind = refused.as_database_error().unwrap().kind();
    assert_eq!(kind, sqlx::error::ErrorKind::CheckViolation);
    sqlx::query("UPDATE members SET portal_role = NULL, revoked_at = 1")
        .execute(&mut connection)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_second_live_link_of_a_user_or_an_address_is_refused_by_the_file_itself() {
    let (_folder, url) = migrated().await;
    let mut connection = raw(&url).await;
    sqlx::raw_sql(
        "INSERT INTO organizations (id, slug, name, created_at) VALUES (zeroblob(16), 'acme', 'Acme', 0)",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    let mut number = 0_i64;
    let mut link = async |user: &str, email: Option<&str>, revoked: Option<i64>| {
        number += 1;
        sqlx::query(
            "INSERT INTO members (
                 organization_id, id, user_id, email, number, created_at, revoked_at, superseded_number
             )
             VALUES (zeroblob(16), CAST($1 AS BLOB), unhex($2), $3, $1, 0, $4, iif($4 IS NULL, 0, $1))",
        )
        .bind(number)
        .bind(user)
        .bind(email)
        .bind(revoked)
        .execute(&mut connection)
        .await
        .map_err(|error| {
            error
                .into_database_error()
                .map(|error| error.is_unique_violation())
        })
    };
    for revoked in [Some(1), Some(1), None] {
        link("0a", Some("sally@example.com"), revoked).await.unwrap();
    }
    let refused = Err(Some(true));
    assert_eq!(
        link("0a", Some("other@example.com"), None).await.map(drop),
        refused
    );
    assert_eq!(link("0a", None, None).await.map(drop), refused);
    assert_eq!(
        link("0b", Some("sally@example.com"), None).await.map(drop),
        refused
    );
    link("0b", None, None).await.unwrap();
}
