//! The rest of a body that nobody has read.
//!
//! On a connection of HTTP/1 it stands before the next request. hyper reads what of it is there when the answer is done, and else
//! closes the connection without a word, so that the client's next request breaks. So it is read here before the answer goes out:
//! up to [`MAX_DISCARDED`] bytes of the whole body, for [`PATIENCE`], and not beyond the time that a body has. Where that is not
//! enough the answer says `connection: close`.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::body::{Bytes, HttpBody};
use http::{HeaderValue, Request, Response, Version, header};
use http_body_util::BodyExt as _;
use hyper::body::{Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

use crate::body::{MAX_DISCARDED, TIMEOUT};

/// How long an answer waits for the rest of its request.
const PATIENCE: Duration = Duration::from_secs(3);

/// A body that is lent to a handler: what is left of it comes back when the handler drops it.
#[derive(Debug)]
pub struct LentBody<B> {
    /// None: it is dropped.
    rest: Option<Rest<B>>,
    /// None: nobody wants it back.
    lender: Option<oneshot::Sender<Rest<B>>>,
}

/// What is left of a body.
#[derive(Debug)]
struct Rest<B> {
    body: B,
    /// Bytes.
    read: usize,
    state: State,
    /// Until when all of it has to be there.
    deadline: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The client waits for a 100 before it sends any. hyper sends that when the body is first asked for.
    Withheld,
    Coming,
    Read,
    /// It was refused, or the client broke off.
    Broken,
}

/// Where a body that is lent comes back. None: it has no rest, whatever is done with it.
#[derive(Debug)]
pub(super) struct Loan<B>(Option<oneshot::Receiver<Rest<B>>>);

/// The request with its body lent. HTTP/2 resets a stream and not the connection, so nothing of it comes back.
pub(super) fn lend<B: HttpBody>(request: Request<B>) -> (Request<LentBody<B>>, Loan<B>) {
    let state = if request.headers().contains_key(header::EXPECT) {
        State::Withheld
    } else {
        State::Coming
    };
    let comes_back = request.version() <= Version::HTTP_11 && !request.body().is_end_stream();
    let (lender, loan) = comes_back.then(oneshot::channel).unzip();
    let request = request.map(|body| LentBody {
        rest: Some(Rest {
            body,
            read: 0,
            state,
            deadline: Instant::now() + TIMEOUT,
        }),
        lender,
    });
    (request, Loan(loan))
}

impl<B> Loan<B> {
    /// What a handler answers, once the rest of the body is read or given up.
    pub(super) fn after<F, R>(self, handler: F) -> AfterBody<F, B, R> {
        AfterBody {
            handler: Some(handler),
            loan: self.0,
            answer: None,
        }
    }
}

pin_project! {
    /// The answer to a request whose body was lent.
    pub(super) struct AfterBody<F, B, R> {
        // None: it has answered.
        #[pin]
        handler: Option<F>,
        loan: Option<oneshot::Receiver<Rest<B>>>,
        // The answer, while the rest of the body is read.
        answer: Option<Pin<Box<dyn Future<Output = Response<R>> + Send>>>,
    }
}

impl<F, B, R> Future for AfterBody<F, B, R>
where
    F: Future<Output = Result<Response<R>, Infallible>>,
    B: HttpBody<Data = Bytes> + Unpin + Send + 'static,
    R: Send + 'static,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        if let Some(handler) = this.handler.as_mut().as_pin_mut() {
            let Ok(response) = ready!(handler.poll(context));
            // With it goes what it has of the request. An answer that still reads the request is left alone.
            this.handler.set(None);
            let rest = this.loan.take().and_then(|mut loan| loan.try_recv().ok());
            let Some(rest) = rest.filter(|rest| !rest.is_end_stream()) else {
                return Poll::Ready(Ok(response));
            };
            *this.answer = Some(Box::pin(rest.then(response)));
        }
        match this.answer {
            Some(answer) => answer.as_mut().poll(context).map(Ok),
            // It was given.
            None => Poll::Pending,
        }
    }
}

impl<B: HttpBody<Data = Bytes> + Unpin> Rest<B> {
    async fn then<R>(self, mut response: Response<R>) -> Response<R> {
        if !self.discard().await {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        response
    }

    /// Reads it to its end. False: that can't be, within the bounds.
    async fn discard(mut self) -> bool {
        if self.state != State::Coming || self.is_too_large() {
            return false;
        }
        let deadline = self.deadline.min(Instant::now() + PATIENCE);
        let all = async {
            while let Some(frame) = self.frame().await {
                if frame.is_err() || self.is_too_large() {
                    return false;
                }
            }
            true
        };
        timeout_at(deadline, all).await.unwrap_or(false)
    }

    /// With what the client has announced. Of a body in chunks that is nothing.
    fn is_too_large(&self) -> bool {
        let announced = usize::try_from(self.size_hint().lower()).unwrap_or(usize::MAX);
        self.read.saturating_add(announced) > MAX_DISCARDED
    }
}

impl<B> Drop for LentBody<B> {
    fn drop(&mut self) {
        if let (Some(rest), Some(lender)) = (self.rest.take(), self.lender.take()) {
            // An error means that the connection is gone.
            let _ = lender.send(rest);
        }
    }
}

impl<B: HttpBody<Data = Bytes> + Unpin> HttpBody for LentBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match &mut self.rest {
            Some(rest) => Pin::new(rest).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.rest.as_ref().map(HttpBody::size_hint).unwrap_or_default()
    }
}

impl<B: HttpBody<Data = Bytes> + Unpin> HttpBody for Rest<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        self.state = match &polled {
            Poll::Ready(Some(Err(_))) => State::Broken,
            Poll::Ready(None) => State::Read,
            Poll::Ready(Some(Ok(_))) | Poll::Pending => State::Coming,
        };
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            self.read += frame.data_ref().map_or(0, Bytes::len);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.state == State::Read || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use axum::body::Body;
    use tokio::{sync::mpsc, time::sleep};

    use super::*;

    /// A body in chunks that come when they are sent. One that is an error ends it.
    fn body() -> (mpsc::Sender<Result<Bytes, io::Error>>, Body) {
        let (sender, mut chunks) = mpsc::channel(4);
        let chunks = futures_util::stream::poll_fn(move |context| chunks.poll_recv(context));
        (sender, Body::from_stream(chunks))
    }

    fn request(body: Body) -> Request<Body> {
        Request::new(body)
    }

    /// The answer of a handler that looks at nothing for so long, and how long it took.
    async fn ignored(request: Request<Body>, for_long: Duration) -> (Response<Body>, Duration) {
        let begun = Instant::now();
        let (request, loan) = lend(request);
        let handler = async move {
            sleep(for_long).await;
            drop(request);
            Ok(Response::new(Body::empty()))
        };
        let Ok(response) = loan.after(Box::pin(handler)).await;
        (response, begun.elapsed())
    }

    fn is_last<R>(response: &Response<R>) -> bool {
        response
            .headers()
            .get(header::CONNECTION)
            .is_some_and(|value| value == "close")
    }

    #[tokio::test(start_paused = true)]
    async fn the_rest_of_a_body_is_awaited_but_not_for_long() {
        let (sender, late) = body();
        tokio::spawn(async move {
            sleep(Duration::from_secs(1)).await;
            sender.send(Ok(Bytes::from_static(b"{}"))).await.unwrap();
            sleep(Duration::from_secs(1)).await;
        });
        let (response, took) = ignored(request(late), Duration::ZERO).await;
        assert_eq!((is_last(&response), took.as_secs()), (false, 2));
        for (answered_after, awaited) in [(0, PATIENCE.as_secs()), (29, 1), (31, 0)] {
            let (_sender, never) = body();
            let (response, took) = ignored(request(never), Duration::from_secs(answered_after)).await;
            assert!(is_last(&response));
            assert_eq!(took.as_secs(), answered_after + awaited, "{answered_after}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_is_broken_off_or_too_large_is_the_last_of_its_connection() {
        let megabyte = || Ok(Bytes::from(vec![b'x'; MAX_DISCARDED]));
        for (chunks, last) in [
            (vec![megabyte()], false),
            (vec![megabyte(), Ok(Bytes::from_static(b"x"))], true),
            (vec![Err(io::ErrorKind::ConnectionReset.into())], true),
        ] {
            let (sender, chunked) = body();
            for chunk in chunks {
                sender.send(chunk).await.unwrap();
            }
            drop(sender);
            let (response, took) = ignored(request(chunked), Duration::ZERO).await;
            assert_eq!((is_last(&response), took), (last, Duration::ZERO));
        }
        // What is announced is not awaited. What the handler has read counts.
        let announced = request(Body::from(vec![b'x'; MAX_DISCARDED + 1]));
        assert!(is_last(&ignored(announced, Duration::ZERO).await.0));
        let (sender, chunked) = body();
        sender.send(megabyte()).await.unwrap();
        sender.send(Ok(Bytes::from_static(b"x"))).await.unwrap();
        let (mut begun, loan) = lend(request(chunked));
        let handler = async move {
            assert!(begun.body_mut().frame().await.is_some());
            Ok::<_, Infallible>(Response::new(()))
        };
        let Ok(response) = loan.after(Box::pin(handler)).await;
        assert!(is_last(&response));
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_to_be_told_to_send_its_body_is_answered_at_once() {
        let expects = |body| {
            let mut request = request(body);
            let expect = HeaderValue::from_static("100-continue");
            request.headers_mut().insert(header::EXPECT, expect);
            request
        };
        let (_sender, withheld) = body();
        let (response, took) = ignored(expects(withheld), Duration::ZERO).await;
        assert_eq!((is_last(&response), took), (true, Duration::ZERO));
        // It was told.
        let (sender, asked) = body();
        sender.send(Ok(Bytes::from_static(b"{"))).await.unwrap();
        sender.send(Ok(Bytes::from_static(b"}"))).await.unwrap();
        drop(sender);
        let (mut asked, loan) = lend(expects(asked));
        let handler = async move {
            assert!(asked.body_mut().frame().await.is_some());
            Ok::<_, Infallible>(Response::new(()))
        };
        let Ok(response) = loan.after(Box::pin(handler)).await;
        assert!(!is_last(&response));
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_done_where_there_is_no_rest_or_no_next_request_behind_it() {
        let (_sender, never) = body();
        let mut second = request(never);
        *second.version_mut() = Version::HTTP_2;
        let (response, took) = ignored(second, Duration::ZERO).await;
        assert_eq!((is_last(&response), took), (false, Duration::ZERO));

        let (read, loan) = lend(request(Body::from("{}")));
        let handler = async move {
            let bytes = read.into_body().collect().await.unwrap().to_bytes();
            Ok::<_, Infallible>(Response::new(bytes))
        };
        let Ok(response) = loan.after(Box::pin(handler)).await;
        assert!(!is_last(&response));
        assert_eq!(response.into_body(), "{}");
    }
}
