//! The model: vectors, and the rules of `MemberStore` in the plainest words.

use proptest::{
    option::{of, weighted},
    prelude::{Strategy, any},
    prop_oneof,
    sample::{Index, select},
};
use userbridge::domain::{LinkOutcome, Precondition, Resource, Role};

/// A call.
#[derive(Clone, Debug)]
#[expect(
    clippy::option_option,
    reason = "whether to change and to what are two questions"
)]
pub(super) enum Call {
    Link {
        organization: usize,
        user: Option<Index>,
        email: Option<u8>,
        external_id: Option<u8>,
        name: Option<u8>,
        portal_role: Option<u8>,
        role: Option<Role>,
    },
    Update {
        organization: usize,
        who: Index,
        email: Option<Option<u8>>,
        name: Option<Option<u8>>,
        portal_role: Option<Option<u8>>,
        role: Option<Option<Role>>,
        enabled: Option<bool>,
        stale: bool,
    },
    Revoke {
        organization: usize,
        who: Index,
        stale: bool,
    },
    RevokeUser {
        organization: usize,
        user: Index,
    },
    Restore {
        organization: usize,
        who: Index,
    },
    Erase {
        organization: usize,
        who: Index,
    },
}

/// Any call. Few addresses, names and ids, so that they meet.
pub(super) fn calls() -> impl Strategy<Value = Call> {
    let organization = || 0..2_usize;
    let who = any::<Index>;
    let email = || 0..5_u8;
    let name = || 0..5_u8;
    let portal_role = || 0..2_u8;
    let role = || select(vec![Role::Owner, Role::Owner, Role::Editor]);
    let stale = || proptest::bool::weighted(0.1);
    let link = (
        (organization(), weighted(0.3, who())),
        (weighted(0.8, email()), weighted(0.3, 0..3_u8)),
        (of(name()), weighted(0.3, portal_role()), weighted(0.4, role())),
    );
    let link = link.prop_map(
        |((organization, user), (email, external_id), (name, portal_role, role))| Call::Link {
            organization,
            user,
            email,
            external_id,
            name,
            portal_role,
            role,
        },
    );
    let update = (
        (organization(), who(), stale()),
        (weighted(0.4, of(email())), of(of(name()))),
        (
            weighted(0.3, of(portal_role())),
            weighted(0.4, of(role())),
            weighted(0.3, any::<bool>()),
        ),
    );
    let update = update.prop_map(
        |((organization, who, stale), (email, name), (portal_role, role, enabled))| Call::Update {
            organization,
            who,
            email,
            name,
            portal_role,
            role,
            enabled,
            stale,
        },
    );
    let revoke = (organization(), who(), stale());
    let revoke = revoke.prop_map(|(organization, who, stale)| Call::Revoke {
        organization,
        who,
        stale,
    });
    let of_one = || (organization(), who());
    let revoke_user = of_one().prop_map(|(organization, user)| Call::RevokeUser { organization, user });
    let restore = of_one().prop_map(|(organization, who)| Call::Restore { organization, who });
    let erase = of_one().prop_map(|(organization, who)| Call::Erase { organization, who });
    prop_oneof![5 => link, 4 => update, 2 => revoke, 1 => revoke_user, 2 => restore, 1 => erase]
}

/// How a call ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Outcome {
    #[default]
    Done,
    Linked(LinkOutcome),
    NotFound(Resource),
    Conflict,
    Stale,
    Precondition(Precondition),
}

/// How a link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Live,
    Revoked,
    Erased,
}

/// A link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Person {
    /// Its place among all users.
    pub user: usize,
    pub email: Option<u8>,
    pub name: Option<u8>,
    pub external_id: Option<u8>,
    /// 0 is that of whoever is linked as nothing in particular.
    pub portal_role: Option<u8>,
    pub role: Option<Role>,
    pub enabled: bool,
    pub state: State,
    /// Since when it has its address, and until when it was live.
    since: usize,
    pub until: usize,
    /// Addresses that it had before, and until when.
    former: Vec<(u8, usize)>,
}

impl Person {
    fn is_live(&self) -> bool {
        self.state == State::Live
    }

    fn is_acting_owner(&self) -> bool {
        self.state == State::Live && self.enabled && self.role == Some(Role::Owner)
    }
}

/// An organization. The number of a person is its place, from 1.
#[derive(Clone, Debug, Default)]
pub(super) struct Organization {
    pub people: Vec<Person>,
    pub events: usize,
}

/// Everything.
#[derive(Clone, Debug, Default)]
pub(super) struct Plain {
    pub organizations: [Organization; 2],
    /// How many users there are.
    users: usize,
    /// Counts the calls.
    now: usize,
    /// How the last call ended.
    pub outcome: Outcome,
}

impl Organization {
    /// That the person at a place, or a new one at none, may be like this.
    fn allows(&self, place: Option<usize>, person: &Person) -> Result<(), Outcome> {
        let others = || {
            self.people
                .iter()
                .enumerate()
                .filter(|(index, _)| Some(*index) != place)
                .map(|(_, other)| other)
        };
        let before = place.map(|place| &self.people[place]);
        if before.is_some_and(Person::is_acting_owner)
            && !person.is_acting_owner()
            && !others().any(Person::is_acting_owner)
        {
            return Err(Outcome::Precondition(Precondition::LastOwner));
        }
        if person.state == State::Live && person.portal_role.is_none() && person.role.is_none() {
            return Err(Outcome::Precondition(Precondition::LastFacet));
        }
        let clash = |other: &Person| {
            other.state == State::Live
                && (other.user == person.user
                    || other.email.is_some() && other.email == person.email
                    || other.external_id.is_some() && other.external_id == person.external_id)
        };
        if person.state == State::Live && others().any(clash) {
            return Err(Outcome::Conflict);
        }
        Ok(())
    }

    /// Puts the person at its place, with one event, if it may be like this. True: it is another than before.
    fn put(&mut self, place: usize, mut person: Person, now: usize) -> Result<bool, Outcome> {
        let old = &self.people[place];
        if *old == person {
            return Ok(false);
        }
        self.allows(Some(place), &person)?;
        if old.email != person.email || !old.is_live() && person.is_live() {
            let until = if old.is_live() { now } else { old.until };
            person.former.extend(old.email.map(|email| (email, until)));
            person.since = now;
        }
        if old.is_live() {
            person.until = now;
        }
        if person.state == State::Erased {
            person.former.clear();
        }
        self.people[place] = person;
        self.events += 1;
        Ok(true)
    }

    /// Ends the person's link, or makes it live again.
    fn turn(&mut self, place: usize, state: State, now: usize) -> Result<bool, Outcome> {
        let person = Person {
            state,
            ..self.people[place].clone()
        };
        self.put(place, person, now)
    }

    /// An integrator's delete.
    fn revoke_user(&mut self, user: usize, now: usize) -> Result<Outcome, Outcome> {
        let is_end_user = |person: &&mut Person| {
            person.user == user && person.state == State::Live && person.portal_role.is_some()
        };
        let person = self.people.iter_mut().find(is_end_user);
        let person = person.ok_or(Outcome::NotFound(Resource::User))?;
        if person.role.is_none() {
            (person.state, person.until) = (State::Revoked, now);
        } else {
            person.portal_role = None;
        }
        self.events += 1;
        Ok(Outcome::Done)
    }

    fn find(&self, who: Index) -> Result<usize, Outcome> {
        if self.people.is_empty() {
            Err(Outcome::NotFound(Resource::Member))
        } else {
            Ok(who.index(self.people.len()))
        }
    }

    fn live(&self, who: Index, stale: bool) -> Result<usize, Outcome> {
        let place = self.find(who)?;
        match self.people[place].state {
            State::Live if stale => Err(Outcome::Stale),
            State::Live => Ok(place),
            State::Revoked | State::Erased => Err(Outcome::NotFound(Resource::Member)),
        }
    }
}

impl Plain {
    /// Does it, if it may be done.
    pub(super) fn call(&mut self, call: &Call) -> Outcome {
        self.now += 1;
        self.try_call(call).unwrap_or_else(|refused| refused)
    }

    fn try_call(&mut self, call: &Call) -> Result<Outcome, Outcome> {
        match call {
            Call::Link {
                organization,
                user,
                email,
                external_id,
                name,
                portal_role,
                role,
            } => {
                let user = match user {
                    Some(_) if self.users == 0 => return Err(Outcome::NotFound(Resource::User)),
                    Some(who) => Some(who.index(self.users)),
                    None => None,
                };
                let values = Person {
                    user: user.unwrap_or(usize::MAX),
                    email: *email,
                    name: *name,
                    external_id: *external_id,
                    portal_role: *portal_role,
                    role: *role,
                    enabled: true,
                    state: State::Live,
                    since: self.now,
                    until: self.now,
                    former: Vec::new(),
                };
                self.link(*organization, user, &values).map(Outcome::Linked)
            }
            Call::Update {
                organization,
                who,
                email,
                name,
                portal_role,
                role,
                enabled,
                stale,
            } => {
                let organization = &mut self.organizations[*organization];
                let place = organization.live(*who, *stale)?;
                let old = organization.people[place].clone();
                let new = Person {
                    email: email.unwrap_or(old.email),
                    name: name.unwrap_or(old.name),
                    portal_role: portal_role.unwrap_or(old.portal_role),
                    role: role.unwrap_or(old.role),
                    enabled: enabled.unwrap_or(old.enabled),
                    ..old
                };
                organization.put(place, new, self.now)?;
                Ok(Outcome::Done)
            }
            Call::Revoke {
                organization,
                who,
                stale,
            } => {
                let organization = &mut self.organizations[*organization];
                let place = organization.live(*who, *stale)?;
                let state = State::Revoked;
                organization.turn(place, state, self.now)?;
                Ok(Outcome::Done)
            }
            Call::RevokeUser { organization, user } => {
                if self.users == 0 {
                    return Err(Outcome::NotFound(Resource::User));
                }
                let user = user.index(self.users);
                self.organizations[*organization].revoke_user(user, self.now)
            }
            Call::Restore { organization, who } => {
                let organization = &mut self.organizations[*organization];
                let place = organization.find(*who)?;
                match organization.people[place].state {
                    State::Live => return Err(Outcome::Precondition(Precondition::MemberNotRevoked)),
                    State::Erased => return Err(Outcome::Precondition(Precondition::MemberErased)),
                    State::Revoked => {}
                }
                let state = State::Live;
                organization.turn(place, state, self.now)?;
                Ok(Outcome::Done)
            }
            Call::Erase { organization, who } => self.erase(*organization, *who),
        }
    }

    fn link(
        &mut self,
        organization: usize,
        user: Option<usize>,
        values: &Person,
    ) -> Result<LinkOutcome, Outcome> {
        let people = &self.organizations[organization].people;
        let find = |is: &dyn Fn(&Person) -> bool| {
            people.iter().position(|person| {
                person.state == State::Live && is(person) && user.is_none_or(|user| person.user == user)
            })
        };
        let found = find(&|person| Some(person.user) == user)
            .or_else(|| {
                find(&|person| values.external_id.is_some() && person.external_id == values.external_id)
            })
            .or_else(|| find(&|person| values.email.is_some() && person.email == values.email));
        // Who is linked as nothing in particular is an end user.
        let end_user = values.role.is_none().then_some(0);
        if let Some(place) = found {
            let old = people[place].clone();
            let new = Person {
                email: values.email.or(old.email),
                name: values.name.or(old.name),
                external_id: values.external_id.or(old.external_id),
                portal_role: values.portal_role.or(old.portal_role).or(end_user),
                role: values.role.or(old.role),
                ..old
            };
            let changed = self.organizations[organization].put(place, new, self.now)?;
            return Ok(if changed {
                LinkOutcome::Updated
            } else {
                LinkOutcome::Unchanged
            });
        }
        let user = user.or_else(|| self.leads_to(organization, values.email?));
        let person = Person {
            user: user.unwrap_or(self.users),
            portal_role: values.portal_role.or(end_user),
            ..values.clone()
        };
        self.organizations[organization].allows(None, &person)?;
        if user.is_none() {
            self.users += 1;
        }
        self.organizations[organization].people.push(person);
        self.organizations[organization].events += 1;
        Ok(LinkOutcome::Created)
    }

    /// The user whom an address leads to in an organization where nobody live has it.
    fn leads_to(&self, organization: usize, email: u8) -> Option<usize> {
        let everybody = || self.organizations.iter().flat_map(|there| &there.people);
        let holders = everybody().filter(|person| person.is_live() && person.email == Some(email));
        let longest = holders
            .min_by_key(|person| person.since)
            .map(|person| person.user);
        let before = everybody().flat_map(|person| {
            let at_the_end = (!person.is_live()).then_some(()).and(person.email);
            let former = person.former.iter().copied();
            let all = former.chain(at_the_end.map(|email| (email, person.until)));
            all.filter(|(had, _)| *had == email)
                .map(|(_, until)| (until, person.user))
        });
        let last = before.max().map(|(_, user)| user);
        let of = |user| move |person: &&Person| person.is_live() && person.user == user;
        let elsewhere = |user| everybody().filter(of(user)).any(|person| person.email.is_some());
        let last = last.filter(|user| !elsewhere(*user));
        let here = &self.organizations[organization].people;
        longest
            .or(last)
            .filter(|user| here.iter().find(of(*user)).is_none())
    }

    fn erase(&mut self, index: usize, who: Index) -> Result<Outcome, Outcome> {
        let organization = &mut self.organizations[index];
        let place = organization.find(who)?;
        if organization.people[place].state == State::Erased {
            return Ok(Outcome::Done);
        }
        if organization.people[place].state == State::Live {
            let state = State::Revoked;
            organization.turn(place, state, self.now)?;
        }
        let nothing = Person {
            email: None,
            name: None,
            external_id: None,
            portal_role: None,
            role: None,
            enabled: true,
            state: State::Erased,
            ..organization.people[place].clone()
        };
        organization.put(place, nothing, self.now)?;
        Ok(Outcome::Done)
    }
}
