//! The directory against a plain model of it: random calls, and after each of them everything that can be read.

mod plain;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use proptest::{prelude::ProptestConfig, sample::Index, strategy::Strategy};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use tokio::runtime::{Builder, Runtime};
use userbridge::{
    domain::{
        Change, Clock, Conflict, Email, EventQuery, Idempotency, LinkOutcome, LinkRequest, Member,
        MemberFilter, MemberId, MemberNumber, MemberOrder, MemberPatch, MemberQuery, MemberRef,
        OrganizationId, OsRandom, PageRequest, PortalRole, Resource, Role, Timestamp, UserId,
    },
    service::{Admin, Directory, Read, ServiceError, Write},
    storage::Storage,
};

use self::plain::{Call, Outcome, Person, Plain, State};
use crate::support::{
    CLOCK, RANDOM,
    engine::{Engine, Postgres, Sqlite, open},
    first,
};

/// How a number of the model is written as an address, a name, an external id.
fn email(number: u8) -> Email {
    format!(
        "user{number}@{}.example.com",
        ["Acme", "globex"][usize::from(number % 2)]
    )
    .parse()
    .unwrap()
}

fn name(number: u8) -> String {
    ["Ann", "ann", "Änne", "Bob \"B\" 100%", "ΣΟΦΟΣ"][usize::from(number)].to_owned()
}

fn portal_role_of(number: u8) -> PortalRole {
    ["end_user", "partner"][usize::from(number)].parse().unwrap()
}

prop_state_machine! {
    #![proptest_config(ProptestConfig {
        cases: 24,
        failure_persistence: None,
        max_shrink_iters: 400,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_directory_does_what_the_model_does(sequential 1..40 => Real<Sqlite>);
}

prop_state_machine! {
    // Fewer: each takes longer, and what both engines share is tried above.
    #![proptest_config(ProptestConfig {
        cases: 6,
        failure_persistence: None,
        max_shrink_iters: 100,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_directory_does_what_the_model_does_on_postgresql(sequential 1..40 => Real<Postgres>);
}

/// A time that is never the same, as the model's.
#[derive(Default)]
struct Ticks(AtomicI64);

impl Clock for Ticks {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// The real thing.
struct Real<E> {
    runtime: Runtime,
    directory: Directory,
    storage: Arc<dyn Storage>,
    organizations: Vec<OrganizationId>,
    /// The members of each organization, in the order of their numbers.
    members: Vec<Vec<MemberId>>,
    /// The users, in the order in which the model came to know them.
    users: Vec<UserId>,
    _engine: E,
}

impl ReferenceStateMachine for Plain {
    type State = Self;
    type Transition = Call;

    fn init_state() -> proptest::strategy::BoxedStrategy<Self> {
        proptest::strategy::Just(Self::default()).boxed()
    }

    fn transitions(_: &Self) -> proptest::strategy::BoxedStrategy<Call> {
        plain::calls().boxed()
    }

    fn apply(mut state: Self, call: &Call) -> Self {
        state.outcome = state.call(call);
        state
    }
}

impl<E: Engine + 'static> StateMachineTest for Real<E> {
    /// None: the engine is not here.
    type SystemUnderTest = Option<Self>;
    type Reference = Plain;

    fn init_test(_: &Plain) -> Option<Self> {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let engine = runtime.block_on(E::new())?;
        let (storage, directory, organizations) = runtime.block_on(async {
            let storage = open(engine.url()).await;
            let directory = Directory::with(storage.clone(), Arc::new(Ticks::default()), Arc::new(OsRandom));
            let mut organizations = Vec::new();
            for slug in ["acme", "globex"] {
                let created = directory.create_organization(
                    Admin::OPERATOR,
                    slug.parse().unwrap(),
                    slug.parse().unwrap(),
                    Idempotency::never(),
                );
                organizations.push(first(created.await.unwrap()).id);
            }
            (storage, directory, organizations)
        });
        Some(Self {
            runtime,
            directory,
            storage,
            organizations,
            members: vec![Vec::new(); 2],
            users: Vec::new(),
            _engine: engine,
        })
    }

    fn apply(real: Option<Self>, model: &Plain, call: Call) -> Option<Self> {
        let mut real = real?;
        // The runtime is lent to the call that borrows the rest.
        let runtime = std::mem::replace(&mut real.runtime, Builder::new_current_thread().build().unwrap());
        let outcome = runtime.block_on(real.call(&call));
        assert_eq!(outcome, model.outcome, "{call:?}");
        runtime.block_on(real.compare(model));
        real.runtime = runtime;
        Some(real)
    }

    fn teardown(real: Option<Self>, _: Plain) {
        if let Some(real) = real {
            real.runtime.block_on(real.storage.close());
        }
    }
}

impl<E> Real<E> {
    fn member(&self, organization: usize, who: Index) -> MemberId {
        let members = &self.members[organization];
        if members.is_empty() {
            MemberId::new(CLOCK.now(), RANDOM).unwrap()
        } else {
            *who.get(members)
        }
    }

    async fn link(&mut self, organization: usize, link: LinkRequest) -> Outcome {
        let grant = Write::operator(self.organizations[organization]);
        let linked = match self
            .directory
            .link_member(grant, link, Idempotency::never())
            .await
        {
            Err(error) => return refused(&error),
            Ok(answer) => first(answer),
        };
        let member = &linked.member;
        if linked.outcome == LinkOutcome::Created {
            self.members[organization].push(member.id);
            if !self.users.contains(&member.user_id) {
                self.users.push(member.user_id);
            }
        }
        Outcome::Linked(linked.outcome)
    }

    fn user(&self, who: Index) -> UserId {
        if self.users.is_empty() {
            UserId::new(RANDOM).unwrap()
        } else {
            *who.get(&self.users)
        }
    }

    async fn call(&mut self, call: &Call) -> Outcome {
        let write = |organization: usize| Write::operator(self.organizations[organization]);
        match call {
            Call::Link {
                organization,
                user,
                email: address,
                external_id,
                name: new_name,
                portal_role,
                role,
            } => {
                let link = LinkRequest {
                    user_id: user.map(|who| self.user(who)),
                    only_without_role: false,
                    send_onboarding_mail: false,
                    staff: false,
                    origin: userbridge::domain::Origin {
                        source: "zendesk".parse().unwrap(),
                        external_id: external_id.map(|id| id.to_string().parse().unwrap()),
                    },
                    values: MemberPatch {
                        email: address.map(|number| Some(email(number))),
                        name: new_name.map(|number| Some(name(number).parse().unwrap())),
                        portal_role: portal_role.map(|number| Some(portal_role_of(number))),
                        role: role.map(Some),
                        ..MemberPatch::default()
                    },
                };
                self.link(*organization, link).await
            }
            Call::Update {
                organization,
                who,
                email: address,
                name: new_name,
                portal_role,
                role,
                enabled,
                stale,
            } => {
                let id = self.member(*organization, *who);
                let patch = MemberPatch {
                    email: address.map(|number| number.map(email)),
                    name: new_name.map(|number| number.map(|number| name(number).parse().unwrap())),
                    portal_role: portal_role.map(|number| number.map(portal_role_of)),
                    role: *role,
                    enabled: *enabled,
                    ..MemberPatch::default()
                };
                let version = self.version(*organization, id, *stale).await;
                done(
                    self.directory
                        .update_member(write(*organization), id, patch, version)
                        .await,
                )
            }
            Call::Revoke {
                organization,
                who,
                stale,
            } => {
                let id = self.member(*organization, *who);
                let version = self.version(*organization, id, *stale).await;
                done(
                    self.directory
                        .revoke_member(write(*organization), id, version)
                        .await,
                )
            }
            Call::RevokeUser { organization, user } => {
                let user = self.user(*user);
                let change = Change {
                    actor: userbridge::domain::Actor::Operator,
                    at: self.directory.now(),
                    client: None,
                    source: None,
                };
                let organization = self.organizations[*organization];
                let revoked = self
                    .storage
                    .revoke_user(organization, user, change)
                    .await
                    .unwrap();
                if revoked {
                    Outcome::Done
                } else {
                    Outcome::NotFound(Resource::User)
                }
            }
            Call::Restore { organization, who } => {
                let id = self.member(*organization, *who);
                done(self.directory.restore_member(write(*organization), id).await)
            }
            Call::Erase { organization, who } => {
                let id = self.member(*organization, *who);
                done(self.directory.erase_member(write(*organization), id).await)
            }
        }
    }

    /// The version that a call asks for: none, or one that is not the member's.
    async fn version(&self, organization: usize, id: MemberId, stale: bool) -> Option<i64> {
        if !stale {
            return None;
        }
        let organization = self.organizations[organization];
        let found = self
            .storage
            .member(organization, &MemberRef::Id(id))
            .await
            .unwrap();
        Some(found.map_or(0, |entry| entry.version - 1))
    }

    /// That everything that can be read is as the model has it.
    async fn compare(&self, model: &Plain) {
        let mut users = HashMap::new();
        for (index, organization) in self.organizations.iter().enumerate() {
            let grant = Read::operator(*organization);
            let people = &model.organizations[index].people;
            assert_eq!(self.members[index].len(), people.len());
            for (place, person) in people.iter().enumerate() {
                let number = MemberRef::Number(MemberNumber(i64::try_from(place).unwrap() + 1));
                let entry = self.directory.member(grant, number.clone(), true).await.unwrap();
                assert_eq!(entry.id, self.members[index][place]);
                assert_eq!(seen(&entry), person_of(person));
                let live = self.directory.member(grant, number, false).await;
                assert_eq!(live.is_ok(), person.state == State::Live);
                // One user of the model is one user of the directory.
                assert_eq!(*users.entry(person.user).or_insert(entry.user_id), entry.user_id);
                assert_eq!(self.users[person.user], entry.user_id);
                if let (State::Live, Some(address)) = (person.state, person.email) {
                    let found = self
                        .directory
                        .member(grant, MemberRef::Email(email(address)), false)
                        .await;
                    assert_eq!(found.unwrap().id, entry.id);
                }
            }
            self.compare_lists(grant, people).await;
            self.compare_revoked(grant, people).await;
            let query = EventQuery {
                limit: u32::MAX,
                ..EventQuery::default()
            };
            let log = self.directory.events(grant, query).await.unwrap();
            assert_eq!(log.items.len(), model.organizations[index].events + 1);
            assert!(
                log.items
                    .iter()
                    .map(|event| event.sequence)
                    .eq(1..=i64::try_from(log.items.len()).unwrap())
            );
        }
        let page = PageRequest {
            after: None,
            limit: 10,
        };
        assert_eq!(
            self.directory
                .organizations(Admin::OPERATOR, page)
                .await
                .unwrap()
                .items
                .len(),
            2
        );
    }

    async fn compare_revoked(&self, grant: Read, people: &[Person]) {
        let mut expected: Vec<_> = (1_i64..)
            .zip(people)
            .filter(|(_, person)| person.state == State::Revoked)
            .map(|(number, person)| (person.until, number))
            .collect();
        expected.sort_unstable();
        let expected: Vec<_> = expected.into_iter().rev().map(|(_, number)| number).collect();
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let page = PageRequest { after, limit: 2 };
            let from = Timestamp::from_millis(0);
            let page = self
                .directory
                .revoked_members(grant, from.into(), page)
                .await
                .unwrap();
            found.extend(page.items.iter().map(|entry| entry.number.0));
            after = page.end().map(|end| (end.revoked_at.unwrap(), end.number));
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, expected);
    }

    async fn compare_lists(&self, grant: Read, people: &[Person]) {
        // Parts of names, of addresses, and of either.
        let parts: [(&str, &str, &str); 10] = [
            ("", "", ""),
            ("nn", "", ""),
            ("ANN", "", ""),
            ("äNN", "", ""),
            ("οφοσ", "", ""),
            ("\"b\" 1", "", ""),
            ("", "ACME", ""),
            ("", "", "B"),
            ("", "", "ANN"),
            ("", "", "user1"),
        ];
        for (name_part, email_part, text) in parts {
            let part = |part: &str| {
                Some(part.to_owned())
                    .filter(|part| !part.is_empty())
                    .into_iter()
                    .collect()
            };
            for order in [
                MemberOrder::Number,
                MemberOrder::Name,
                MemberOrder::Email,
                MemberOrder::Role,
            ] {
                let filter = MemberFilter {
                    name_parts: part(name_part),
                    email_parts: part(email_part),
                    text: Some(text.to_owned()).filter(|text| !text.is_empty()),
                    ..MemberFilter::default()
                };
                let has = |text: Option<String>, part: &str| {
                    let fold = |text: &str| text.to_lowercase().replace('ς', "σ");
                    part.is_empty() || text.is_some_and(|text| fold(&text).contains(&fold(part)))
                };
                let mut expected: Vec<_> = (1_i64..)
                    .zip(people)
                    .filter(|(_, person)| person.state == State::Live)
                    .filter(|(_, person)| has(person.name.map(name), name_part))
                    .filter(|(_, person)| has(person.email.map(|number| email(number).into()), email_part))
                    .filter(|(_, person)| {
                        has(person.name.map(name), text)
                            || has(person.email.map(|number| email(number).into()), text)
                    })
                    .map(|(number, person)| {
                        let value = match order {
                            MemberOrder::Name => person.name.map(name),
                            MemberOrder::Email => person.email.map(|number| email(number).into()),
                            MemberOrder::Role => person.role.map(|role| {
                                let place = Role::ALL.iter().position(|each| *each == role);
                                place.unwrap().to_string()
                            }),
                            MemberOrder::Number | MemberOrder::LastSeen => None,
                        };
                        (value, number)
                    })
                    .collect();
                expected.sort();
                let expected: Vec<_> = expected.into_iter().map(|(_, number)| number).collect();
                let mut query = MemberQuery {
                    filter,
                    order,
                    limit: 3,
                    ..MemberQuery::default()
                };
                let counted = self.directory.members_counted(grant, query.clone());
                assert_eq!(counted.await.unwrap().total, Some(expected.len() as u64));
                let mut found = Vec::new();
                loop {
                    let page = self.directory.members(grant, query.clone()).await.unwrap();
                    found.extend(page.members.iter().map(|entry| entry.number.0));
                    query.after = page.next;
                    if query.after.is_none() {
                        break;
                    }
                }
                assert_eq!(found, expected, "{query:?}");
            }
        }
    }
}

/// What of a person both sides know, in the same words.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    email: Option<String>,
    name: Option<String>,
    external_id: Option<String>,
    portal_role: Option<PortalRole>,
    role: Option<Role>,
    enabled: bool,
    state: State,
}

fn seen(entry: &Member) -> Seen {
    let profile = entry.profile.clone();
    Seen {
        email: profile.email.map(Into::into),
        name: profile.name.map(Into::into),
        external_id: entry.origin.external_id.clone().map(Into::into),
        portal_role: profile.portal_role,
        role: entry.access.role,
        enabled: entry.access.enabled,
        state: match (entry.revoked_at, entry.erased_at) {
            (None, None) => State::Live,
            (Some(_), None) => State::Revoked,
            (_, Some(_)) => State::Erased,
        },
    }
}

fn person_of(person: &Person) -> Seen {
    Seen {
        email: person.email.map(|number| email(number).into()),
        name: person.name.map(name),
        portal_role: person.portal_role.map(portal_role_of),
        external_id: person.external_id.map(|id| id.to_string()),
        role: person.role,
        enabled: person.enabled,
        state: person.state,
    }
}

fn done<T>(result: Result<T, ServiceError>) -> Outcome {
    match result {
        Ok(_) => Outcome::Done,
        Err(error) => refused(&error),
    }
}

fn refused(error: &ServiceError) -> Outcome {
    match error {
        ServiceError::NotFound(missing) => Outcome::NotFound(*missing),
        ServiceError::Conflict(Conflict::Member) => Outcome::Conflict,
        ServiceError::Precondition(precondition) => Outcome::Precondition(*precondition),
        ServiceError::VersionMismatch => Outcome::Stale,
        other => panic!("{other:?}"),
    }
}
