//! `GET /metrics`, of a server that is used.

#![expect(clippy::float_cmp, reason = "counts are whole numbers")]

use reqwest::Method;
use tonic::Code;

use super::{RETRIEVE, World};
use crate::support::{
    proto::users_v1::{PingRequest, RetrieveRequest, retrieve_request::By},
    with_key,
};

#[tokio::test]
async fn requests_of_every_contract_are_counted_by_route_and_how_they_ended() {
    let world = World::start(|command| command);
    for _ in 0..2 {
        assert_eq!(world.retrieve().send().await.unwrap().status(), 200);
    }
    let wrong = world
        .request(Method::POST, RETRIEVE)
        .body("{")
        .send()
        .await
        .unwrap();
    assert_eq!(wrong.status(), 422);
    assert_eq!(
        world
            .feedier(Method::GET, "/v3/users")
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
    assert_eq!(
        world
            .feedier(Method::GET, "/v3/users/77")
            .send()
            .await
            .unwrap()
            .status(),
        404
    );
    let path = format!("/account/tenant/user/{}", world.user_id);
    world
        .thebridge(Method::GET, "/account/tenant/user")
        .send()
        .await
        .unwrap();
    world.thebridge(Method::GET, &path).send().await.unwrap();
    world.request(Method::GET, "/set-password").send().await.unwrap();
    let mut users = world.users().await;
    users
        .ping(with_key(PingRequest {}, &world.public_key))
        .await
        .unwrap();
    let by = Some(By::UserId("00000000-0000-4000-8000-000000000000".to_owned()));
    let missing = users
        .retrieve(with_key(RetrieveRequest { by }, &world.public_key))
        .await;
    assert_eq!(missing.unwrap_err().code(), Code::NotFound);

    let scrape = world.scrape().await;
    let http = |dialect: &str, route: &str, method: &str, status: &str| {
        let labels = [
            format!(r#"dialect="{dialect}""#),
            format!(r#"route="{route}""#),
            format!(r#"method="{method}""#),
            format!(r#"status="{status}""#),
        ];
        let labels: Vec<_> = labels.iter().map(String::as_str).collect();
        let count = scrape.value("userbridge_http_requests_total", &labels);
        let timed = scrape.value("userbridge_http_request_duration_seconds_count", &labels[..3]);
        assert!(timed >= count, "{labels:?}");
        count
    };
    assert_eq!(http("productbridge", RETRIEVE, "POST", "2xx"), 2.0);
    assert_eq!(http("productbridge", RETRIEVE, "POST", "4xx"), 1.0);
    assert_eq!(http("feedier", "/v3/users", "GET", "2xx"), 1.0);
    assert_eq!(http("feedier", "/v3/users/{id}", "GET", "4xx"), 1.0);
    assert_eq!(http("thebridge", "/account/tenant/user", "GET", "2xx"), 1.0);
    // Who is no staff is not there.
    assert_eq!(http("thebridge", "/account/tenant/user/{id}", "GET", "4xx"), 1.0);
    let pages = ["2xx", "4xx"].map(|status| http("portal", "/set-password", "GET", status));
    assert_eq!(pages.iter().sum::<f64>(), 1.0);

    let grpc = |method: &str, code: &str| {
        let method = format!(r#"method="userbridge.{method}""#);
        let code = format!(r#"code="{code}""#);
        scrape.value("userbridge_grpc_requests_total", &[&method, &code])
    };
    // Those of the gateway, too.
    assert_eq!(grpc("users.v1.UserService/Retrieve", "OK"), 2.0);
    assert_eq!(grpc("users.v1.UserService/Retrieve", "NOT_FOUND"), 1.0);
    assert_eq!(grpc("users.v1.UserService/Ping", "OK"), 1.0);
    assert!(grpc("directory.v1.MemberService/ListMembers", "OK") >= 2.0);
    // What never happened is known as well.
    assert!(
        scrape
            .0
            .contains(r#"{method="userbridge.admin.v1.ApiKeyService/CreateApiKey",code="OK"} 0"#)
    );

    let asked = |operation: &str| {
        let operation = format!(r#"operation="{operation}""#);
        scrape.value(
            "userbridge_storage_operations_total",
            &[&operation, r#"outcome="ok""#],
        )
    };
    assert_eq!(asked("key_and_member"), 3.0);
    assert!(asked("members_counted") + asked("members") >= 2.0);
    assert!(scrape.value("userbridge_batch_size_count", &[r#"queue="lookups""#]) >= 3.0);
}

#[tokio::test]
async fn what_a_client_makes_up_is_one_label_value() {
    let world = World::start(|command| command);
    let flood = async |round: u32| {
        for number in 0..5 {
            let made_up = format!("made-up-{round}-{number}");
            let method = Method::from_bytes(format!("MADE{round}{number}").as_bytes()).unwrap();
            for path in [
                "/",
                "/v3/",
                "/v3/users/",
                "/account/",
                "/account/tenant/user/",
                "/cloud-views/",
            ] {
                let path = format!("{path}{made_up}");
                world.request(Method::GET, &path).send().await.unwrap();
                world.request(method.clone(), &path).send().await.unwrap();
            }
            let mut client = tonic::client::Grpc::new(world.channel().await);
            client.ready().await.unwrap();
            let path = format!("/userbridge.users.v1.UserService/{made_up}");
            let codec = tonic_prost::ProstCodec::<PingRequest, PingRequest>::default();
            let called = client.unary(with_key(PingRequest {}, &made_up), path.parse().unwrap(), codec);
            assert!(called.await.is_err());
        }
        world.scrape().await
    };
    let before = flood(1).await;
    let after = flood(2).await;
    assert!(!after.0.to_lowercase().contains("made"), "{}", after.0);
    assert_eq!(before.series().count(), after.series().count());
    assert_eq!(
        after.value(
            "userbridge_grpc_requests_total",
            &[r#"method="other""#, r#"code="UNIMPLEMENTED""#]
        ) + after.value(
            "userbridge_grpc_requests_total",
            &[r#"method="other""#, r#"code="UNAUTHENTICATED""#]
        ),
        10.0
    );
    let other = [
        r#"dialect="productbridge""#,
        r#"route="other""#,
        r#"method="other""#,
    ];
    assert_eq!(
        after.value("userbridge_http_request_duration_seconds_count", &other),
        10.0
    );
}

#[tokio::test]
async fn the_state_of_queues_connections_and_the_process_is_told() {
    let world = World::start(|command| command);
    assert_eq!(world.delete().send().await.unwrap().status(), 200);
    let form = "email=new@acme.example.com&role=editor&auth_method=oidc";
    let created = world.feedier(Method::POST, "/v3/users").body(form);
    let created = created.header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(created.send().await.unwrap().status(), 201);
    let scrape = world.scrape().await;
    let positive = |name: &str, labels: &[&str]| {
        assert!(
            scrape.value(name, labels) > 0.0,
            "{name} {labels:?} in {}",
            scrape.0
        );
    };
    for queue in ["lookups", "writes"] {
        positive("userbridge_queue_room", &[&format!(r#"queue="{queue}""#)]);
    }
    for queue in [
        "lookups",
        "writes",
        "short_reads",
        "long_reads",
        "password_hashes",
        "times_of_use",
    ] {
        let line = format!(r#"userbridge_queue_waiting{{queue="{queue}"}}"#);
        assert!(scrape.0.contains(&line), "{line}");
    }
    for queue in ["lookups", "writes", "revocations"] {
        positive("userbridge_batch_size_count", &[&format!(r#"queue="{queue}""#)]);
    }
    positive("userbridge_storage_rule_duration_seconds_count", &[]);
    positive("userbridge_event_log_commits_total", &[]);
    positive("userbridge_connections_open", &[r#"listener="http""#]);
    positive("userbridge_connections_accepted_total", &[r#"listener="http""#]);
    positive("userbridge_database_up", &[r#"side="reads""#]);
    positive("userbridge_database_up", &[r#"side="writes""#]);
    positive(
        "userbridge_build_info",
        &[concat!("version=\"", env!("CARGO_PKG_VERSION"), "\"")],
    );
    for name in [
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_virtual_memory_bytes",
        "process_start_time_seconds",
        "process_open_fds",
        "process_max_fds",
        "process_threads",
    ] {
        positive(name, &[]);
    }
}
