//! What ours is compared with: the stack itself with a constant answer, and the plain way to use `sqlx`.
//!
//! Each runs in a process of its own with the same allocator and the same number of threads as ours.

use std::{
    io::{self, Read as _},
    net::{Ipv4Addr, SocketAddr},
    process, thread,
};

use axum::{
    Router,
    body::Bytes,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::post,
};
use clap::ValueEnum;
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpListener;
use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};
use userbridge_gateway::{
    Settings, Upstream,
    listen::{self, ConnectionLimit, Limits},
};

use crate::{
    Result,
    plain_pool::PlainPool,
    postgres::PostgresPool,
    proto::{
        RETRIEVE,
        server::{
            DeleteRequest, DeleteResponse, PingRequest, PingResponse, RetrieveRequest, RetrieveResponse,
            User,
            user_service_server::{UserService, UserServiceServer},
        },
    },
    seed,
    servers::{Location, Program},
};

/// The user that the constant baselines answer with: nine keys, of the size of a seeded one.
const USER: &str = r#"{"id":"01941f29-7c00-7b0c-9c3e-5a1f0c9f1d11","user_id":"01941f29-7c00-7d2a-8f4e-0b6b8c1d2e3f","email":"5d3c1a2b.123456@example.com","name":"Given Family 1735813056000","avatar_url":"https://cdn.example.com/avatars/01941f29-7c00-7d2a-8f4e-0b6b8c1d2e3f.png","portal_role":"end_user","company_name":"Company 456","customer_status":"paying","created_at":"2025-01-01T00:00:00.000Z"}"#;

/// A server to compare with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Baseline {
    /// A bare axum handler that parses the body and answers a constant.
    Axum,
    /// A bare tonic unary that answers a constant.
    Tonic,
    /// Our gateway, with an upstream in the same process that answers a constant.
    Constant,
    /// gRPC that asks a pool of four connections, one statement for each request, and writes one transaction for each.
    PlainPool,
    /// gRPC and JSON that ask a pool of ten connections to PostgreSQL, and write one transaction for each request.
    PostgresPool,
}

impl Baseline {
    const fn name(self) -> &'static str {
        match self {
            Self::Axum => "axum",
            Self::Tonic => "tonic",
            Self::Constant => "constant",
            Self::PlainPool => "plain-pool",
            Self::PostgresPool => "postgres-pool",
        }
    }

    /// Its name in the report.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Axum => "bare axum echo",
            Self::Tonic => "bare tonic echo",
            Self::Constant => "our gateway, constant upstream",
            Self::PlainPool | Self::PostgresPool => "plain sqlx pool",
        }
    }

    pub(crate) fn start(self, database: &Location) -> Result<Program> {
        Program::part(&["baseline", self.name()], database)
    }

    /// Serves until standard input ends.
    pub(crate) async fn serve(self, database: &str) -> Result<()> {
        thread::spawn(|| {
            // An error is an end as well.
            let _ = io::stdin().read_to_end(&mut Vec::new());
            process::exit(0);
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        match self {
            Self::Axum => {
                announce("http_addr", addr);
                let listener = axum::serve::ListenerExt::tap_io(listener, |stream| {
                    // Ours does the same; an error shows in the numbers.
                    let _ = stream.set_nodelay(true);
                });
                axum::serve(listener, Router::new().route(RETRIEVE, post(echo))).await?;
            }
            Self::Constant => {
                announce("http_addr", addr);
                json(listener, UserServiceServer::new(Constant::new()?)).await;
            }
            Self::Tonic => {
                announce("grpc_addr", addr);
                grpc(listener, UserServiceServer::new(Constant::new()?)).await?;
            }
            Self::PlainPool => {
                let service = UserServiceServer::new(PlainPool::open(&seed::durable(database)?).await?);
                announce("grpc_addr", addr);
                grpc(listener, service).await?;
            }
            Self::PostgresPool => {
                let service = UserServiceServer::new(PostgresPool::open(database).await?);
                let http = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
                println!(
                    "{}",
                    json!({ "grpc_addr": addr, "http_addr": http.local_addr()? })
                );
                tokio::spawn(json(http, service.clone()));
                grpc(listener, service).await?;
            }
        }
        Ok(())
    }
}

async fn grpc<S: UserService>(listener: TcpListener, service: UserServiceServer<S>) -> Result<()> {
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    Ok(Server::builder()
        .add_service(service)
        .serve_with_incoming(incoming)
        .await?)
}

/// Our gateway, with the service in the same process.
async fn json<S: UserService>(listener: TcpListener, service: UserServiceServer<S>) {
    let upstream = Upstream::in_process(service);
    listen::serve(
        listener,
        userbridge_gateway::router(upstream, &Settings::default()),
        Limits::new(ConnectionLimit::new(4096)),
        std::future::pending(),
    )
    .await;
}

fn announce(name: &str, addr: SocketAddr) {
    println!("{}", json!({ name: addr }));
}

/// The body of a request, as serde reads it.
#[derive(Deserialize)]
struct Body<'a> {
    api_key: &'a str,
    user_id: Option<&'a str>,
    email: Option<&'a str>,
}

async fn echo(body: Bytes) -> impl IntoResponse {
    let understood = serde_json::from_slice::<Body<'_>>(&body)
        .is_ok_and(|body| !body.api_key.is_empty() && body.user_id.is_some() != body.email.is_some());
    let status = if understood {
        StatusCode::OK
    } else {
        StatusCode::UNPROCESSABLE_ENTITY
    };
    (status, [(header::CONTENT_TYPE, "application/json")], USER)
}

struct Constant(User);

impl Constant {
    fn new() -> Result<Self> {
        #[derive(Deserialize)]
        struct Fields {
            id: String,
            user_id: String,
            email: String,
            name: String,
            avatar_url: String,
            portal_role: String,
            company_name: String,
            customer_status: String,
        }
        let fields: Fields = serde_json::from_str(USER)?;
        Ok(Self(User {
            id: fields.id,
            user_id: fields.user_id,
            email: Some(fields.email),
            name: Some(fields.name),
            avatar_url: Some(fields.avatar_url),
            portal_role: fields.portal_role,
            company_name: Some(fields.company_name),
            customer_status: Some(fields.customer_status),
            created_at: Some(prost_types::Timestamp {
                seconds: 1_735_689_600,
                nanos: 0,
            }),
        }))
    }
}

#[tonic::async_trait]
impl UserService for Constant {
    async fn retrieve(
        &self,
        request: Request<RetrieveRequest>,
    ) -> std::result::Result<Response<RetrieveResponse>, Status> {
        if request.into_inner().by.is_none() {
            return Err(Status::invalid_argument("by"));
        }
        Ok(Response::new(RetrieveResponse {
            user: Some(self.0.clone()),
        }))
    }

    async fn delete(
        &self,
        _: Request<DeleteRequest>,
    ) -> std::result::Result<Response<DeleteResponse>, Status> {
        Err(Status::unimplemented("delete"))
    }

    async fn ping(&self, _: Request<PingRequest>) -> std::result::Result<Response<PingResponse>, Status> {
        Err(Status::unimplemented("ping"))
    }
}
