//! `UserService` for the gateway of this process, called message by message. What the layers around services do for a call of
//! HTTP is done here by the same functions: it is observed, has a deadline, and its key is read from its metadata and limited.

use std::{pin::Pin, sync::Arc};

use tokio::time::timeout;
use tonic::{Code, Request, Status};
use userbridge_gateway::observe::Observer;
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

    async fn call<'a, Q, A>(
        &'a self,
        method: &Arc<Method>,
        request: Request<Q>,
        answer: impl FnOnce(&'a DirectoryCell, Request<Q>) -> Answering<'a, A>,
    ) -> Reply<A> {
        let headers = request.metadata().as_ref();
        let seen = self.observer.begin(headers, request.extensions());
        let mut call = Call::begin(Arc::clone(method), self.metrics.clone(), seen);
        let answered = call.scope(self.answer(request, answer)).await;
        call.end(answered.as_ref().err().map_or(Code::Ok, Status::code), None);
        answered
    }

    async fn answer<'a, Q, A>(
        &'a self,
        mut request: Request<Q>,
        answer: impl FnOnce(&'a DirectoryCell, Request<Q>) -> Answering<'a, A>,
    ) -> Reply<A> {
        let directory = self.directory.get()?;
        let headers = request.metadata().as_ref();
        let time = time_for(headers);
        let shown = auth::shown(headers, request.extensions())?;
        request.extensions_mut().insert(shown.presented.digest);
        let answering = async {
            let answered = timeout(time, answer(&self.directory, request)).await;
            let answered = answered.unwrap_or_else(|_| Err(status::deadline_exceeded()));
            let code = answered.as_ref().err().map_or(Code::Ok, Status::code);
            (answered, judgement(code))
        };
        let (mut answered, allowance) = limited(directory, shown, answering).await;
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

#[tonic::async_trait]
impl UserService for InProcess {
    async fn retrieve(&self, request: Request<RetrieveRequest>) -> Reply<RetrieveResponse> {
        self.call(&self.retrieve, request, DirectoryCell::retrieve).await
    }

    async fn delete(&self, request: Request<DeleteRequest>) -> Reply<DeleteResponse> {
        self.call(&self.delete, request, DirectoryCell::delete).await
    }

    async fn ping(&self, request: Request<PingRequest>) -> Reply<PingResponse> {
        self.call(&self.ping, request, DirectoryCell::ping).await
    }
}
