//! How servers begin: side by side, with and without migrations, and how they get to the database.

use std::{
    fs::{self, File},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
    process::Command,
    thread,
    time::Duration,
};

use sqlx::{Connection as _, PgConnection, query_scalar};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};
use tonic_health::pb::health_check_response::ServingStatus;
use url::Url;

use super::place::{NEVER, Replica};
use crate::{
    cli::assert_one_line,
    support::{
        postgres::{Cluster, Database},
        process::{Finished, Process, Serve, USERBRIDGE, command, serve, userbridge},
        skip,
    },
};

#[tokio::test]
async fn servers_that_start_at_once_on_an_empty_database_all_serve() {
    for servers in [2, 3] {
        let Some(database) = Database::create() else {
            return;
        };
        let replicas: Vec<Replica> = thread::scope(|scope| {
            let starts: Vec<_> = (0..servers)
                .map(|_| scope.spawn(|| Serve::start(database.url())))
                .collect();
            starts
                .into_iter()
                .map(|start| Replica::of(start.join().unwrap()))
                .collect()
        });
        for replica in &replicas {
            replica.until_health_is(ServingStatus::Serving).await;
        }
        let once: bool = query_scalar(
            "SELECT count(*) = count(DISTINCT version) AND bool_and(success) FROM _sqlx_migrations",
        )
        .fetch_one(&mut database.connect().await)
        .await
        .unwrap();
        assert!(once);
    }
}

#[tokio::test]
async fn a_server_that_may_not_migrate_is_content_with_what_migrate_made() {
    let Some(database) = Database::create() else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let said = folder.path().join("said");
    let mut server = Process::start(
        serve()
            .args(["--no-migrate", "--database-url", database.url()])
            .stderr(File::create(&said).unwrap()),
    );
    assert_eq!(server.line(), "", "it serves");
    assert_eq!(server.wait().code(), Some(1));
    let said = fs::read_to_string(said).unwrap();
    assert_one_line(&said);
    assert!(said.contains("userbridge migrate"), "{said}");
    let tables: i64 = query_scalar("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        .fetch_one(&mut database.connect().await)
        .await
        .unwrap();
    assert_eq!(tables, 0);

    assert_eq!(userbridge(database.url(), &["migrate"]).code, 0);
    let by_flag = Serve::start_with(&["--no-migrate", "--database-url", database.url()]);
    let by_variable = Serve::start_as(
        serve()
            .args(["--database-url", database.url()])
            .env("USERBRIDGE_NO_MIGRATE", "1"),
    );
    for server in [by_flag, by_variable] {
        Replica::of(server).until_health_is(ServingStatus::Serving).await;
    }
}

/// Runs openssl in a folder. False: there is none.
fn openssl(folder: &Path, arguments: &str) -> bool {
    let run = Command::new("openssl")
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .output();
    let Ok(output) = run else {
        skip("openssl is not on the PATH");
        return false;
    };
    assert!(output.status.success(), "{output:?}");
    true
}

/// A folder with an authority, `root.crt`, that has signed the server's `server.crt`, and another one that has not,
/// `other.crt`.
fn certificates() -> Option<TempDir> {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    fs::write(path.join("names"), "subjectAltName = IP:127.0.0.1").unwrap();
    let authority = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj";
    let made = openssl(
        path,
        &format!("{authority} /CN=root -keyout root.key -out root.crt"),
    ) && openssl(
        path,
        &format!("{authority} /CN=other -keyout other.key -out other.crt"),
    ) && openssl(
        path,
        "req -newkey rsa:2048 -nodes -subj /CN=server -keyout server.key -out server.csr",
    ) && openssl(
        path,
        "x509 -req -in server.csr -CA root.crt -CAkey root.key -CAcreateserial -days 2 -extfile names -out server.crt",
    );
    if !made {
        return None;
    }
    // PostgreSQL runs as another user if this is root, and takes no key that others may read.
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        let owned = Command::new("chown")
            .arg("postgres")
            .arg(path.join("server.key"))
            .status();
        assert!(owned.unwrap().success());
    }
    fs::set_permissions(path.join("server.key"), fs::Permissions::from_mode(0o600)).unwrap();
    Some(folder)
}

/// Whether all connections of a server are encrypted, asked when it has some.
async fn are_encrypted(observer: &mut PgConnection) -> bool {
    loop {
        let found: Option<bool> = query_scalar(
            "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
             WHERE application_name = 'userbridge'",
        )
        .fetch_one(&mut *observer)
        .await
        .unwrap();
        match found {
            Some(all) => return all,
            None => sleep(Duration::from_millis(20)).await,
        }
    }
}

#[tokio::test]
async fn the_way_to_the_database_is_encrypted_and_its_certificate_judged_as_the_url_says() {
    let Some(folder) = certificates() else { return };
    let file = |name: &str| folder.path().join(name).display().to_string();
    let settings = [
        "ssl = on".to_owned(),
        format!("ssl_cert_file = '{}'", file("server.crt")),
        format!("ssl_key_file = '{}'", file("server.key")),
    ];
    let Some(cluster) = Cluster::own(&settings.each_ref().map(String::as_str)).await else {
        return;
    };
    let url = |mode: &str, root: Option<&str>| {
        let mut url = Url::parse(&cluster.url()).unwrap();
        url.query_pairs_mut().append_pair("sslmode", mode);
        if let Some(root) = root {
            url.query_pairs_mut().append_pair("sslrootcert", &file(root));
        }
        url.to_string()
    };
    assert_eq!(userbridge(&cluster.url(), &["migrate"]).code, 0);
    let mut observer = PgConnection::connect(&url("disable", None)).await.unwrap();
    for (mode, root) in [
        ("require", None),
        ("verify-ca", Some("root.crt")),
        ("verify-full", Some("root.crt")),
    ] {
        let replica = Replica::start(&url(mode, root));
        replica.until_health_is(ServingStatus::Serving).await;
        let encrypted = timeout(NEVER, are_encrypted(&mut observer)).await;
        assert!(encrypted.expect("it connects"), "{mode}");
    }
    for root in [Some("other.crt"), None] {
        let refused = userbridge(&url("verify-full", root), &["org", "list"]);
        assert_eq!(refused.code, 1, "{refused:?}");
        assert_one_line(&refused.stderr);
    }
}

#[tokio::test]
async fn a_password_comes_from_where_postgresql_keeps_it_or_from_a_file_and_is_told_to_nobody() {
    let Some(cluster) = Cluster::own(&[]).await else {
        return;
    };
    let with_password = cluster.url();
    let mut url = Url::parse(&with_password).unwrap();
    let password = url.password().unwrap().to_owned();
    url.set_password(None).unwrap();
    let folder = TempDir::new().unwrap();
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path.display().to_string()
    };
    let passfile = file("pgpass", format!("127.0.0.1:*:*:*:{password}\n"));
    let password_file = file("password", format!("{password}\n"));
    for (variable, value) in [
        ("USERBRIDGE_DATABASE_URL", &with_password),
        ("PGPASSWORD", &password),
        ("PGPASSFILE", &passfile),
        ("USERBRIDGE_DATABASE_PASSWORD_FILE", &password_file),
    ] {
        let said = folder.path().join(variable);
        let mut start = serve();
        start
            .env("USERBRIDGE_DATABASE_URL", url.as_str())
            .env(variable, value)
            .env("USERBRIDGE_LOG", "trace")
            .stderr(File::create(&said).unwrap());
        let replica = Replica::of(Serve::start_as(&mut start));
        replica.until_health_is(ServingStatus::Serving).await;
        // Everything that there is to say about a server that is gone.
        cluster.stop().await;
        replica.until_health_is(ServingStatus::NotServing).await;
        cluster.start().await;
        replica.until_health_is(ServingStatus::Serving).await;
        let arguments = fs::read(format!("/proc/{}/cmdline", replica.serve.process.id())).unwrap();
        assert!(
            !String::from_utf8(arguments).unwrap().contains(&password),
            "{variable}"
        );
        assert!(
            !replica.serve.announced.to_string().contains(&password),
            "{variable}"
        );
        let said = fs::read_to_string(said).unwrap();
        assert!(said.contains("the database can't be written"), "{said}");
        assert!(!said.contains(&password), "{variable}");
    }

    let mut elsewhere = url.clone();
    elsewhere.set_path("nowhere");
    elsewhere.set_password(Some(&password)).unwrap();
    let wrong = url.as_str().replace("userbridge@", "userbridge:wrong-secret@");
    for (url, secret) in [(elsewhere.as_str(), password.as_str()), (&wrong, "wrong-secret")] {
        for arguments in [
            &["migrate"][..],
            &["org", "list"],
            &["serve"],
            &["--help"],
            &["serve", "--help"],
        ] {
            let Finished { stdout, stderr, .. } = userbridge(url, arguments);
            assert!(
                !stdout.contains(secret) && !stderr.contains(secret),
                "{arguments:?}"
            );
        }
    }
    let finished = userbridge(&with_password, &["migrate"]);
    assert_eq!(finished.code, 0);
    assert!(!finished.stdout.contains(&password), "{finished:?}");

    let of_a_file: Finished = command(USERBRIDGE)
        .args([
            "--database-password-file",
            &password_file,
            "--database-url",
            "sqlite:users.db",
            "migrate",
        ])
        .output()
        .unwrap()
        .into();
    assert_eq!(of_a_file.code, 2, "{of_a_file:?}");
}
