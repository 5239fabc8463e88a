//! What is measured, by name: the plan fills these rows and the goals read them.

/// Callers that keep two cores busy.
pub(crate) const MANY: usize = 128;

pub(crate) const DELETERS: usize = 64;

// Servers. The baselines have their names in `baselines`.
pub(crate) const OURS: &str = "userbridge";
pub(crate) const ALONE: &str = "userbridge, no import";
/// Rows a second, without a server in front.
pub(crate) const PGBENCH: &str = "pgbench, one row each";
pub(crate) const ONE_BY_ONE: &str = "one transaction each";
pub(crate) const AT_SMALL: &str = "userbridge, 10,000";
pub(crate) const AT_LARGE: &str = "userbridge, 10,000,000";

// Workloads. Those of a `Protocol` are named by it.
pub(crate) const IMPORT: &str = "JSON retrieve beside an import";
pub(crate) const DELETE: &str = "durable delete";
pub(crate) const JSON_BY_SIZE: &str = "JSON retrieve by size";
pub(crate) const GRPC_BY_SIZE: &str = "gRPC retrieve by size";

#[derive(Clone, Copy)]
pub(crate) enum Protocol {
    Json,
    Grpc,
}

impl Protocol {
    pub(crate) const fn retrieve(self) -> &'static str {
        match self {
            Self::Json => "JSON retrieve",
            Self::Grpc => "gRPC retrieve",
        }
    }

    pub(crate) const fn open(self) -> &'static str {
        match self {
            Self::Json => "JSON retrieve, open loop at half",
            Self::Grpc => "gRPC retrieve, open loop at half",
        }
    }
}
