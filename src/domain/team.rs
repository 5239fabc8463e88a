//! Teams: named groups inside one organization.

use super::{TeamNumber, Timestamp, text::text};

text!(
    /// A team's handle, unique in its organization. On the wire it is the team's `key`.
    TeamSlug, max 64
);
text!(
    TeamName, max 255
);

/// A slug keeps all the rules of a name.
impl From<&TeamSlug> for TeamName {
    fn from(slug: &TeamSlug) -> Self {
        Self(slug.0.clone())
    }
}

/// A group of members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Team {
    /// Names it in the organization.
    pub number: TeamNumber,
    /// Unique in the organization.
    pub slug: TeamSlug,
    /// Not unique.
    pub name: TeamName,
    pub created_at: Timestamp,
}

impl Team {
    /// An organization's first team, as it is made.
    #[must_use]
    pub fn root(number: TeamNumber, created_at: Timestamp) -> Self {
        Self {
            number,
            slug: TeamSlug("root".to_owned()),
            name: TeamName("Root".to_owned()),
            created_at,
        }
    }
}
