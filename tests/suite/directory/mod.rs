//! What internal services and operators call, as clients of theirs see it.

mod admin;
mod bad_input;
mod credentials;
mod events;
mod exports;
mod facets;
mod keys;
mod lists;
mod maintenance;
mod members;
mod numbered;
mod scopes;
mod secrets;
mod sessions;
mod teams;
mod transfers;
mod watches;

use tonic::{Code, Request, Status, transport::Channel};
use tonic_types::StatusExt as _;

use crate::support::{
    TestApp,
    proto::{
        admin_v1::{
            api_key_service_client::ApiKeyServiceClient,
            organization_service_client::OrganizationServiceClient,
        },
        directory_v1::{
            event_service_client::EventServiceClient, member_service_client::MemberServiceClient,
            team_service_client::TeamServiceClient,
        },
    },
    with_key,
};

impl TestApp {
    fn organizations(&self) -> OrganizationServiceClient<Channel> {
        OrganizationServiceClient::new(self.channel())
    }

    fn api_keys(&self) -> ApiKeyServiceClient<Channel> {
        ApiKeyServiceClient::new(self.channel())
    }

    fn members(&self) -> MemberServiceClient<Channel> {
        MemberServiceClient::new(self.channel())
    }

    fn events(&self) -> EventServiceClient<Channel> {
        EventServiceClient::new(self.channel())
    }

    fn teams(&self) -> TeamServiceClient<Channel> {
        TeamServiceClient::new(self.channel())
    }
}

/// A request that carries a key and tells its repetition.
fn once<T>(message: T, key: &str, token: &str) -> Request<T> {
    let mut request = with_key(message, key);
    request
        .metadata_mut()
        .insert("idempotency-key", token.parse().unwrap());
    request
}

fn assert_status<T: std::fmt::Debug>(result: Result<T, Status>, code: Code, reason: &str) {
    let status = result.unwrap_err();
    let info = status.get_details_error_info().expect("every error has one");
    assert_eq!(
        (status.code(), info.reason.as_str()),
        (code, reason),
        "{status:?}"
    );
}

/// The fields that a request's faults are in.
fn faults<T: std::fmt::Debug>(result: Result<T, Status>) -> Vec<String> {
    let status = result.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    let request = status.get_details_bad_request().expect("faults are listed");
    request
        .field_violations
        .into_iter()
        .map(|violation| violation.field)
        .collect()
}
