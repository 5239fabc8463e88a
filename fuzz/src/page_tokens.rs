//! Page tokens whose digest is right.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use tonic::{Code, Request, Status};

use crate::{
    Tried,
    proto::{
        admin_v1::{
            ListApiKeysRequest, ListOrganizationsRequest, api_key_service_client::ApiKeyServiceClient,
            organization_service_client::OrganizationServiceClient,
        },
        directory_v1::{
            ListEventsRequest, ListMembersRequest, ListTeamsRequest,
            event_service_client::EventServiceClient, member_service_client::MemberServiceClient,
            team_service_client::TeamServiceClient,
        },
    },
    world::{World, with_world},
};

/// Orders of members, each of which has a place of its own kind.
const ORDERS: [&str; 6] = [
    "",
    "name",
    "email desc",
    "role",
    "last_seen_at",
    "last_seen_at desc",
];

/// An input is the digit of a list and the JSON of a place in it, which goes into a token that is otherwise one of that list. It
/// is taken, or refused as the caller's fault.
pub fn page_tokens(input: &[u8]) -> Tried {
    let Some((which, place)) = input.split_first() else {
        return Tried::NoInput;
    };
    let Ok(place) = str::from_utf8(place) else {
        return Tried::NoInput;
    };
    with_world(|world| {
        let real = match world.run(page(world, *which, String::new())) {
            None => return Tried::NoInput,
            Some(first) => first.unwrap(),
        };
        // `[[1,2,3,4,5,6,7,8],place]`
        let real = String::from_utf8(URL_SAFE_NO_PAD.decode(&real).unwrap()).unwrap();
        let mut token = real.split_inclusive(']').next().unwrap().to_owned();
        write!(token, ",{place}]").unwrap();
        let token = URL_SAFE_NO_PAD.encode(token);
        if let Some(Err(status)) = world.run(page(world, *which, token)) {
            assert_eq!(status.code(), Code::InvalidArgument, "{place}: {status:?}");
        }
        Tried::Yes
    })
}

/// The token of the page behind the one that this token leads to. None: there is no such list.
async fn page(world: &World, which: u8, page_token: String) -> Option<Result<String, Status>> {
    let page_size = 1;
    let routes = world.grpc.clone();
    let token = match which {
        b'0' => {
            let request = ListOrganizationsRequest {
                page_size,
                page_token,
            };
            let mut client = OrganizationServiceClient::new(routes);
            let page = client.list_organizations(request_of(world, request)).await;
            page.map(|page| page.into_inner().next_page_token)
        }
        b'1' => {
            let request = ListApiKeysRequest {
                organization_id: world.organization.clone(),
                page_size,
                page_token,
            };
            let mut client = ApiKeyServiceClient::new(routes);
            let page = client.list_api_keys(request_of(world, request)).await;
            page.map(|page| page.into_inner().next_page_token)
        }
        b'2' => {
            let request = ListTeamsRequest {
                page_size,
                page_token,
            };
            let mut client = TeamServiceClient::new(routes);
            let page = client.list_teams(request_of(world, request)).await;
            page.map(|page| page.into_inner().next_page_token)
        }
        b'3' => {
            let request = ListEventsRequest {
                page_size,
                page_token,
                ..ListEventsRequest::default()
            };
            let mut client = EventServiceClient::new(routes);
            let page = client.list_events(request_of(world, request)).await;
            page.map(|page| page.into_inner().next_page_token)
        }
        order => {
            let order_by = ORDERS.get(usize::from(order.checked_sub(b'4')?))?;
            let request = ListMembersRequest {
                page_size,
                page_token,
                order_by: (*order_by).to_owned(),
                ..ListMembersRequest::default()
            };
            let mut client = MemberServiceClient::new(routes);
            let page = client.list_members(request_of(world, request)).await;
            page.map(|page| page.into_inner().next_page_token)
        }
    };
    Some(token)
}

fn request_of<T>(world: &World, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let metadata = request.metadata_mut();
    metadata.insert("authorization", format!("Bearer {}", world.key).parse().unwrap());
    metadata.insert("x-organization-id", world.organization.parse().unwrap());
    request
}
