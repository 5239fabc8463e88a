//! Messages of gRPC.

use http::{Request, uri::PathAndQuery};
use http_body_util::{BodyExt as _, Full};
use tonic::{Code, Status, body::Body};
use tonic_types::StatusExt as _;
use tower::ServiceExt as _;

use crate::{
    Tried,
    world::{World, with_world},
};

/// What is decoded and tried: the methods of the directory.
const PACKAGES: &str = "/userbridge.";

/// An input is the path of a method, a line feed, and a message. The answer is a message or an error that is the caller's, with a
/// reason.
pub fn messages(input: &[u8]) -> Tried {
    let Some(end) = input.iter().position(|byte| *byte == b'\n') else {
        return Tried::NoInput;
    };
    let (path, message) = (&input[..end], &input[end + 1..]);
    let path = str::from_utf8(path)
        .ok()
        .and_then(|path| path.parse::<PathAndQuery>().ok());
    let Some(path) = path.filter(|path| path.as_str().starts_with(PACKAGES)) else {
        return Tried::NoInput;
    };
    let status = with_world(|world| {
        let message = world.filled_in(message);
        world.run(call(world, &path, &message))
    });
    let Some(status) = status.filter(|status| status.code() != Code::Ok) else {
        return Tried::Yes;
    };
    let info = status
        .get_details_error_info()
        .unwrap_or_else(|| panic!("{path}: {status:?}"));
    assert_eq!(info.domain, "userbridge", "{path}: {status:?}");
    match status.code() {
        // As the library answers what it can't decode.
        Code::Internal => assert_eq!(info.reason, "MALFORMED_MESSAGE", "{path}: {status:?}"),
        Code::Unknown | Code::DataLoss | Code::DeadlineExceeded | Code::Unavailable | Code::Cancelled => {
            panic!("{path}: {status:?}")
        }
        _ => {}
    }
    Tried::Yes
}

/// How a call ends. None: it is a stream that does not.
async fn call(world: &World, path: &PathAndQuery, message: &[u8]) -> Option<Status> {
    let mut framed = vec![0];
    framed.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
    framed.extend_from_slice(message);
    let key = if path.as_str().contains("UserService") {
        &world.public_key
    } else if path.as_str().contains("SessionService") {
        &world.session
    } else {
        &world.key
    };
    let mut request = Request::post(path.as_str())
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("authorization", format!("Bearer {key}"));
    if path.as_str().contains("directory") && *key == world.key {
        request = request.header("x-organization-id", &world.organization);
    }
    let request = request.body(Body::new(Full::from(framed))).unwrap();
    let answer = world.grpc.clone().oneshot(request).await.unwrap();
    let status = Status::from_header_map(answer.headers());
    if status.is_some() || path.path().ends_with("/WatchEvents") {
        return status;
    }
    let body = answer.into_body().collect().await.unwrap();
    Status::from_header_map(body.trailers()?)
}
