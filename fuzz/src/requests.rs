//! Whole requests: paths, queries, headers, forms.

use axum::body::Body;
use http::{Method, Request, Uri};

use crate::{
    Tried,
    world::{Answer, with_world},
};

/// Headers of a request at most.
const HEADERS: usize = 16;

/// What stands in texts of an input and must not come back in a page as it is.
const MARKUP: &str = "<i>";

/// What is neither a dialect's nor a page of the portal.
const PLAIN: [&str; 3] = ["/", "/healthz", "/readyz"];

/// An input is a request as HTTP/1.1 has it, whose lines may end without a carriage return. No answer is a server error; those
/// of the dialects are JSON, and those of the pages never have the input's markup.
pub fn requests(input: &[u8]) -> Tried {
    let answer = with_world(|world| {
        let input = world.filled_in(input);
        let request = parsed(&input)?;
        let (path, is_head) = (request.uri().path().to_owned(), request.method() == Method::HEAD);
        Some((path, is_head, world.send(request)))
    });
    let Some((path, is_head, answer)) = answer else {
        return Tried::NoInput;
    };
    assert!(!answer.status.is_server_error(), "{answer:?}");
    if path.starts_with("/cloud-views") || path == "/set-password" {
        is_page(&answer);
    } else if !(is_head || answer.body.is_empty() || path.starts_with("/docs") || PLAIN.contains(&&*path)) {
        answer.assert_is_json();
    }
    Tried::Yes
}

fn is_page(answer: &Answer) {
    if !answer.header("content-type").starts_with("text/html") {
        return;
    }
    let policy = answer.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none';"), "{answer:?}");
    let page = str::from_utf8(&answer.body).unwrap();
    assert!(!page.contains(MARKUP), "{page}");
}

fn parsed(input: &[u8]) -> Option<Request<Body>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut head = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(length) = head.parse(input).ok()? else {
        return None;
    };
    let mut request = Request::builder()
        .method(head.method?)
        .uri(Uri::try_from(head.path?).ok()?);
    for header in &*head.headers {
        request = request.header(header.name, header.value);
    }
    request.body(Body::from(input[length..].to_vec())).ok()
}
