//! Changes: rules that run on a transaction.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures_util::future::BoxFuture;

use super::{
    ApiKeyWrites, CredentialWrites, EventWrites, IdempotencyWrites, MailWrites, MemberWrites,
    OrganizationWrites, Result as Stored, Storage, StoreError, TeamWrites,
};
use crate::domain::OrganizationId;

/// What rules are made of: small reads and writes inside one transaction. Each sees what those before it wrote. A rule that
/// got an error of one of them fails, or undoes the part in which it did: an engine may have lost the transaction.
pub trait Transaction:
    OrganizationWrites
    + ApiKeyWrites
    + MemberWrites
    + TeamWrites
    + EventWrites
    + IdempotencyWrites
    + CredentialWrites
    + MailWrites
    + Savepoints
    + Send
{
}

/// Parts of a transaction that are undone alone. One is open at a time.
#[async_trait]
pub trait Savepoints {
    /// Begins a part.
    async fn begin_part(&mut self) -> Stored<()>;

    /// Ends it. What it did is as if there had been no part, or has not happened.
    async fn end_part(&mut self, verdict: Verdict) -> Stored<()>;
}

impl<T> Transaction for T where
    T: OrganizationWrites
        + ApiKeyWrites
        + MemberWrites
        + TeamWrites
        + EventWrites
        + IdempotencyWrites
        + CredentialWrites
        + MailWrites
        + Savepoints
        + Send
{
}

/// A rule with what it is given. It borrows that, because it may run again.
pub type Rule<I, T, E> = for<'t> fn(&'t mut dyn Transaction, &'t I) -> BoxFuture<'t, Result<T, E>>;

/// What is to become of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All of it happens.
    Commit,
    /// Nothing of it happens.
    Undo,
}

/// What an engine runs in a transaction.
#[async_trait]
pub trait Work: Send + Sync {
    /// Each time it begins anew.
    async fn run(&self, transaction: &mut dyn Transaction) -> Verdict;
}

/// A rule, and what came of its last run.
struct Run<I, T, E> {
    input: I,
    rule: Rule<I, T, E>,
    result: Arc<Mutex<Option<Result<T, E>>>>,
}

#[async_trait]
impl<I: Send + Sync, T: Send, E: Send> Work for Run<I, T, E> {
    async fn run(&self, transaction: &mut dyn Transaction) -> Verdict {
        let result = (self.rule)(transaction, &self.input).await;
        let verdict = if result.is_ok() {
            Verdict::Commit
        } else {
            Verdict::Undo
        };
        *self.result.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        verdict
    }
}

impl dyn Storage + '_ {
    /// Makes a change of an organization by a rule and returns when it is on disk. If the rule fails, nothing of it has
    /// happened. No organization: it is about none, or about many and reads nothing that it relies on.
    ///
    /// # Errors
    ///
    /// Those of the rule, and those of [`Storage::transact`].
    pub async fn write<I, T, E>(
        &self,
        organization: impl Into<Option<OrganizationId>>,
        input: I,
        rule: Rule<I, T, E>,
    ) -> Result<T, E>
    where
        I: Send + Sync + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let result = Arc::default();
        let run = Run {
            input,
            rule,
            result: Arc::clone(&result),
        };
        self.transact(organization.into(), Box::new(run)).await?;
        let result = result.lock().unwrap_or_else(PoisonError::into_inner).take();
        result.unwrap_or_else(|| Err(StoreError::Closed.into()))
    }
}
