//! Before a method: the call is let in as often as limits allow, its key or token is judged by the headers alone, and only then a
//! message is read, no larger than the method has use for.

use std::{
    convert::Infallible,
    mem,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use tokio::time::timeout;
use tonic::{Code, Status, body::Body, server::NamedService};
use tower::Service;
use userbridge_gateway::listen::is_in_flight_limit;
use userbridge_wire::{RATE_LIMIT, RATE_LIMIT_REMAINING};

use super::{DirectoryCell, auth, status};
use crate::{
    domain::Presented,
    service::{Allowance, Area, Directory, Judgement, Shown},
};

/// The largest message of a method that [`LARGER`] does not name, in bytes. The largest valid one has 1,400, an address.
const SMALL: usize = 8 * 1024;

/// Methods with larger messages, and how large, in bytes.
const LARGER: [(&str, usize); 5] = [
    // Every text at its longest, in characters of four bytes, has 15 KiB. What is longer is told by name.
    ("/userbridge.directory.v1.MemberService/LinkMember", 64 * 1024),
    ("/userbridge.directory.v1.MemberService/UpdateMember", 64 * 1024),
    ("/userbridge.directory.v1.MemberService/ListMembers", 64 * 1024),
    // 500 ids.
    (
        "/userbridge.directory.v1.MemberService/BatchGetMembers",
        32 * 1024,
    ),
    // Ten thousand ids.
    (
        "/userbridge.directory.v1.TeamService/SetTeamMembers",
        LARGEST_MESSAGE,
    ),
];

/// Methods that take no key, beside those of a service that takes none.
const BY_TOKEN: [&str; 2] = [
    "/userbridge.directory.v1.CredentialService/GetPasswordLink",
    "/userbridge.directory.v1.CredentialService/SetPassword",
];

/// The largest message of all methods, in bytes.
pub const LARGEST_MESSAGE: usize = 512 * 1024;

/// What comes before each message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// A message that takes longer to come is not read on before its key was judged, again if need be.
const PROMPT: Duration = Duration::from_secs(1);

/// When the key is judged.
#[derive(Clone, Copy)]
pub(super) enum Judged {
    /// Before the message is read, for this area.
    First(Area),
    /// The same, and the method reads its messages itself, each no larger than [`LARGEST_MESSAGE`]: many may come, for as long as
    /// the caller likes.
    Open(Area),
    /// With what the message asks about, in one look-up; the method does it. Before that if the message is no good or
    /// does not come.
    WithMessage,
}

/// Lets calls through to a service. It leaves a [`crate::service::Caller`] or a [`crate::domain::KeyDigest`] for the
/// method, depending on [`Judged`].
#[derive(Clone)]
pub(super) struct Gate<S> {
    inner: S,
    directory: DirectoryCell,
    judged: Judged,
}

impl<S> Gate<S> {
    pub(super) const fn new(inner: S, directory: DirectoryCell, judged: Judged) -> Self {
        Self {
            inner,
            directory,
            judged,
        }
    }
}

impl<S: NamedService> NamedService for Gate<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Gate<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        // The clone is as ready: no generated service ever waits.
        let mut gate = self.clone();
        Box::pin(async move {
            let answer = gate.answer(&mut request).await;
            Ok(answer.unwrap_or_else(Status::into_http))
        })
    }
}

impl<S> Gate<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    /// The request is borrowed by all that happens to it, and taken by the service within: each that owned it would make the future
    /// larger.
    async fn answer(&mut self, request: &mut Request<Body>) -> Result<Response<Body>, Status> {
        let directory = self.directory.get()?;
        let shown = auth::shown(request.headers(), request.extensions())?;
        let (presented, inner) = (shown.presented, &mut self.inner);
        let (answer, allowance) = match self.judged {
            Judged::First(area) => {
                let answering = pin!(judged_first(inner, directory, area, presented, request));
                limited(directory, shown, answering).await
            }
            Judged::Open(area) => {
                let answering = pin!(judged_open(inner, directory, area, presented, request));
                limited(directory, shown, answering).await
            }
            Judged::WithMessage => {
                let answering = pin!(judged_by_method(inner, directory, presented, request));
                limited(directory, shown, answering).await
            }
        };
        let Some(allowance) = allowance else {
            return answer;
        };
        let mut answer = answer.unwrap_or_else(Status::into_http);
        tell(allowance, answer.headers_mut());
        Ok(answer)
    }
}

/// The answer of a call that limits let in, and what is left to its key then, if it is limited.
pub(super) async fn limited<A>(
    directory: &Directory,
    shown: Shown,
    answering: Pin<&mut impl Future<Output = (Result<A, Status>, Judgement)>>,
) -> (Result<A, Status>, Option<Allowance>) {
    match directory.let_in(shown) {
        Ok(allowance) => {
            let (answer, judgement) = answering.await;
            let first = directory.judged(shown, judgement);
            (answer, allowance.or(first))
        }
        Err(error) => {
            let allowance = error.allowance();
            (Err(error.into()), allowance)
        }
    }
}

/// A call whose key is judged first.
async fn judged_first<S>(
    inner: &mut S,
    directory: &Directory,
    area: Area,
    presented: Presented,
    request: &mut Request<Body>,
) -> (Result<Response<Body>, Status>, Judgement)
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    let path = request.uri().path();
    let area = if BY_TOKEN.contains(&path) {
        Area::Tokens
    } else {
        area
    };
    let largest = largest(path);
    let judged = directory.caller(presented, area).await;
    let judgement = Judgement::from(&judged);
    let answer = async {
        let mut caller = judged?;
        let mut reading = pin!(read(mem::take(request.body_mut()), largest));
        let message = if let Ok(message) = timeout(PROMPT, reading.as_mut()).await {
            message?
        } else {
            let message = reading.await?;
            // It may have been revoked in the meantime.
            caller = directory.caller(presented, area).await?;
            message
        };
        let client = auth::client(request.extensions());
        request.extensions_mut().insert(caller.certified(client));
        *request.body_mut() = message;
        let Ok(response) = inner.call(mem::take(request)).await;
        Ok(response)
    };
    (answer.await, judgement)
}

/// A call whose key is judged first, and whose messages are left to the method.
async fn judged_open<S>(
    inner: &mut S,
    directory: &Directory,
    area: Area,
    presented: Presented,
    request: &mut Request<Body>,
) -> (Result<Response<Body>, Status>, Judgement)
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    let judged = directory.caller(presented, area).await;
    let judgement = Judgement::from(&judged);
    let answer = async {
        let client = auth::client(request.extensions());
        let caller = judged?.certified(client);
        request.extensions_mut().insert(caller);
        let Ok(response) = inner.call(mem::take(request)).await;
        Ok(response)
    };
    (answer.await, judgement)
}

/// A call whose key the method judges.
async fn judged_by_method<S>(
    inner: &mut S,
    directory: &Directory,
    presented: Presented,
    request: &mut Request<Body>,
) -> (Result<Response<Body>, Status>, Judgement)
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    let answer = async {
        let key = presented.digest;
        let largest = largest(request.uri().path());
        let mut reading = pin!(read(mem::take(request.body_mut()), largest));
        let message = match timeout(PROMPT, reading.as_mut()).await {
            Ok(Ok(message)) => message,
            Ok(Err(status)) => {
                directory.check_public_key(key).await?;
                return Err(status);
            }
            Err(_) => {
                directory.check_public_key(key).await?;
                reading.await?
            }
        };
        request.extensions_mut().insert(key);
        *request.body_mut() = message;
        let Ok(response) = inner.call(mem::take(request)).await;
        if status::is_bare(&response) {
            // No method of ours has seen it, so nobody has judged the key.
            directory.check_public_key(key).await?;
        }
        Ok(response)
    };
    let answer = answer.await;
    let code = match &answer {
        Ok(response) => status::code(response),
        Err(status) => status.code(),
    };
    (answer, judgement(code))
}

/// Of a method that judges the key itself, before anything else is said of the call.
pub(super) const fn judgement(code: Code) -> Judgement {
    match code {
        Code::Ok | Code::NotFound | Code::InvalidArgument | Code::OutOfRange | Code::Unimplemented => {
            Judgement::Good
        }
        Code::Unauthenticated => Judgement::Bad,
        _ => Judgement::Unknown,
    }
}

/// Tells the caller how often it may call.
pub(super) fn tell(allowance: Allowance, headers: &mut HeaderMap) {
    headers.insert(RATE_LIMIT, allowance.limit.into());
    headers.insert(RATE_LIMIT_REMAINING, allowance.remaining.into());
}

fn largest(path: &str) -> usize {
    let larger = LARGER.into_iter().find(|(method, _)| *method == path);
    larger.map_or(SMALL, |(_, bytes)| bytes)
}

/// The whole body, which has one message of at most so many bytes.
async fn read(mut body: Body, largest: usize) -> Result<Body, Status> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            if is_in_flight_limit(&error) {
                status::overloaded()
            } else {
                status::broken_off()
            }
        })?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > largest + PREFIX {
            return Err(status::too_large(largest));
        }
        bytes.extend_from_slice(&data);
        if announced(&bytes).is_some_and(|length| length > largest) {
            return Err(status::too_large(largest));
        }
    }
    Ok(Body::new(Full::from(bytes)))
}

/// The length of the message that begins here.
fn announced(bytes: &[u8]) -> Option<usize> {
    let (_, length) = bytes.split_first()?;
    let length = u32::from_be_bytes(*length.first_chunk()?);
    usize::try_from(length).ok()
}
