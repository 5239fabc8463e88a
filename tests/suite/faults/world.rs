//! What the steps of a script work on: a directory whose ids, secrets and times depend on the step and on nothing else.

use std::{
    cell::RefCell,
    collections::HashMap,
    fmt::Debug,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

use futures_util::future::join_all;
use userbridge::{
    domain::{
        ApiKeyId, Association, Clock, Idempotency, IdempotencyKey, Idempotent, KeyDigest, LinkRequest,
        Linked, MemberId, MemberPatch, OrganizationId, OrganizationPatch, Presented, Random, Scope,
        Timestamp, UserId,
    },
    service::{Admin, Area, CreatedApiKey, Directory, Read, ServiceError, Write},
    storage::Storage,
};

/// What a step did, or one of several things that it did.
pub(super) struct Part {
    /// Which of them.
    pub(super) index: usize,
    /// Whose event proves that it was done; None: any event of the step's time does.
    pub(super) user: Option<UserId>,
    pub(super) outcome: Result<String, ServiceError>,
}

/// A directory whose time and randomness are the script's.
pub(super) struct World {
    pub(super) directory: Directory,
    pub(super) storage: Arc<dyn Storage>,
    clock: StepClock,
    random: StepRandom,
    names: Rc<Names>,
    skipped: RefCell<Vec<usize>>,
}

/// What steps made, by the name that later ones call it.
#[derive(Default)]
pub(super) struct Names {
    organizations: RefCell<HashMap<&'static str, OrganizationId>>,
    keys: RefCell<HashMap<&'static str, (ApiKeyId, KeyDigest)>>,
    members: RefCell<HashMap<&'static str, (MemberId, UserId)>>,
}

#[derive(Clone, Default)]
struct StepClock(Arc<AtomicI64>);

impl Clock for StepClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }
}

#[derive(Clone, Default)]
struct StepRandom(Arc<AtomicU64>);

impl StepRandom {
    fn seed(&self, at: Timestamp, part: usize) {
        let seed = (at.as_millis().cast_unsigned() << 8 | part as u64) << 8;
        self.0.store(seed, Ordering::Relaxed);
    }
}

impl Random for StepRandom {
    fn fill(&self, buffer: &mut [u8]) -> std::io::Result<()> {
        for chunk in buffer.chunks_mut(8) {
            // SplitMix64.
            let mut word = self
                .0
                .fetch_add(1, Ordering::Relaxed)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15);
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(word ^ (word >> 31)).to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

impl World {
    pub(super) fn new(storage: Arc<dyn Storage>, names: Rc<Names>) -> Self {
        let (clock, random) = (StepClock::default(), StepRandom::default());
        let directory = Directory::with(storage.clone(), Arc::new(clock.clone()), Arc::new(random.clone()));
        Self {
            directory,
            storage,
            clock,
            random,
            names,
            skipped: RefCell::default(),
        }
    }

    /// Begins a step: its time, what it draws, and which of its parts are not done.
    pub(super) fn begin(&self, at: Timestamp, skipped: &[usize]) {
        self.clock.0.store(at.as_millis(), Ordering::Relaxed);
        self.random.seed(at, 0);
        self.skipped.replace(skipped.to_vec());
    }

    pub(super) fn skips(&self, part: usize) -> bool {
        self.skipped.borrow().contains(&part)
    }

    /// A change that changes nothing.
    pub(super) async fn change_nothing(&self) -> Result<(), ServiceError> {
        let patch = OrganizationPatch::default();
        let acme = self.organization("acme");
        match self
            .directory
            .update_organization(Admin::OPERATOR, acme, patch)
            .await
        {
            // It is not there yet.
            Ok(_) | Err(ServiceError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    pub(super) fn organization(&self, name: &str) -> OrganizationId {
        self.names.organizations.borrow()[name]
    }

    pub(super) fn key(&self, name: &str) -> (ApiKeyId, KeyDigest) {
        self.names.keys.borrow()[name]
    }

    pub(super) fn member(&self, name: &str) -> MemberId {
        self.names.members.borrow()[name].0
    }

    pub(super) fn user(&self, name: &str) -> UserId {
        self.names.members.borrow()[name].1
    }

    pub(super) fn read(&self, organization: &str) -> Read {
        Read::operator(self.organization(organization))
    }

    pub(super) fn write(&self, organization: &str) -> Write {
        Write::operator(self.organization(organization))
    }

    pub(super) async fn new_organization(&self, name: &'static str) -> Vec<Part> {
        let grant = Admin::OPERATOR;
        let (slug, full) = (name.parse().unwrap(), format!("The {name}").parse().unwrap());
        let made = self
            .directory
            .create_organization(grant, slug, full, Idempotency::never())
            .await;
        if let Ok(Idempotent::Fresh(made)) = &made {
            let mut names = self.names.organizations.borrow_mut();
            names.entry(name).or_insert(made.id);
        }
        one(made)
    }

    pub(super) async fn new_key(
        &self,
        name: &'static str,
        organization: Option<&str>,
        scopes: &[Scope],
    ) -> Vec<Part> {
        let organization = organization.map(|name| self.organization(name));
        let scopes = scopes.iter().copied().collect();
        let made = self
            .directory
            .create_api_key(Admin::OPERATOR, organization, scopes, None, Idempotency::never())
            .await;
        if let Ok(Idempotent::Fresh(made)) = &made {
            self.name_key(name, made);
        }
        one(made)
    }

    pub(super) fn name_key(&self, name: &'static str, made: &CreatedApiKey) {
        let mut names = self.names.keys.borrow_mut();
        names.entry(name).or_insert((made.key.id, made.secret.digest()));
    }

    pub(super) async fn link(
        &self,
        name: &'static str,
        organization: &str,
        values: MemberPatch,
        once: Idempotency<Linked>,
    ) -> Vec<Part> {
        let link = LinkRequest {
            values: MemberPatch {
                email: Some(Some(format!("{name}@example.com").parse().unwrap())),
                name: Some(Some(format!("{name} of {organization}").parse().unwrap())),
                ..values
            },
            ..LinkRequest::default()
        };
        let linked = self
            .directory
            .link_member(self.write(organization), link, once)
            .await;
        if let Ok(Idempotent::Fresh(linked)) = &linked {
            let member = &linked.member;
            let mut names = self.names.members.borrow_mut();
            names.entry(name).or_insert((member.id, member.user_id));
        }
        one(linked)
    }

    pub(super) async fn many(&self, organization: &str, names: [&'static str; 4]) -> Vec<Part> {
        let links = names
            .into_iter()
            .enumerate()
            .filter(|(part, _)| !self.skips(*part));
        let links = links.map(|(index, name)| async move {
            // What a link draws does not depend on the others.
            self.random.seed(self.clock.now(), index);
            let mut parts = self
                .link(name, organization, MemberPatch::default(), Idempotency::never())
                .await;
            let user = self.names.members.borrow().get(name).map(|(_, user)| *user);
            parts.pop().map(|part| Part { index, user, ..part })
        });
        join_all(links).await.into_iter().flatten().collect()
    }

    pub(super) async fn where_is(&self, key: &str, name: &str) -> Result<Vec<Association>, ServiceError> {
        let presented = Presented {
            digest: self.key(key).1,
            token: None,
        };
        let caller = self.directory.caller(presented, Area::Directory).await?;
        self.directory.associations(&caller, self.user(name)).await
    }

    pub(super) fn repeatable<T>(&self, key: &str) -> Idempotency<T>
    where
        T: Debug,
    {
        Idempotency {
            key: Some(IdempotencyKey {
                api_key: self.key("writer").0,
                key: key.to_owned(),
                request: [7; 32],
            }),
            encode: |value| format!("{value:?}").into_bytes(),
        }
    }
}

/// A step with one part.
pub(super) fn one<T: Debug>(result: Result<T, ServiceError>) -> Vec<Part> {
    let outcome = result.map(|value| format!("{value:?}"));
    vec![Part {
        index: 0,
        user: None,
        outcome,
    }]
}
