//! Look-ups of people at one server.

use crate::{
    Result,
    clients::{self, Check},
    load::{self, Phase},
    people::People,
    report::Sample,
    servers::Program,
    workloads::Protocol,
};

/// Look-ups at one server.
pub(crate) struct Retrieval<'a> {
    pub(crate) server: &'a Program,
    pub(crate) people: &'a People,
    pub(crate) protocol: Protocol,
    pub(crate) callers: usize,
    pub(crate) check: Check,
    pub(crate) seed: u64,
}

impl Retrieval<'_> {
    async fn json(&self) -> Result<Vec<clients::JsonCaller>> {
        clients::json(self.server.http_addr()?, self.callers, self.check, |caller| {
            self.people.lookups(self.seed << 32 | caller)
        })
        .await
    }

    async fn grpc(&self) -> Result<Vec<clients::GrpcCaller>> {
        clients::grpc(self.server.grpc_addr()?, self.callers, self.check, |caller| {
            self.people.lookups(self.seed << 32 | caller)
        })
        .await
    }

    pub(crate) async fn closed(&self, phase: Phase) -> Result<Sample> {
        match self.protocol {
            Protocol::Json => load::closed(self.json().await?, phase, Some(self.server)).await,
            Protocol::Grpc => load::closed(self.grpc().await?, phase, Some(self.server)).await,
        }
    }

    pub(crate) async fn open(&self, rate: f64, phase: Phase) -> Result<Sample> {
        match self.protocol {
            Protocol::Json => load::open(self.json().await?, rate, phase, Some(self.server)).await,
            Protocol::Grpc => load::open(self.grpc().await?, rate, phase, Some(self.server)).await,
        }
    }
}
