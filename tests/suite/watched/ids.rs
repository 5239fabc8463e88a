//! The ids of requests.

use reqwest::Method;
use tonic_types::StatusExt as _;

use super::{RETRIEVE, World};
use crate::support::{proto::users_v1::PingRequest, with_key};

const ID: &str = "x-request-id";

#[tokio::test]
async fn a_request_keeps_the_id_of_its_caller_or_gets_one() {
    let world = World::start(|command| command);
    let paths = [
        RETRIEVE,
        "/v3/users",
        "/account/tenant/user",
        "/set-password",
        "/nowhere",
    ];
    for path in paths {
        let sent = world.request(Method::GET, path).header(ID, "mine-1");
        assert_eq!(sent.send().await.unwrap().headers()[ID], "mine-1", "{path}");
        let mut made = Vec::new();
        for bad in [
            None,
            Some("has a blank"),
            Some("pb_0123456789012345678901234567890123456789012"),
        ] {
            let request = world.request(Method::GET, path);
            let request = bad
                .into_iter()
                .fold(request, |request, id| request.header(ID, id));
            let answer = request.send().await.unwrap();
            let id = answer.headers()[ID].to_str().unwrap().to_owned();
            assert_ne!(Some(id.as_str()), bad);
            assert!(!made.contains(&id));
            made.push(id);
        }
    }
}

#[tokio::test]
async fn an_error_of_grpc_names_the_request() {
    let world = World::start(|command| command);
    let mut users = world.users().await;
    let mut request = with_key(PingRequest {}, "pb_unknown");
    request.metadata_mut().insert(ID, "mine-2".parse().unwrap());
    let error = users.ping(request).await.unwrap_err();
    assert_eq!(error.metadata().get(ID).unwrap(), "mine-2");
    assert_eq!(error.get_details_request_info().unwrap().request_id, "mine-2");
    let answer = users
        .ping(with_key(PingRequest {}, &world.public_key))
        .await
        .unwrap();
    assert!(answer.metadata().get(ID).is_some());
}

#[tokio::test]
async fn the_gateway_passes_the_id_on() {
    let (world, log) = World::logging(|command| {
        command
            .args(["--access-log", "on", "--log-format", "json"])
            .env("USERBRIDGE_LOG", "info")
    });
    world.retrieve().header(ID, "mine-3").send().await.unwrap();
    let log = log.of(world);
    let lines: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of_request: Vec<_> = lines
        .iter()
        .filter(|line| line["request_id"] == "mine-3")
        .collect();
    let protocols: Vec<_> = of_request.iter().map(|line| &line["protocol"]).collect();
    assert_eq!(protocols, ["grpc", "productbridge"]);
}
