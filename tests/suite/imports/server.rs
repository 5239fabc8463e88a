//! Imports into a server.

use userbridge::domain::Scope;

use super::{Place, lines, numbers, rejected, took};
use crate::support::{Form, TestApp};

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
        assert_eq!(list[0], ["2", "", "team not found"]);

        let wrong = place.write("wrong", "pb_nothing");
        let refused = import(&wrong, &[&file]);
        assert_eq!(refused.code, 1);
        assert!(!refused.stderr.contains("pb_nothing"), "{refused:?}");
        // Nobody is there.
        let gone = place.run(&["import", "--server", "127.0.0.1:1", "--api-key-file", &key, &file]);
        assert_eq!(gone.code, 1);
        assert!(
            gone.stderr.contains("127.0.0.1:1 does not accept connections"),
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
    assert_eq!(counted.total, Some(2501));
    app.shutdown().await;
}
