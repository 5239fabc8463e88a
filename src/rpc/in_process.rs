//! `UserService` for the gateway of this process, called message by message. What the layers around services do for a call of
//! HTTP is done here by the same functions: it is observed, has a deadline, and its key is read from its metadata and limited.

use std::{
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tokio::time::timeout;
use tonic::{Code, Request, Status};
use userbridge_gateway::observe::{Observer, Scope};
use userbridge_wire::users_v1::{
    DeleteRequest, DeleteResponse, PingRequest, PingResponse, RetrieveRequest, RetrieveResponse,
    user_service_server::UserService,
};

use super::{
    DirectoryCell, Reply, auth,
    deadline::time_for,
    gate::{judgement, limited, tell},
    observed::{Call, CallMetrics, Method},
    status,
};

/// The service, and what is counted of its methods.
pub(super) struct InProcess {
    directory: DirectoryCell,
    observer: Observer,
    metrics: CallMetrics,
    retrieve: Arc<Method>,
    delete: Arc<Method>,
    ping: Arc<Method>,
}

type Answering<'a, A> = Pin<Box<dyn Future<Output = Reply<A>> + Send + 'a>>;

impl InProcess {
    pub(super) fn new(directory: DirectoryCell, observer: Observer, metrics: CallMetrics) -> Self {
        let method = |name| metrics.method(&format!("/userbridge.users.v1.UserService/{name}"));
        Self {
            retrieve: method("Retrieve"),
            delete: method("Delete"),
            ping: method("Ping"),
            directory,
            observer,
            metrics,
        }
    }

    fn call<'a, Q: 'a, A: 'a>(
        &'a self,
        method: &Arc<Method>,
        request: Request<Q>,
        answer: fn(&'a DirectoryCell, Request<Q>) -> Answering<'a, A>,
    ) -> Answering<'a, A> {
        let seen = self
            .observer
            .begin(request.metadata().as_ref(), request.extensions());
        let call = Call::begin(Arc::clone(method), self.metrics.clone(), seen);
        let answering = call.scope(self.answer(request, answer));
        Box::pin(Counted { answering, call })
    }

    /// What only its beginning needs is done before the future is made, which is smaller for it.
    fn answer<'a, Q: 'a, A: 'a>(
        &'a self,
        mut request: Request<Q>,
        answer: fn(&'a DirectoryCell, Request<Q>) -> Answering<'a, A>,
    ) -> impl Future<Output = Reply<A>> + Send + 'a {
        let headers = request.metadata().as_ref();
        let time = time_for(headers);
        let shown = auth::shown(headers, request.extensions());
        if let Ok(shown) = &shown {
            request.extensions_mut().insert(shown.presented.digest);
        }
        let answering = answer(&self.directory, request);
        async move {
            let directory = self.directory.get()?;
            let answering = async {
                let answered = timeout(time, answering).await;
                let answered = answered.unwrap_or_else(|_| Err(status::deadline_exceeded()));
                let code = answered.as_ref().err().map_or(Code::Ok, Status::code);
                (answered, judgement(code))
            };
            let (mut answered, allowance) = limited(directory, shown?, pin!(answering)).await;
            if let Some(allowance) = allowance {
                let metadata = match &mut answered {
                    Ok(response) => response.metadata_mut(),
                    Err(status) => status.metadata_mut(),
                };
                tell(allowance, metadata.as_mut());
            }
            answered
        }
    }
}

pin_project! {
    /// A call that is counted when it is answered.
    struct Counted<F> {
        #[pin]
        answering: Scope<F>,
        call: Call,
    }
}

impl<F: Future<Output = Reply<A>>, A> Future for Counted<F> {
    type Output = Reply<A>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Reply<A>> {
        let this = self.project();
        let answered = ready!(this.answering.poll(context));
        this.call
            .end(answered.as_ref().err().map_or(Code::Ok, Status::code), None);
        Poll::Ready(answered)
    }
}

/// Written out as the macro does it, without a future around the future.
impl UserService for InProcess {
    fn retrieve<'s, 'f>(&'s self, request: Request<RetrieveRequest>) -> Answering<'f, RetrieveResponse>
    where
        's: 'f,
        Self: 'f,
    {
        self.call(&self.retrieve, request, DirectoryCell::retrieve)
    }

    fn delete<'s, 'f>(&'s self, request: Request<DeleteRequest>) -> Answering<'f, DeleteResponse>
    where
        's: 'f,
        Self: 'f,
    {
        self.call(&self.delete, request, DirectoryCell::delete)
    }

    fn ping<'s, 'f>(&'s self, request: Request<PingRequest>) -> Answering<'f, PingResponse>
    where
        's: 'f,
        Self: 'f,
    {
        self.call(&self.ping, request, DirectoryCell::ping)
    }
}
