//! What is copied: the one list of tables and columns, for both engines.

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An id.
    Uuid,
    /// Text that compares byte for byte.
    Text,
    /// A number, or a time.
    Integer,
    /// Yes or no. SQLite has 1 and 0.
    Bool,
    /// A digest, or a kept message.
    Bytes,
}

/// A table that is the same on both engines, but for columns that an engine derives from these.
#[derive(Debug)]
pub struct Table {
    /// Its name in the database.
    pub name: &'static str,
    /// How many of the first columns are the key, in whose order rows are read and written.
    pub key: usize,
    /// In the order in which checksums take them.
    pub columns: &'static [(&'static str, Kind)],
}

impl Table {
    /// The names of the columns, for a statement.
    pub(in crate::storage) fn names(&self) -> String {
        let names: Vec<_> = self.columns.iter().map(|(name, _)| *name).collect();
        names.join(", ")
    }

    /// The names of the columns of the key.
    pub(in crate::storage) fn key_names(&self) -> String {
        let names: Vec<_> = self.columns[..self.key].iter().map(|(name, _)| *name).collect();
        names.join(", ")
    }

    /// Where a column is in a row.
    pub(in crate::storage) fn position(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|(name, _)| *name == column)
    }
}

/// The numbers that were given last. Every change that has an event changes it.
pub(super) const COUNTERS: Table = Table {
    name: "organization_counters",
    key: 1,
    columns: &[
        ("organization_id", Kind::Uuid),
        ("members", Kind::Integer),
        ("teams", Kind::Integer),
        ("events", Kind::Integer),
    ],
};

/// All of them, in an order in which a row comes after those that it refers to. Members come in the order of their
/// numbers, which is the order that rows of one organization have on SQLite.
pub const TABLES: &[Table] = &[
    Table {
        name: "organizations",
        key: 1,
        columns: &[
            ("id", Kind::Uuid),
            ("slug", Kind::Text),
            ("name", Kind::Text),
            ("default_role", Kind::Text),
            ("retention_days", Kind::Integer),
            ("created_at", Kind::Integer),
            ("deleted_at", Kind::Integer),
            ("brand_name", Kind::Text),
            ("brand_logo_url", Kind::Text),
            ("brand_sender", Kind::Text),
            ("brand_locale", Kind::Text),
        ],
    },
    COUNTERS,
    Table {
        name: "members",
        key: 2,
        columns: &[
            ("organization_id", Kind::Uuid),
            ("number", Kind::Integer),
            ("id", Kind::Uuid),
            ("user_id", Kind::Uuid),
            ("email", Kind::Text),
            ("name", Kind::Text),
            ("given_name", Kind::Text),
            ("family_name", Kind::Text),
            ("avatar_url", Kind::Text),
            ("portal_role", Kind::Text),
            ("company_name", Kind::Text),
            ("customer_status", Kind::Text),
            ("locale", Kind::Text),
            ("role", Kind::Text),
            ("enabled", Kind::Bool),
            ("auth_method", Kind::Text),
            ("onboarded", Kind::Bool),
            ("source", Kind::Text),
            ("external_id", Kind::Text),
            ("primary_team", Kind::Integer),
            ("created_at", Kind::Integer),
            ("updated_at", Kind::Integer),
            ("last_seen_at", Kind::Integer),
            ("email_since", Kind::Integer),
            ("revoked_at", Kind::Integer),
            ("erased_at", Kind::Integer),
            ("version", Kind::Integer),
        ],
    },
    Table {
        name: "member_counts",
        key: 2,
        columns: &[
            ("organization_id", Kind::Uuid),
            ("role", Kind::Text),
            ("live", Kind::Integer),
        ],
    },
    Table {
        name: "former_addresses",
        key: 3,
        columns: &[
            ("organization_id", Kind::Uuid),
            ("member", Kind::Integer),
            ("version", Kind::Integer),
            ("email", Kind::Text),
            ("since", Kind::Integer),
            ("until", Kind::Integer),
        ],
    },
    Table {
        name: "teams",
        key: 2,
        columns: &[
            ("organization_id", Kind::Uuid),
            ("number", Kind::Integer),
            ("slug", Kind::Text),
            ("name", Kind::Text),
            ("created_at", Kind::Integer),
        ],
    },
    Table {
        name: "team_members",
        key: 3,
        columns: &[
            ("organization_id", Kind::Uuid),
            ("team", Kind::Integer),
            ("member", Kind::Integer),
        ],
    },
    Table {
        name: "api_keys",
        key: 2,
        columns: &[
            ("organization_id", Kind::Uuid),
            ("id", Kind::Uuid),
            ("digest", Kind::Bytes),
            ("hint", Kind::Text),
            ("scopes", Kind::Text),
            ("created_at", Kind::Integer),
            ("expires_at", Kind::Integer),
            ("superseded_at", Kind::Integer),
            ("revoked_at", Kind::Integer),
            ("last_used_at", Kind::Integer),
        ],
    },
    Table {
        name: "events",
        key: 2,
        columns: &[
            ("organization_id", Kind::Uuid),
            ("sequence", Kind::Integer),
            ("kind", Kind::Text),
            ("member_id", Kind::Uuid),
            ("user_id", Kind::Uuid),
            ("api_key_id", Kind::Uuid),
            ("team", Kind::Integer),
            ("actor", Kind::Text),
            ("client", Kind::Text),
            ("source", Kind::Text),
            ("at", Kind::Integer),
            ("fields", Kind::Text),
        ],
    },
    Table {
        name: "idempotency_keys",
        key: 3,
        columns: &[
            ("organization_id", Kind::Uuid),
            ("api_key_id", Kind::Uuid),
            ("key", Kind::Text),
            ("request", Kind::Bytes),
            ("response", Kind::Bytes),
            ("erased", Kind::Bool),
            ("at", Kind::Integer),
        ],
    },
    Table {
        name: "passwords",
        key: 2,
        columns: &[
            ("organization_id", Kind::Uuid),
            ("member", Kind::Integer),
            ("hash", Kind::Text),
            ("set_at", Kind::Integer),
        ],
    },
    Table {
        name: "tokens",
        key: 1,
        columns: &[
            ("digest", Kind::Bytes),
            ("organization_id", Kind::Uuid),
            ("member", Kind::Integer),
            ("kind", Kind::Text),
            ("created_at", Kind::Integer),
            ("expires_at", Kind::Integer),
            ("last_used_at", Kind::Integer),
        ],
    },
    Table {
        name: "mails",
        key: 2,
        columns: &[
            ("organization_id", Kind::Uuid),
            ("id", Kind::Uuid),
            ("member", Kind::Integer),
            ("kind", Kind::Text),
            ("created_at", Kind::Integer),
            ("due_at", Kind::Integer),
            ("attempts", Kind::Integer),
            ("sent_at", Kind::Integer),
            ("failed_at", Kind::Integer),
            ("error", Kind::Text),
        ],
    },
];
