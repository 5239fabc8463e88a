//! What is measured, by name: the plan fills these rows and the goals read them.

/// Callers that keep two cores busy.
pub(crate) const MANY: usize = 128;

pub(crate) const DELETERS: usize = 64;

// Servers. The baselines have their names in `baselines`.
pub(crate) const OURS: &str = "userbridge";
pub(crate) const ALONE: &str = "userbridge, no import";
/// Rows a second, without a server in front.
pub(crate) const PGBENCH: &str = "pgbench, one row each";
pub(crate) const UNDISTURBED: &str = "userbridge, undisturbed";
pub(crate) const ONE_BY_ONE: &str = "one transaction each";
pub(crate) const IN_GROUPS: &str = "SQLite alone, 64 each";
pub(crate) const AT_SMALL: &str = "userbridge, 10,000";
pub(crate) const AT_LARGE: &str = "userbridge, 10,000,000";

// Workloads. Those of a `Protocol` are named by it.
pub(crate) const IMPORT: &str = "JSON retrieve beside an import";
pub(crate) const DELETE: &str = "durable delete";
pub(crate) const JSON_BY_SIZE: &str = "JSON retrieve by size";
pub(crate) const GRPC_BY_SIZE: &str = "gRPC retrieve by size";

/// Half by address, as the peers are asked.
pub(crate) const BESIDE_PEERS: &str = "JSON retrieve beside peers";
pub(crate) const DELETE_BESIDE_PEERS: &str = "JSON durable delete";
/// Of people whose pages are in memory.
pub(crate) const WARM: &str = "JSON retrieve, in memory";
/// Of people whose pages are not.
pub(crate) const COLD: &str = "JSON retrieve, not in memory";

/// Connections that the peers are asked over.
pub(crate) const CONNECTIONS: [usize; 4] = [1, 8, 32, MANY];

/// Callers who find everything in memory, beside one who does not.
pub(crate) const OTHERS: usize = 32;

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
