//! A server whose disk takes nothing more, or does not answer: what it answers, what its health says, and that it goes on by
//! itself.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tonic::{
    Code,
    transport::{Channel, Endpoint},
};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_types::StatusExt as _;

use super::layer::{Layer, Mode};
use crate::support::{
    process::{Serve, serve, userbridge},
    proto::users_v1::{
        DeleteRequest, RetrieveRequest, retrieve_request::By, user_service_client::UserServiceClient,
    },
    skip,
    wire::{Reply, Wire},
    with_key,
};

/// Long enough for anything that ends at all.
const NEVER: Duration = Duration::from_secs(20);

const RETRIEVE: &str = "/api/external/v1/users/retrieve";
const DELETE: &str = "/api/external/v1/users/delete";

/// A server with some people.
struct World {
    serve: Serve,
    channel: Channel,
    key: String,
    /// Of another organization.
    other_key: String,
    users: Vec<String>,
}

impl World {
    /// Starts the server, which has the database to itself from then on.
    fn start(url: &str, start: impl FnOnce() -> Serve) -> Self {
        let run = |arguments: &[&str]| userbridge(url, arguments).json();
        let [key, other_key] = ["acme", "globex"].map(|organization| {
            run(&["org", "create", organization, "--json"]);
            let scope = ["--scope", "public_api", "--json"];
            let key = run(&[&["key", "create", "--org", organization][..], &scope].concat());
            key["key"].as_str().unwrap().to_owned()
        });
        let users = (0..3).map(|number| {
            let email = format!("{number}@acme.example.com");
            run(&["member", "link", "--org", "acme", "--email", &email, "--json"])
        });
        let users: Vec<_> = users.collect();
        let serve = start();
        let endpoint = Endpoint::from_shared(format!("http://{}", serve.grpc_addr)).unwrap();
        Self {
            channel: endpoint.connect_lazy(),
            key,
            other_key,
            users: users
                .iter()
                .map(|user: &Value| user["user_id"].as_str().unwrap().to_owned())
                .collect(),
            serve,
        }
    }

    async fn post(&self, path: &str, user: usize) -> Reply {
        self.post_with(&self.key, path, user).await
    }

    async fn post_with(&self, key: &str, path: &str, user: usize) -> Reply {
        let body = json!({ "api_key": key, "user_id": self.users[user] }).to_string();
        let mut wire = Wire::open(self.serve.http_addr).await;
        wire.post(path, "application/json", body.as_bytes())
            .await
            .unwrap()
    }

    async fn health(&self) -> ServingStatus {
        let mut health = HealthClient::new(self.channel.clone());
        let service = "userbridge.directory.v1.MemberService".to_owned();
        let answer = health.check(HealthCheckRequest { service }).await.unwrap();
        answer.into_inner().status()
    }

    /// Over gRPC: the code that it ends with.
    async fn retrieve(&self, user: usize) -> Code {
        let request = RetrieveRequest {
            by: Some(By::UserId(self.users[user].clone())),
        };
        let mut users = UserServiceClient::new(self.channel.clone());
        let found = users.retrieve(with_key(request, &self.key)).await;
        found.map_or_else(|status| status.code(), |_| Code::Ok)
    }

    /// What needs nothing of the disk is answered, on connections old and new.
    async fn assert_is_alive(&self) {
        let alive = async {
            assert_eq!(self.health().await, ServingStatus::Serving);
            let mut wire = Wire::open(self.serve.http_addr).await;
            wire.send(b"GET /healthz HTTP/1.1\r\nhost: test\r\n\r\n").await;
            assert_eq!(wire.reply().await.unwrap().status, 200);
        };
        let alive = tokio::time::timeout(NEVER, alive).await;
        alive.expect("nothing is answered while a look-up waits for the disk");
    }

    async fn until_health_is(&self, status: ServingStatus) {
        let is = async {
            while self.health().await != status {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let is = tokio::time::timeout(NEVER, is).await;
        is.unwrap_or_else(|_| panic!("health does not become {status:?}"));
    }

    /// Changes can't be made now, and everything says so. What is read is read.
    async fn assert_refuses(&self) {
        let refused = self.post(DELETE, 1).await;
        assert_eq!(refused.status, 503);
        let seconds = refused.header("retry-after").expect("it says when to try again");
        assert!(seconds.parse::<u32>().unwrap() > 0);
        let request = DeleteRequest {
            user_id: self.users[1].clone(),
        };
        let mut users = UserServiceClient::new(self.channel.clone());
        let refused = users.delete(with_key(request, &self.key)).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
        assert!(refused.get_details_retry_info().is_some(), "{refused:?}");
        self.until_health_is(ServingStatus::NotServing).await;
        for user in 1..3 {
            assert_eq!(self.post(RETRIEVE, user).await.status, 200);
        }
    }

    /// Changes are made again, by the same process.
    async fn assert_goes_on(&mut self) {
        self.until_health_is(ServingStatus::Serving).await;
        assert_eq!(self.post(DELETE, 1).await.status, 200);
        assert_eq!(self.post(RETRIEVE, 1).await.status, 404);
        assert_eq!(self.post(RETRIEVE, 2).await.status, 200);
        self.serve.process.terminate();
        assert!(self.serve.process.wait().success());
    }
}

/// `userbridge serve` with a layer in front of its files.
fn serve_behind(layer: &Layer, url: &str) -> Serve {
    let mut command = serve();
    command.args(["--database-url", url]).env("USERBRIDGE_LOG", "off");
    Serve::start_as(layer.before(&mut command))
}

#[tokio::test]
async fn a_server_whose_disk_fails_refuses_changes_until_it_is_well_again() {
    let Some(layer) = Layer::new() else {
        return skip("there is no C compiler");
    };
    let url = format!("sqlite:{}", layer.files().join("users.db").display());
    let mut world = World::start(&url, || serve_behind(&layer, &url));
    assert_eq!(world.post(DELETE, 0).await.status, 200);
    world.until_health_is(ServingStatus::Serving).await;
    for mode in [Mode::IoError, Mode::NoSpace] {
        layer.control().fail_all_changes(mode);
        world.assert_refuses().await;
        assert!(layer.control().failed() > 0);
        layer.control().disarm();
        world.until_health_is(ServingStatus::Serving).await;
    }
    world.assert_goes_on().await;
}

/// Until the layer makes something fail, or hang.
async fn until_one_failed(layer: &Layer) {
    let failed = async {
        while layer.control().failed() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let failed = tokio::time::timeout(NEVER, failed).await;
    failed.expect("nothing asks the disk");
}

/// The thread that waits for the disk may be the one that would have read the sockets, while the others sleep.
#[tokio::test]
async fn a_look_up_that_waits_for_the_disk_holds_up_nothing_but_look_ups() {
    let Some(layer) = Layer::new() else {
        return skip("there is no C compiler");
    };
    let url = format!("sqlite:{}", layer.files().join("users.db").display());
    let mut world = World::start(&url, || serve_behind(&layer, &url));
    assert_eq!(world.retrieve(2).await, Code::Ok);
    for user in 0..2 {
        // After a change, look-ups read the file anew.
        assert_eq!(world.post(DELETE, user).await.status, 200);
        layer.control().hang_all_reads();
        let (found, ()) = tokio::join!(world.retrieve(2), async {
            until_one_failed(&layer).await;
            world.assert_is_alive().await;
            if user == 0 {
                // It waits behind the other one, and no longer than the gateway waits for an answer.
                let late = world.post_with(&world.other_key, RETRIEVE, 2);
                let late = tokio::time::timeout(NEVER, late).await;
                assert_eq!(late.expect("it hangs").status, 504);
                world.assert_is_alive().await;
            }
            layer.control().disarm();
        });
        assert_eq!(found, Code::Ok);
        assert_eq!(world.post(RETRIEVE, 2).await.status, 200);
    }
    world.serve.process.terminate();
    assert!(world.serve.process.wait().success());
}

#[tokio::test]
async fn whoever_is_connected_is_answered_after_a_look_up_waited_for_the_disk() {
    let Some(layer) = Layer::new() else {
        return skip("there is no C compiler");
    };
    let url = format!("sqlite:{}", layer.files().join("users.db").display());
    let world = World::start(&url, || serve_behind(&layer, &url));
    assert_eq!(world.retrieve(2).await, Code::Ok);
    let mut wires = Vec::new();
    for _ in 0..8 {
        wires.push(Wire::open(world.serve.http_addr).await);
    }
    for user in 0..2 {
        assert_eq!(world.post(DELETE, user).await.status, 200);
        layer.control().hang_all_reads();
        let (found, ()) = tokio::join!(world.retrieve(2), async {
            until_one_failed(&layer).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
            layer.control().disarm();
        });
        assert_eq!(found, Code::Ok);
        // Nobody connects anew, which would wake who sleeps.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let answered = async {
            for wire in &mut wires {
                wire.send(b"GET /healthz HTTP/1.1\r\nhost: test\r\n\r\n").await;
                assert_eq!(wire.reply().await.unwrap().status, 200);
            }
            assert_eq!(world.health().await, ServingStatus::Serving);
        };
        let answered = tokio::time::timeout(NEVER, answered).await;
        answered.expect("whoever was connected is not answered any more");
    }
}

#[tokio::test]
async fn a_server_whose_disk_does_not_answer_ends_when_it_is_told_to() {
    let Some(layer) = Layer::new() else {
        return skip("there is no C compiler");
    };
    let url = format!("sqlite:{}", layer.files().join("users.db").display());
    let mut world = World::start(&url, || {
        let mut command = serve();
        command
            .args(["--database-url", &url, "--drain-seconds", "1"])
            .env("USERBRIDGE_LOG", "off");
        Serve::start_as(layer.before(&mut command))
    });
    assert_eq!(world.post(DELETE, 0).await.status, 200);
    layer.control().hang_all_reads();
    let (found, ()) = tokio::join!(world.retrieve(2), async {
        until_one_failed(&layer).await;
        world.serve.process.signal("TERM");
    });
    assert_ne!(found, Code::Ok);
    assert!(world.serve.process.ended().success());
    // What was acknowledged before is there.
    layer.control().disarm();
    world.serve = Serve::start(&url);
    assert_eq!(world.post(RETRIEVE, 0).await.status, 404);
    assert_eq!(world.post(RETRIEVE, 2).await.status, 200);
}

/// A file system of its own, as small as this, until it is dropped.
struct Mounted(TempDir);

impl Mounted {
    fn new(size: &str) -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(folder.path())
            .output();
        mounted
            .is_ok_and(|output| output.status.success())
            .then(|| Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// A file that takes all the room there is.
    fn fill(&self) -> PathBuf {
        let path = self.path().join("filler");
        let mut file = fs::File::create(&path).unwrap();
        for size in [64 * 1024, 4096, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
        path
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Lazily: it goes when the last process that has a file there has ended.
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn a_server_on_a_full_disk_refuses_changes_until_there_is_room() {
    let Some(disk) = Mounted::new("2m") else {
        return skip("only root can mount a small file system");
    };
    let url = format!("sqlite:{}", disk.path().join("users.db").display());
    let mut world = World::start(&url, || Serve::start(&url));
    assert_eq!(world.post(DELETE, 0).await.status, 200);
    let filler = disk.fill();
    world.assert_refuses().await;
    fs::remove_file(filler).unwrap();
    world.assert_goes_on().await;
}
