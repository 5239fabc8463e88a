//! The seeded directory as arithmetic: who its members are and what to ask about them.
//!
//! Everything follows from a member's number, so the database, the load and the check of each answer agree without a
//! list of a million users in memory.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// How many organizations the members are spread over.
pub(crate) const ORGANIZATIONS: u64 = 1000;

/// One request in so many is a miss.
const MISS_EVERY: u64 = 10;

/// One request in so many names the user by address, unless it is half of them.
const EMAIL_EVERY: u64 = 5;

/// What all members are.
pub(crate) const PORTAL_ROLE: &str = "end_user";

/// When the first member was linked, in milliseconds since 1970. The others follow, one each second.
const FIRST_MILLIS: u64 = 1_735_689_600_000;

/// The members of a directory of some size.
#[derive(Clone)]
pub(crate) struct People {
    /// How many there are; they are numbered from 0.
    pub(crate) members: u64,
    keys: Arc<[String]>,
    /// One request in so many names the user by address.
    email_every: u64,
}

pub(crate) struct Person {
    pub(crate) organization: u64,
    pub(crate) member_id: Uuid,
    pub(crate) user_id: Uuid,
    pub(crate) email: String,
    pub(crate) created_at: u64,
    number: u64,
}

impl Person {
    /// SQLite's `row`, from 1.
    pub(crate) fn row(&self) -> i64 {
        self.number.cast_signed() + 1
    }

    pub(crate) fn name(&self) -> String {
        format!("Given Family {}", self.created_at)
    }

    pub(crate) fn avatar_url(&self) -> String {
        format!("https://cdn.example.com/avatars/{}.png", self.user_id)
    }

    pub(crate) fn company_name(&self) -> String {
        format!("Company {}", self.organization)
    }

    pub(crate) fn customer_status(&self) -> Option<&'static str> {
        (!self.created_at.is_multiple_of(3000)).then_some("paying")
    }

    /// In its organization, from 1.
    pub(crate) fn member_number(&self) -> i64 {
        (self.number / ORGANIZATIONS).cast_signed() + 1
    }
}

impl People {
    pub(crate) fn new(members: u64) -> Self {
        Self {
            members,
            keys: (0..ORGANIZATIONS).map(key).collect(),
            email_every: EMAIL_EVERY,
        }
    }

    /// The same people, asked about by address as often as by id.
    pub(crate) fn half_by_address(self) -> Self {
        Self {
            email_every: 2,
            ..self
        }
    }

    pub(crate) fn key(&self, organization: u64) -> &str {
        usize::try_from(organization)
            .ok()
            .and_then(|index| self.keys.get(index))
            .map_or("", String::as_str)
    }

    /// Requests about them, another sequence for each `seed`.
    pub(crate) fn lookups(&self, seed: u64) -> Lookups {
        Lookups {
            people: self.clone(),
            random: Random::new(seed),
        }
    }
}

/// The member of this number. Numbers beyond the seeded ones are members that an import adds.
pub(crate) fn person(number: u64) -> Person {
    let created_at = FIRST_MILLIS + number * 1000;
    Person {
        organization: number % ORGANIZATIONS,
        member_id: id(created_at, number, 2),
        user_id: id(created_at, number, 1),
        email: format!("{:08x}.{number}@example.com", mix(number) >> 32),
        created_at,
        number,
    }
}

pub(crate) fn organization_id(organization: u64) -> Uuid {
    id(FIRST_MILLIS - 1000, organization, 3)
}

pub(crate) fn key_id(organization: u64) -> Uuid {
    id(FIRST_MILLIS - 1000, organization, 4)
}

fn key(organization: u64) -> String {
    let secret = Sha256::digest(format!("the key of organization {organization}"));
    format!("pb_{}", URL_SAFE_NO_PAD.encode(secret))
}

/// A `UUIDv7`. The purpose tells ids of the same number apart.
fn id(millis: u64, number: u64, purpose: u64) -> Uuid {
    let mut random = [0; 10];
    let (first, second) = random.split_at_mut(8);
    first.copy_from_slice(&mix(number.wrapping_mul(8) + purpose).to_le_bytes());
    second.copy_from_slice(&mix(number).to_le_bytes()[..2]);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

pub(crate) enum By {
    UserId(Uuid),
    Email(String),
}

/// A request to retrieve a user, and what the answer must be.
pub(crate) struct Lookup {
    pub(crate) organization: u64,
    pub(crate) by: By,
    /// The user to be found. None: nobody.
    pub(crate) expected: Option<Uuid>,
}

/// Requests without end: random users of random organizations, and misses: users that don't exist and users of
/// another organization.
pub(crate) struct Lookups {
    pub(crate) people: People,
    random: Random,
}

impl Lookups {
    pub(crate) fn next(&mut self) -> Lookup {
        let person = person(self.random.below(self.people.members));
        let kind = self.random.below(MISS_EVERY * 2);
        let by_email = self.random.below(self.people.email_every) == 0;
        let by = |person: &Person| {
            if by_email {
                By::Email(person.email.clone())
            } else {
                By::UserId(person.user_id)
            }
        };
        match kind {
            0 => Lookup {
                organization: person.organization,
                by: if by_email {
                    By::Email(format!("nobody.{}", person.email))
                } else {
                    By::UserId(id(FIRST_MILLIS, self.random.next(), 5))
                },
                expected: None,
            },
            1 => Lookup {
                organization: (person.organization + 1) % ORGANIZATIONS,
                by: by(&person),
                expected: None,
            },
            _ => Lookup {
                organization: person.organization,
                by: by(&person),
                expected: Some(person.user_id),
            },
        }
    }
}

/// `SplitMix64` (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(mix(seed))
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Any number below this one. The bias of the remainder is some 2⁻⁴⁰ here.
    pub(crate) const fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Any number above 0 and up to 1.
    pub(crate) fn fraction(&mut self) -> f64 {
        (f64::from(u32::try_from(self.next() >> 32).unwrap_or_default()) + 1.0) / 4_294_967_296.0
    }
}

const fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
