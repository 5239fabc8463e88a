//! Imports into a server, and exports from one.

use std::{net::TcpListener, sync::mpsc, thread, time::Duration};

use userbridge::domain::Scope;

use super::{Place, lines, numbers, rejected, took};
use crate::support::{
    Form, TestApp,
    process::{Serve, userbridge},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_imports_as_a_database_does() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.organization("acme").await;
    let key = app.key(&acme, &[Scope::DirectoryWrite]).await;
    let deployment = app.deployment_key(&[Scope::DirectoryWrite]).await;
    let server = app.server.grpc_addr.to_string();
    let (id, directory) = (acme.id.to_string(), app.directory().clone());
    let done = tokio::task::spawn_blocking(move || {
        let place = Place::new();
        let rows = lines(2500, |number| {
            format!("p{number}@acme.example,{}\n", "x".repeat(255))
        });
        let file = place.write("people.csv", format!("email,name\n{rows}"));
        let key = place.write("key", format!("{key}\n"));
        let import = |key: &str, more: &[&str]| {
            let server = ["import", "--json", "--server", &server, "--api-key-file", key];
            place.run(&[&server[..], more].concat())
        };
        let mut dry = took(2500, 0, 0);
        dry["dry_run"] = true.into();
        assert_eq!(import(&key, &["--dry-run", &file]).json(), dry);
        assert_eq!(import(&key, &["--strict", &file]).json(), took(2500, 0, 0));
        let deployment = place.write("deployment", deployment);
        assert_eq!(
            import(&deployment, &["--org", &id, &file]).json(),
            took(0, 0, 2500)
        );
        let unnamed = import(&deployment, &[&file]);
        assert_eq!(unnamed.code, 1);
        assert!(unnamed.stderr.contains("organization not found"), "{unnamed:?}");

        let bad = place.write(
            "bad.csv",
            "email,Team,name\nq@acme.example,9,Quinn\nr@acme.example,,Rita\n",
        );
        let finished = import(&key, &["--map", "teams=Team", &bad]);
        assert_eq!((finished.code, numbers(&finished)), (5, [1, 0, 0, 1]));
        let list = rejected(format!("{bad}.rejected.csv"));
        assert_eq!(list[0], ["2", "1", "", "team not found"]);

        // An address that somebody gives up, and another one takes over in a later message.
        let old = place.write("old.csv", "email,external_id\nold@acme.example,one\n");
        assert_eq!(import(&key, &[&old]).json(), took(1, 0, 0));
        let others = lines(1000, |number| format!("o{number}@acme.example,{number}\n"));
        let rows = format!("email,external_id\nnew@acme.example,one\n{others}old@acme.example,two\n");
        let new = place.write("new.csv", rows);
        let mut dry = took(1001, 1, 0);
        dry["dry_run"] = true.into();
        assert_eq!(import(&key, &["--dry-run", &new]).json(), dry);
        assert_eq!(import(&key, &[&new]).json(), took(1001, 1, 0));

        let wrong = place.write("wrong", "pb_nothing");
        let refused = import(&wrong, &[&file]);
        assert_eq!(refused.code, 1);
        assert!(!refused.stderr.contains("pb_nothing"), "{refused:?}");
        // Nobody is there.
        let gone = place.run(&["import", "--server", "127.0.0.1:1", "--api-key-file", &key, &file]);
        assert_eq!(gone.code, 1);
        assert!(
            gone.stderr
                .contains("no connection to 127.0.0.1:1: Connection refused"),
            "{gone:?}"
        );
        assert!(place.members().is_empty(), "the database is not touched");
    });
    done.await.unwrap();
    let grant = userbridge::service::Read::operator(acme.id);
    let query = userbridge::domain::MemberQuery {
        limit: 1,
        ..userbridge::domain::MemberQuery::default()
    };
    let counted = directory.members_counted(grant, query).await.unwrap();
    assert_eq!(counted.total, Some(2501 + 1 + 1001));
    app.shutdown().await;
}

#[test]
fn a_server_exports_as_a_database_does() {
    let place = Place::new();
    let rows = lines(1200, |number| format!("p{number}@acme.example,=1+1,,,\n"));
    let others = "all@acme.example,Al Li,admin,,2026-01-02T03:04:05Z\nboth@acme.example,,viewer,fan,\n";
    let file = place.write(
        "people.csv",
        format!("email,name,role,portal_role,last_seen_at\n{rows}{others}"),
    );
    place.import(&[&file]).json();
    assert_eq!(place.run(&["team", "create", "--org", "acme", "east"]).code, 0);
    for command in [
        &["member", "revoke", "--org", "acme", "--email", "p7@acme.example"][..],
        &[
            "member",
            "link",
            "--org",
            "acme",
            "--email",
            "in@acme.example",
            "--source",
            "crm",
            "--external-id",
            "17",
            "--team",
            "2",
        ],
    ] {
        let done = place.run(command);
        assert_eq!(done.code, 0, "{done:?}");
    }
    let create = [
        "key",
        "create",
        "--org",
        "acme",
        "--scope",
        "directory.read",
        "--json",
    ];
    let key = place.run(&create).json()["key"].as_str().unwrap().to_owned();
    let key = place.write("key", key);
    let server = Serve::start(&place.url);
    let server = server.grpc_addr.to_string();
    let from_server = ["export", "--server", &server, "--api-key-file", &key];
    for more in [
        &["--format", "csv"][..],
        &["--format", "ndjson", "--revoked"],
        &["--revoked"],
    ] {
        let sent = place.run(&[&from_server[..], more].concat());
        assert_eq!(sent.code, 0, "{sent:?}");
        let read = place.run(&[&["export", "--org", "acme"], more].concat()).stdout;
        assert!(read.contains("in@acme.example") && read.contains("both@acme.example"));
        assert_eq!(read.contains("p7@acme.example"), more.contains(&"--revoked"));
        assert_eq!(sent.stdout, read);
    }
    let path = place.path("export.csv").display().to_string();
    let written = place.run(&[&from_server[..], &["--json", &path]].concat());
    assert_eq!(written.json()["members"], 1202);

    let wrong = place.write("wrong", "pb_nothing");
    let refused = place.run(&["export", "--server", &server, "--api-key-file", &wrong, &path]);
    assert_eq!((refused.code, refused.stdout.as_str()), (1, ""));
    assert!(!refused.stderr.contains("pb_nothing"), "{refused:?}");
    let kept = std::fs::read_to_string(&path).unwrap();
    assert_eq!(kept.lines().count(), 1203, "the file that was there stays");
}

/// Its system is gone, as if the cable were cut: nothing tells its clients.
#[test]
fn a_server_that_has_fallen_silent_is_left() {
    let place = Place::new();
    let key = place.write("key", "pb_something");
    let file = place.write("people.csv", "email\na@acme.example\n");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = silent.local_addr().unwrap().to_string();
    let (sender, ended) = mpsc::channel();
    for command in [vec!["import".to_owned(), file], vec!["export".to_owned()]] {
        let (url, key, server, sender) = (place.url.clone(), key.clone(), server.clone(), sender.clone());
        thread::spawn(move || {
            let command: Vec<_> = command.iter().map(String::as_str).collect();
            let left = userbridge(
                &url,
                &[&command[..], &["--server", &server, "--api-key-file", &key]].concat(),
            );
            sender.send(left)
        });
    }
    for _ in 0..2 {
        let left = ended
            .recv_timeout(Duration::from_secs(60))
            .expect("it waits for ever");
        assert_eq!(left.code, 1, "{left:?}");
        assert!(
            left.stderr.contains("the connection to the server broke: "),
            "{left:?}"
        );
    }
    assert!(place.members().is_empty());
}
