//! What a gRPC server says of itself: health and reflection.

use std::{error::Error, time::Duration};

use tokio::time::timeout;
use tokio_stream::StreamExt as _;
use tonic::Code;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use userbridge::rpc::Services;

use crate::support::{Form, TestApp};

const SERVICE: &str = "userbridge.users.v1.UserService";

/// Long enough for anything that ends at all.
const NEVER: Duration = Duration::from_secs(25);

#[tokio::test]
async fn health_is_told_for_each_service_and_for_all() {
    let app = TestApp::start(Form::Embedded).await;
    let mut health = HealthClient::new(app.channel());
    for service in ["", SERVICE] {
        let service = service.to_owned();
        let response = health.check(HealthCheckRequest { service }).await.unwrap();
        assert_eq!(response.into_inner().status(), ServingStatus::Serving);
    }
    let service = "userbridge.users.v1.Nothing".to_owned();
    let status = health.check(HealthCheckRequest { service }).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
}

#[tokio::test]
async fn health_says_not_serving_before_the_server_stops() {
    let app = TestApp::start(Form::Embedded).await;
    let mut health = HealthClient::new(app.channel());
    let service = SERVICE.to_owned();
    let mut watch = health
        .watch(HealthCheckRequest { service })
        .await
        .unwrap()
        .into_inner();
    let first = watch.next().await.unwrap().unwrap();
    assert_eq!(first.status(), ServingStatus::Serving);
    let stopping = tokio::spawn(app.shutdown());
    let second = timeout(NEVER, watch.next())
        .await
        .expect("it hangs")
        .unwrap()
        .unwrap();
    assert_eq!(second.status(), ServingStatus::NotServing);
    drop(watch);
    timeout(NEVER, stopping).await.expect("it hangs").unwrap();
}

#[tokio::test]
async fn health_says_not_serving_until_the_directory_is_there() -> Result<(), Box<dyn Error>> {
    let app = TestApp::start(Form::Embedded).await;
    let services = Services::new().await;
    let mut health = HealthClient::new(services.routes()?);
    for (expected, ready) in [(ServingStatus::NotServing, true), (ServingStatus::Serving, false)] {
        for service in ["", SERVICE] {
            let service = service.to_owned();
            let response = health.check(HealthCheckRequest { service }).await?;
            assert_eq!(response.into_inner().status(), expected);
        }
        if ready {
            services.ready(app.directory().clone()).await;
        }
    }
    Ok(())
}

/// Both versions of the protocol have the same messages under different names.
macro_rules! reflection_lists_the_services {
    ($name:ident, $version:ident) => {
        #[tokio::test]
        async fn $name() {
            use tonic_reflection::pb::$version::{
                ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
                server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
            };
            let app = TestApp::start(Form::Embedded).await;
            let mut client = ServerReflectionClient::new(app.channel());
            let requests = [
                MessageRequest::ListServices(String::new()),
                MessageRequest::FileContainingSymbol(SERVICE.to_owned()),
            ]
            .map(|request| ServerReflectionRequest {
                host: String::new(),
                message_request: Some(request),
            });
            let responses = client
                .server_reflection_info(tokio_stream::iter(requests))
                .await
                .unwrap();
            let mut responses = responses.into_inner();
            let mut next = async || {
                responses
                    .next()
                    .await
                    .unwrap()
                    .unwrap()
                    .message_response
                    .unwrap()
            };
            let MessageResponse::ListServicesResponse(list) = next().await else {
                panic!("no list of services")
            };
            let services: Vec<_> = list
                .service
                .iter()
                .map(|service| service.name.as_str())
                .collect();
            for service in [
                SERVICE,
                "grpc.health.v1.Health",
                concat!(
                    "grpc.reflection.",
                    stringify!($version),
                    ".ServerReflection"
                ),
            ] {
                assert!(
                    services.contains(&service),
                    "{service} is not in {services:?}"
                );
            }
            let MessageResponse::FileDescriptorResponse(file) = next().await else {
                panic!("no descriptor of the service")
            };
            assert!(!file.file_descriptor_proto.is_empty());
        }
    };
}
reflection_lists_the_services!(reflection_lists_the_services, v1);
reflection_lists_the_services!(the_older_reflection_lists_the_services, v1alpha);
