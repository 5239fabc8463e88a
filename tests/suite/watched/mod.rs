//! What the server tells of itself: metrics, spans, logs, the ids of requests, and the files that are made for them.

mod collector;
mod dashboards;
mod ids;
mod logs;
mod metrics;
mod secrets;
mod traces;

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::PathBuf,
    process::{Command, Stdio},
};

use reqwest::{Client, Method, RequestBuilder, redirect::Policy};
use serde_json::json;
use tempfile::TempDir;
use tonic::transport::{Channel, Endpoint};

use crate::support::{
    database,
    process::{Serve, serve, userbridge},
    proto::users_v1::user_service_client::UserServiceClient,
};

const EMAIL: &str = "sally.planted@acme.example.com";
const RETRIEVE: &str = "/api/external/v1/users/retrieve";

/// A server as a process, an organization in it with a member, and keys for all its contracts.
struct World {
    serve: Serve,
    http: Client,
    organization: String,
    /// For the published contract.
    public_key: String,
    /// For the directory and the other dialects.
    directory_key: String,
    user_id: String,
    _folder: TempDir,
}

impl World {
    /// With more arguments and settings for the server.
    fn start(configure: impl FnOnce(&mut Command) -> &mut Command) -> Self {
        let (folder, url) = database();
        let run = |arguments: &[&str]| userbridge(&url, arguments).json();
        let organization = run(&["org", "create", "acme", "--json"]);
        let key = |scope: &str| {
            let made = run(&["key", "create", "--org", "acme", "--scope", scope, "--json"]);
            made["key"].as_str().unwrap().to_owned()
        };
        let (public_key, directory_key) = (key("public_api"), key("directory.write"));
        let member = run(&["member", "link", "--org", "acme", "--email", EMAIL, "--json"]);
        let mut command = serve();
        command.args(["--database-url", &url, "--admin-addr", "127.0.0.1:0"]);
        Self {
            serve: Serve::start_as(configure(&mut command)),
            http: Client::builder().redirect(Policy::none()).build().unwrap(),
            organization: organization["id"].as_str().unwrap().to_owned(),
            user_id: member["user_id"].as_str().unwrap().to_owned(),
            public_key,
            directory_key,
            _folder: folder,
        }
    }

    /// The same, and what it logs goes into a file.
    fn logging(configure: impl FnOnce(&mut Command) -> &mut Command) -> (Self, Log) {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("log");
        let file = File::create(&path).unwrap();
        let world = Self::start(|command| configure(command).stderr(Stdio::from(file)));
        (world, Log(folder, path))
    }

    fn addr(&self, name: &str) -> SocketAddr {
        self.serve.announced[name].as_str().unwrap().parse().unwrap()
    }

    async fn scrape(&self) -> Scrape {
        let url = format!("http://{}/metrics", self.addr("admin_addr"));
        Scrape(self.http.get(url).send().await.unwrap().text().await.unwrap())
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, format!("http://{}{path}", self.serve.http_addr))
    }

    fn retrieve(&self) -> RequestBuilder {
        let body = json!({ "api_key": self.public_key, "email": EMAIL });
        self.request(Method::POST, RETRIEVE)
            .header("content-type", "application/json")
            .body(body.to_string())
    }

    fn delete(&self) -> RequestBuilder {
        let body = json!({ "api_key": self.public_key, "user_id": self.user_id });
        self.request(Method::POST, "/api/external/v1/users/delete")
            .header("content-type", "application/json")
            .body(body.to_string())
    }

    fn feedier(&self, method: Method, path: &str) -> RequestBuilder {
        self.request(method, path).bearer_auth(&self.directory_key)
    }

    fn thebridge(&self, method: Method, path: &str) -> RequestBuilder {
        self.request(method, path)
            .header("x-api-key", &self.directory_key)
            .header("x-tenant-id", &self.organization)
    }

    async fn channel(&self) -> Channel {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.serve.grpc_addr));
        endpoint.unwrap().connect().await.unwrap()
    }

    async fn users(&self) -> UserServiceClient<Channel> {
        UserServiceClient::new(self.channel().await)
    }
}

/// What a server has logged.
struct Log(TempDir, PathBuf);

impl Log {
    /// All of it, once the server has ended.
    fn of(&self, mut world: World) -> String {
        world.serve.process.terminate();
        assert!(world.serve.process.wait().success());
        assert!(self.0.path().exists());
        fs::read_to_string(&self.1).unwrap()
    }
}

/// What `GET /metrics` has answered.
struct Scrape(String);

impl Scrape {
    /// Series, as they are written, and their values.
    fn series(&self) -> impl Iterator<Item = (&str, f64)> {
        let lines = self.0.lines().filter(|line| !line.starts_with('#'));
        lines.filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            Some((series, value.parse().ok()?))
        })
    }

    /// The value of the series with this name and all these labels, each as `name="value"`; 0 if there is none.
    fn value(&self, name: &str, labels: &[&str]) -> f64 {
        let found = self.series().find(|(series, _)| {
            let (its, rest) = series.split_once('{').unwrap_or((series, ""));
            its == name && labels.iter().all(|label| rest.contains(label))
        });
        found.map_or(0.0, |(_, value)| value)
    }

    /// Names of what is exposed, those of histograms with their suffixes.
    fn names(&self) -> Vec<&str> {
        let name = |series: &str| series.find('{').unwrap_or(series.len());
        self.series().map(|(series, _)| &series[..name(series)]).collect()
    }
}
