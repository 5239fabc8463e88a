//! Teams: named groups inside one organization.

use super::{TeamNumber, Timestamp, text::text};

text!(
    /// A team's handle, unique in its organization.
    TeamKey, max 64
);
text!(
    /// A team's name.
    TeamName, max 255
);

/// A group of members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Team {
    /// Its number.
    pub number: TeamNumber,
    /// Its handle.
    pub key: TeamKey,
    /// Its name.
    pub name: TeamName,
    /// When it was made.
    pub created_at: Timestamp,
}
