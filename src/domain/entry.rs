//! Directory entries: members with all that internal services manage.

use std::{fmt, str::FromStr};

use thiserror::Error;

use super::{Member, Timestamp, text::text};

/// Defines an enumeration with a name for each value, as the database and the command line write it.
macro_rules! names {
    ($(#[$doc:meta])* $name:ident, $unknown:literal, $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// Its name in the database and on the command line.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownName;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|value| value.as_str() == text).ok_or(UnknownName($unknown))
            }
        }
    };
}

/// There is no value of this name. Says which there are.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("must be one of {0}")]
pub struct UnknownName(&'static str);

names! {
    /// What a member may do for those who run the organization. A plain end user has none.
    Role, "owner, admin, editor, viewer, restricted_viewer",
    /// Everything. An organization that has an enabled owner keeps one.
    Owner = "owner",
    /// Manages members.
    Admin = "admin",
    /// Changes content.
    Editor = "editor",
    /// Reads.
    Viewer = "viewer",
    /// Reads what it is given.
    RestrictedViewer = "restricted_viewer",
}

names! {
    /// How a member signs in.
    AuthMethod, "password, oidc",
    /// With a password of this directory.
    Password = "password",
    /// Through an identity provider.
    Oidc = "oidc",
}

text!(
    /// What linked a member: `portal`, `ingestion`, `import`, `api`, or the name of an integration.
    Source, max 64
);
text!(
    /// A source's own id of a member.
    ExternalId, max 255
);

impl Default for Source {
    fn default() -> Self {
        Self("api".to_owned())
    }
}

/// The number of a member: it counts the members of its organization, 1 and up, and is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberNumber(pub i64);

/// The number of a team: it counts the teams of its organization, 1 and up, and is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TeamNumber(pub i64);

impl TeamNumber {
    /// Every organization's first team.
    pub const ROOT: Self = Self(1);
}

/// What a member is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// None for a plain end user.
    pub role: Option<Role>,
    /// False: it keeps its place and may do nothing.
    pub enabled: bool,
    /// How it signs in, if that was said.
    pub auth_method: Option<AuthMethod>,
}

impl Default for Access {
    fn default() -> Self {
        Self {
            role: None,
            enabled: true,
            auth_method: None,
        }
    }
}

impl Access {
    /// Whether it is an owner who can act as one.
    #[must_use]
    pub fn is_enabled_owner(self) -> bool {
        self.enabled && self.role == Some(Role::Owner)
    }
}

/// Where a member came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// What linked it.
    pub source: Source,
    /// The source's own id, unique among live members of the source.
    pub external_id: Option<ExternalId>,
}

/// A member, live or revoked, with all that is managed about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberEntry {
    /// What every integrator sees.
    pub member: Member,
    /// Its number.
    pub number: MemberNumber,
    /// What it is allowed.
    pub access: Access,
    /// Where it came from.
    pub origin: Origin,
    /// Teams it was put in, ascending.
    pub teams: Vec<TeamNumber>,
    /// Its main team.
    pub primary_team: TeamNumber,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When it was last seen, within a minute.
    pub last_seen_at: Option<Timestamp>,
    /// When its link ended.
    pub revoked_at: Option<Timestamp>,
    /// When its personal data was removed.
    pub erased_at: Option<Timestamp>,
    /// Grows with every change.
    pub version: i64,
}
