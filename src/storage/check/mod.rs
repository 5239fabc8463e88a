//! Whether what is stored fits together: what SQL can say about rows that refer to each other, are counted, or are kept twice.
//!
//! To add a rule: a line in `rules`, which both engines run, or in the `checks.rs` of the engine that alone keeps
//! what it is about; and its damage in `tests/suite/check.rs`.

mod rules;

use std::fmt;

use serde::Serialize;

use super::{OpenError, postgres, sqlite};
use crate::domain::OrganizationId;

pub(super) use self::rules::{RULES, Rule};

/// Most findings of one rule. That there are more is another one.
pub(super) const MOST: usize = 100;

/// Something that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule that it breaks.
    pub check: &'static str,
    /// Whose rows it is about, if they are somebody's.
    #[serde(serialize_with = "id")]
    pub organization_id: Option<OrganizationId>,
    /// What it is, without a name or an address of anybody.
    pub finding: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.check)?;
        if let Some(id) = self.organization_id {
            write!(f, "organization {id}: ")?;
        }
        f.write_str(&self.finding)
    }
}

#[expect(clippy::ref_option, reason = "serde calls it")]
fn id<S: serde::Serializer>(id: &Option<OrganizationId>, serializer: S) -> Result<S::Ok, S::Error> {
    match id {
        Some(id) => serializer.collect_str(id),
        None => serializer.serialize_none(),
    }
}

/// Is told how many of how many rules have been looked at.
pub type Tell<'t> = &'t (dyn Fn(u64, u64) + Send + Sync);

/// Checks the database at a URL, which is only read. Servers may write to it meanwhile: what is looked at is one moment of
/// it. Nothing: all is well. Where the file itself is damaged, nothing else is looked at.
///
/// # Errors
///
/// As [`OpenError`] says: it could not be looked at.
pub async fn check(url: &str, tell: Tell<'_>) -> Result<Vec<Finding>, OpenError> {
    match url.split_once(':') {
        Some(("sqlite", _)) => sqlite::check(url, tell).await,
        Some(("postgres" | "postgresql", _)) => {
            // Boxed, because it is large and waits for the network anyway.
            Box::pin(postgres::check(url, tell)).await
        }
        _ => Err(OpenError::UnknownEngine),
    }
}
