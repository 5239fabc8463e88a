//! Identifiers, one type for each thing so that they can't be mixed up: UUIDv7 (RFC 9562 §5.7), which come in the order
//! in which they were made, but `UUIDv4` (§5.4) for users: an organization that gets the id of a user must not see that
//! it was made earlier, elsewhere.

use std::{fmt, io, str::FromStr};

use serde::Deserialize;
use uuid::Uuid;

use super::{Random, Timestamp};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
        pub struct $name(Uuid);

        impl $name {
            /// The id with this value.
            #[must_use]
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            #[must_use]
            pub const fn as_uuid(&self) -> &Uuid {
                &self.0
            }
        }

        /// Lower case, with hyphens.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

macro_rules! time_ordered {
    ($($name:ident)+) => {
        $(impl $name {
            /// A new id, ordered by the time it was made.
            ///
            /// # Errors
            ///
            /// There is no randomness to be had.
            pub fn new(now: Timestamp, random: &dyn Random) -> io::Result<Self> {
                let mut bytes = [0; 10];
                random.fill(&mut bytes)?;
                let millis = u64::try_from(now.as_millis()).unwrap_or_default();
                Ok(Self(uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()))
            }
        })+
    };
}

id!(OrganizationId);
id!(
    /// A person, the same in every organization.
    UserId
);
id!(
    /// A user's link to one organization. A later link of the same user has another.
    MemberId
);
id!(
    /// An API key. It is no secret: it names the key in lists and in the event log.
    ApiKeyId
);

id!(
    /// A mail.
    MailId
);

time_ordered!(OrganizationId MemberId ApiKeyId MailId);

impl UserId {
    /// A new id, which says nothing of when it was made.
    ///
    /// # Errors
    ///
    /// There is no randomness to be had.
    pub fn new(random: &dyn Random) -> io::Result<Self> {
        let mut bytes = [0; 16];
        random.fill(&mut bytes)?;
        Ok(Self(uuid::Builder::from_random_bytes(bytes).into_uuid()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::OsRandom;

    #[test]
    fn a_new_id_is_a_version_7_uuid_of_its_moment() {
        let id = MemberId::new(Timestamp::from_millis(1_775_030_400_000), &OsRandom).unwrap();
        assert_eq!(id.as_uuid().get_version_num(), 7);
        assert_eq!(
            id.as_uuid().get_timestamp().unwrap().to_unix(),
            (1_775_030_400, 0)
        );
    }

    #[test]
    fn a_new_user_id_is_random() {
        let id = UserId::new(&OsRandom).unwrap();
        assert_eq!(id.as_uuid().get_version_num(), 4);
        assert_ne!(id, UserId::new(&OsRandom).unwrap());
    }
}
