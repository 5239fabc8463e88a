//! The storage as it is observed from outside: how long each call took and how it ended. It decides nothing and hands
//! everything on.
//!
//! To observe a new operation: a variant and a name here, and its method below, which the compiler asks for.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use opentelemetry::KeyValue;
use prometheus_client::{
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::{Registry, Unit},
};
use tokio::sync::watch;
use userbridge_gateway::observe::{DURATIONS, child};

use crate::{
    domain::{
        ApiKey, ApiKeyId, Association, Change, Condition, DueMail, Event, EventQuery, HeldAddress, KeyDigest,
        Mail, MailId, MailState, Member, MemberId, MemberLookup, MemberNumber, MemberQuery, MemberRef,
        Organization, OrganizationId, PageRequest, PasswordHash, RevokedFilter, Slug, Team, TeamNumber,
        Timestamp, UserId,
    },
    storage::{
        ApiKeyStore, CredentialStore, EventLog, IdempotencyStore, KeyAndMember, Load, MailStore, MemberStore,
        OrganizationStore, Result, Storage, StoreError, TeamStore, TokenHolder, Transaction, Verdict, Work,
    },
};

/// What can be asked of a storage and takes time. Each has its name in [`NAMES`], in the same order.
#[derive(Clone, Copy, Debug)]
enum Operation {
    Organization,
    OrganizationBySlug,
    Organizations,
    ApiKey,
    ApiKeys,
    ApiKeyByDigest,
    KeyAndMember,
    Member,
    MembersById,
    Members,
    MembersCounted,
    RevokedMembers,
    RevokeUser,
    LinksOfUser,
    AddressesOfUser,
    Associations,
    RetentionDue,
    Teams,
    Events,
    Heads,
    OldestResponse,
    TokenByDigest,
    MemberAndPassword,
    FirstTokenEnd,
    Mails,
    DueMails,
    OldestSettledMail,
    Transact,
    Touch,
    Compact,
}

const NAMES: [&str; Operation::Compact as usize + 1] = [
    "organization",
    "organization_by_slug",
    "organizations",
    "api_key",
    "api_keys",
    "api_key_by_digest",
    "key_and_member",
    "member",
    "members_by_id",
    "members",
    "members_counted",
    "revoked_members",
    "revoke_user",
    "links_of_user",
    "addresses_of_user",
    "associations",
    "retention_due",
    "teams",
    "events",
    "heads",
    "oldest_response",
    "token_by_digest",
    "member_and_password",
    "first_token_end",
    "mails",
    "due_mails",
    "oldest_settled_mail",
    "transact",
    "touch",
    "compact",
];

/// How an operation ends. The last is of those whose caller went away before.
const OUTCOMES: [&str; 7] = [
    "ok",
    "conflict",
    "overloaded",
    "unavailable",
    "outcome_unknown",
    "failed",
    "aborted",
];

/// Of an operation whose caller went away.
const ABORTED: usize = OUTCOMES.len() - 1;

const fn outcome(error: &StoreError) -> usize {
    match error {
        StoreError::Conflict(_) => 1,
        StoreError::Overloaded => 2,
        StoreError::Unavailable(_) | StoreError::Closed => 3,
        StoreError::OutcomeUnknown(_) => 4,
        StoreError::LogInUse | StoreError::Corrupt(_) | StoreError::Engine(_) => 5,
    }
}

/// What is counted of a storage. All label sets are made at the start, so that counting is adding.
#[derive(Debug)]
pub(super) struct StorageMetrics {
    operations: [Counted; NAMES.len()],
    rules: Histogram,
}

#[derive(Debug)]
struct Counted {
    outcomes: [Counter; OUTCOMES.len()],
    durations: Histogram,
}

impl StorageMetrics {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let counts = Family::<[(&str, &str); 2], Counter>::default();
        let durations = Family::<[(&str, &str); 1], Histogram>::new_with_constructor(durations);
        let metrics = Self {
            operations: NAMES.map(|operation| Counted {
                outcomes: OUTCOMES.map(|outcome| {
                    counts.get_or_create_owned(&[("operation", operation), ("outcome", outcome)])
                }),
                durations: durations.get_or_create_owned(&[("operation", operation)]),
            }),
            rules: self::durations(),
        };
        registry.register(
            "storage_operations",
            "What was asked of the storage, and how it ended",
            counts,
        );
        registry.register_with_unit(
            "storage_operation_duration",
            "How long the storage took, with the time in its queues",
            Unit::Seconds,
            durations,
        );
        registry.register_with_unit(
            "storage_rule_duration",
            "How long rules ran in their transactions, without waiting and without the commit; a rule that runs again counts again",
            Unit::Seconds,
            metrics.rules.clone(),
        );
        metrics
    }

    fn count(&self, operation: Operation, outcome: usize, took: Duration) {
        if let Some(counted) = self.operations.get(operation as usize) {
            if let Some(counter) = counted.outcomes.get(outcome) {
                counter.inc();
            }
            counted.durations.observe(took.as_secs_f64());
        }
    }
}

fn durations() -> Histogram {
    Histogram::new(DURATIONS)
}

/// A storage that is observed.
pub(super) struct Observed {
    inner: Arc<dyn Storage>,
    metrics: Arc<StorageMetrics>,
}

impl Observed {
    pub(super) const fn new(inner: Arc<dyn Storage>, metrics: Arc<StorageMetrics>) -> Self {
        Self { inner, metrics }
    }

    async fn observe<T>(&self, operation: Operation, call: impl Future<Output = Result<T>>) -> Result<T> {
        let mut running = Running {
            metrics: &self.metrics,
            operation,
            started: Instant::now(),
            outcome: ABORTED,
        };
        let name = NAMES.get(operation as usize).copied().unwrap_or_default();
        let span = child(name, || vec![KeyValue::new("db.operation.name", name)]);
        let result = call.await;
        running.outcome = result.as_ref().err().map_or(0, outcome);
        if let Some(span) = span {
            let failed = result.as_ref().err().map(outcome);
            span.end(failed.and_then(|outcome| OUTCOMES.get(outcome).copied()));
        }
        result
    }
}

/// An operation, which is counted when it ends, however it does.
struct Running<'m> {
    metrics: &'m StorageMetrics,
    operation: Operation,
    started: Instant,
    outcome: usize,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.metrics
            .count(self.operation, self.outcome, self.started.elapsed());
    }
}

impl fmt::Debug for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observed")
    }
}

/// Work whose runs are observed.
struct ObservedWork {
    inner: Box<dyn Work>,
    metrics: Arc<StorageMetrics>,
}

#[async_trait]
impl Work for ObservedWork {
    async fn run(&self, transaction: &mut dyn Transaction) -> Verdict {
        let started = Instant::now();
        let verdict = self.inner.run(transaction).await;
        self.metrics.rules.observe(started.elapsed().as_secs_f64());
        verdict
    }
}

#[async_trait]
impl Storage for Observed {
    async fn transact(&self, organization: Option<OrganizationId>, work: Box<dyn Work>) -> Result<()> {
        let work = Box::new(ObservedWork {
            inner: work,
            metrics: self.metrics.clone(),
        });
        self.observe(Operation::Transact, self.inner.transact(organization, work))
            .await
    }

    async fn touch(&self) -> Result<()> {
        self.observe(Operation::Touch, self.inner.touch()).await
    }

    async fn purge(&self) {
        self.inner.purge().await;
    }

    async fn compact(&self) -> Result<()> {
        self.observe(Operation::Compact, self.inner.compact()).await
    }

    fn condition(&self) -> watch::Receiver<Condition> {
        self.inner.condition()
    }

    fn load(&self) -> Load {
        self.inner.load()
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

#[async_trait]
impl OrganizationStore for Observed {
    async fn organization(&self, organization: OrganizationId) -> Result<Option<Organization>> {
        self.observe(Operation::Organization, self.inner.organization(organization))
            .await
    }

    async fn organization_by_slug(&self, slug: &Slug) -> Result<Option<Organization>> {
        self.observe(
            Operation::OrganizationBySlug,
            self.inner.organization_by_slug(slug),
        )
        .await
    }

    async fn organizations(&self, page: PageRequest<Slug>) -> Result<Vec<Organization>> {
        self.observe(Operation::Organizations, self.inner.organizations(page))
            .await
    }
}

#[async_trait]
impl ApiKeyStore for Observed {
    async fn api_key(&self, organization: Option<OrganizationId>, key: ApiKeyId) -> Result<Option<ApiKey>> {
        self.observe(Operation::ApiKey, self.inner.api_key(organization, key))
            .await
    }

    async fn api_keys(
        &self,
        organization: Option<OrganizationId>,
        page: PageRequest<ApiKeyId>,
    ) -> Result<Vec<ApiKey>> {
        self.observe(Operation::ApiKeys, self.inner.api_keys(organization, page))
            .await
    }

    async fn api_key_by_digest(&self, digest: KeyDigest) -> Result<Option<ApiKey>> {
        self.observe(Operation::ApiKeyByDigest, self.inner.api_key_by_digest(digest))
            .await
    }
}

#[async_trait]
impl MemberStore for Observed {
    async fn key_and_member(&self, digest: KeyDigest, lookup: MemberLookup) -> Result<KeyAndMember> {
        self.observe(Operation::KeyAndMember, self.inner.key_and_member(digest, lookup))
            .await
    }

    async fn member(&self, organization: OrganizationId, member: &MemberRef) -> Result<Option<Member>> {
        self.observe(Operation::Member, self.inner.member(organization, member))
            .await
    }

    async fn members_by_id(&self, organization: OrganizationId, ids: &[MemberId]) -> Result<Vec<Member>> {
        self.observe(
            Operation::MembersById,
            self.inner.members_by_id(organization, ids),
        )
        .await
    }

    async fn members(&self, organization: OrganizationId, query: MemberQuery) -> Result<Vec<Member>> {
        self.observe(Operation::Members, self.inner.members(organization, query))
            .await
    }

    async fn members_counted(
        &self,
        organization: OrganizationId,
        query: MemberQuery,
    ) -> Result<(Vec<Member>, u64)> {
        self.observe(
            Operation::MembersCounted,
            self.inner.members_counted(organization, query),
        )
        .await
    }

    async fn revoked_members(
        &self,
        organization: OrganizationId,
        filter: RevokedFilter,
        page: PageRequest<(Timestamp, MemberNumber)>,
    ) -> Result<Vec<Member>> {
        self.observe(
            Operation::RevokedMembers,
            self.inner.revoked_members(organization, filter, page),
        )
        .await
    }

    async fn revoke_user(&self, organization: OrganizationId, user: UserId, change: Change) -> Result<bool> {
        self.observe(
            Operation::RevokeUser,
            self.inner.revoke_user(organization, user, change),
        )
        .await
    }

    async fn links_of_user(
        &self,
        organization: OrganizationId,
        user: UserId,
        page: PageRequest<MemberNumber>,
    ) -> Result<Vec<Member>> {
        self.observe(
            Operation::LinksOfUser,
            self.inner.links_of_user(organization, user, page),
        )
        .await
    }

    async fn addresses_of_user(
        &self,
        organization: OrganizationId,
        user: UserId,
        page: PageRequest<(MemberNumber, i64)>,
    ) -> Result<Vec<HeldAddress>> {
        self.observe(
            Operation::AddressesOfUser,
            self.inner.addresses_of_user(organization, user, page),
        )
        .await
    }

    async fn associations(&self, user: UserId, only: Option<OrganizationId>) -> Result<Vec<Association>> {
        self.observe(Operation::Associations, self.inner.associations(user, only))
            .await
    }

    async fn retention_due(
        &self,
        now: Timestamp,
        limit: u32,
        skip: u32,
    ) -> Result<Vec<(OrganizationId, MemberId)>> {
        self.observe(
            Operation::RetentionDue,
            self.inner.retention_due(now, limit, skip),
        )
        .await
    }
}

#[async_trait]
impl TeamStore for Observed {
    async fn teams(&self, organization: OrganizationId, page: PageRequest<TeamNumber>) -> Result<Vec<Team>> {
        self.observe(Operation::Teams, self.inner.teams(organization, page))
            .await
    }
}

#[async_trait]
impl EventLog for Observed {
    async fn events(&self, organization: Option<OrganizationId>, query: EventQuery) -> Result<Vec<Event>> {
        self.observe(Operation::Events, self.inner.events(organization, query))
            .await
    }

    async fn heads(&self, organizations: Vec<OrganizationId>) -> Result<Vec<(OrganizationId, i64)>> {
        self.observe(Operation::Heads, self.inner.heads(organizations))
            .await
    }

    fn commits(&self) -> watch::Receiver<u64> {
        self.inner.commits()
    }
}

#[async_trait]
impl IdempotencyStore for Observed {
    async fn oldest_response(&self) -> Result<Option<Timestamp>> {
        self.observe(Operation::OldestResponse, self.inner.oldest_response())
            .await
    }
}

#[async_trait]
impl CredentialStore for Observed {
    async fn token_by_digest(&self, digest: KeyDigest) -> Result<Option<TokenHolder>> {
        self.observe(Operation::TokenByDigest, self.inner.token_by_digest(digest))
            .await
    }

    async fn member_and_password(
        &self,
        organization: OrganizationId,
        member: &MemberRef,
    ) -> Result<Option<(Member, Option<PasswordHash>)>> {
        self.observe(
            Operation::MemberAndPassword,
            self.inner.member_and_password(organization, member),
        )
        .await
    }

    async fn first_token_end(&self) -> Result<Option<Timestamp>> {
        self.observe(Operation::FirstTokenEnd, self.inner.first_token_end())
            .await
    }
}

#[async_trait]
impl MailStore for Observed {
    async fn mails(
        &self,
        organization: OrganizationId,
        state: Option<MailState>,
        page: PageRequest<MailId>,
    ) -> Result<Vec<Mail>> {
        self.observe(Operation::Mails, self.inner.mails(organization, state, page))
            .await
    }

    async fn due_mails(
        &self,
        now: Timestamp,
        after: Option<OrganizationId>,
        besides: &[OrganizationId],
        limit: u32,
    ) -> Result<Vec<DueMail>> {
        self.observe(
            Operation::DueMails,
            self.inner.due_mails(now, after, besides, limit),
        )
        .await
    }

    async fn oldest_settled_mail(&self) -> Result<Option<Timestamp>> {
        self.observe(Operation::OldestSettledMail, self.inner.oldest_settled_mail())
            .await
    }
}
