//! Which members: names for one, filters and order for many.

use serde::{Deserialize, Serialize};

use super::{Email, ExternalId, Member, MemberId, MemberNumber, Role, Source, TeamNumber, Timestamp, UserId};

/// One way to name a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberRef {
    Id(MemberId),
    Number(MemberNumber),
    /// The user it links. Only a live one.
    UserId(UserId),
    /// Its address, byte for byte. Only a live one.
    Email(Email),
    /// The id that a source has for it. Only a live one.
    ExternalId(Source, ExternalId),
}

/// From a moment on and until before another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeRange {
    pub from: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
}

/// Which live members. What is set must all hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberFilter {
    /// Any of these; None stands for members without a role. Empty: all.
    pub roles: Vec<Option<Role>>,
    /// End users or not.
    pub end_user: Option<bool>,
    pub team: Option<TeamNumber>,
    pub enabled: Option<bool>,
    pub source: Option<Source>,
    /// The address has any of these parts, whatever their letter case. Empty: all.
    pub email_parts: Vec<String>,
    /// The name has any of these parts, whatever their letter case. Empty: all.
    pub name_parts: Vec<String>,
    /// The name or the address has this part, whatever its letter case.
    pub text: Option<String>,
    /// When it was linked.
    pub created: TimeRange,
    /// When it was last seen.
    pub seen: TimeRange,
}

/// Which members who were revoked and are not erased. What is set must all hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokedFilter {
    /// At this moment or later.
    pub from: Timestamp,
    /// The role that they had, as in [`MemberFilter::roles`].
    pub roles: Vec<Option<Role>>,
}

impl From<Timestamp> for RevokedFilter {
    fn from(from: Timestamp) -> Self {
        Self {
            from,
            roles: Vec::new(),
        }
    }
}

impl MemberFilter {
    /// Whether it asks for roles and nothing else.
    #[must_use]
    pub fn is_of_roles(&self) -> bool {
        *self
            == Self {
                roles: self.roles.clone(),
                ..Self::default()
            }
    }
}

/// By what a list is ordered; who is equal comes as it was linked. Members without a value come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MemberOrder {
    /// As they were linked.
    #[default]
    Number,
    /// By name, byte for byte.
    Name,
    /// By address, byte for byte.
    Email,
    /// In the order of [`Role::ALL`].
    Role,
    /// By the moment when they were last seen.
    LastSeen,
}

/// What a member has of what gives an order. A number stands for a role, as [`Role::rank`] says, or for milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SortValue {
    Number(i64),
    Text(String),
}

impl MemberOrder {
    /// None: the member has none, or numbers give the order.
    #[must_use]
    pub fn value(self, member: &Member) -> Option<SortValue> {
        match self {
            Self::Number => None,
            Self::Name => member
                .profile
                .name
                .clone()
                .map(|name| SortValue::Text(name.into())),
            Self::Email => member
                .profile
                .email
                .clone()
                .map(|email| SortValue::Text(email.into())),
            Self::Role => member.access.role.map(|role| SortValue::Number(role.rank())),
            Self::LastSeen => member.last_seen_at.map(|at| SortValue::Number(at.as_millis())),
        }
    }
}

/// The last member of the page before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub number: MemberNumber,
    /// What it has of what gives the order.
    pub value: Option<SortValue>,
}

impl Cursor {
    /// Where the page after a member begins.
    #[must_use]
    pub fn after(member: &Member, order: MemberOrder) -> Self {
        Self {
            number: member.number,
            value: order.value(member),
        }
    }
}

/// Most members to pass over in a read that is short.
const SHORT_SKIP: u64 = 10_000;

/// One page of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberQuery {
    pub filter: MemberFilter,
    pub order: MemberOrder,
    /// The other way round.
    pub descending: bool,
    /// Where the page before ended.
    pub after: Option<Cursor>,
    /// How many to pass over from there.
    pub skip: u64,
    /// The most members to return.
    pub limit: u32,
}

impl MemberQuery {
    /// Whether the page is read from an index, from where it begins: whatever the filter lets through comes one after the
    /// other.
    #[must_use]
    pub fn is_short(&self) -> bool {
        let filter = MemberFilter {
            roles: Vec::new(),
            team: None,
            ..self.filter.clone()
        };
        let (roles, team) = (&self.filter.roles, self.filter.team);
        let in_order = match self.order {
            MemberOrder::Number => roles.is_empty() || (team.is_none() && !roles.contains(&None)),
            MemberOrder::Name | MemberOrder::Email | MemberOrder::Role | MemberOrder::LastSeen => {
                roles.is_empty() && team.is_none()
            }
        };
        in_order && self.skip <= SHORT_SKIP && filter == MemberFilter::default()
    }

    /// The same page, read from the nearer end of a list of this many, and whether that is the far one: then the members
    /// come the other way round.
    #[must_use]
    pub fn from_nearer_end(self, total: u64) -> (Self, bool) {
        let wanted = self.skip.saturating_add(self.limit.into());
        let behind = total.saturating_sub(wanted);
        if self.after.is_some() || self.skip <= behind {
            return (self, false);
        }
        let there = total.saturating_sub(self.skip).min(self.limit.into());
        let query = Self {
            descending: !self.descending,
            skip: behind,
            limit: u32::try_from(there).unwrap_or(self.limit),
            ..self
        };
        (query, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_may_look_at_everybody_is_not_short() {
        let of = |filter: MemberFilter| MemberQuery {
            filter,
            ..MemberQuery::default()
        };
        let staff = MemberFilter {
            roles: Role::ALL.iter().copied().map(Some).collect(),
            ..MemberFilter::default()
        };
        let by_name = |filter| MemberQuery {
            order: MemberOrder::Name,
            ..of(filter)
        };
        let team = MemberFilter {
            team: Some(TeamNumber(2)),
            ..MemberFilter::default()
        };
        for short in [
            of(MemberFilter::default()),
            by_name(MemberFilter::default()),
            MemberQuery {
                order: MemberOrder::LastSeen,
                ..MemberQuery::default()
            },
            of(staff.clone()),
            of(team.clone()),
        ] {
            assert!(short.is_short(), "{short:?}");
        }
        let part = MemberFilter {
            name_parts: vec!["zz".to_owned()],
            ..MemberFilter::default()
        };
        let enabled = MemberFilter {
            enabled: Some(false),
            ..MemberFilter::default()
        };
        let text = MemberFilter {
            text: Some("sally".to_owned()),
            ..MemberFilter::default()
        };
        let far = MemberQuery {
            skip: SHORT_SKIP + 1,
            ..MemberQuery::default()
        };
        for long in [
            of(part),
            of(text),
            of(enabled),
            by_name(staff),
            by_name(team),
            far,
        ] {
            assert!(!long.is_short(), "{long:?}");
        }
    }

    #[test]
    fn every_page_is_the_same_from_either_end() {
        for total in 0..12_u64 {
            let list: Vec<_> = (0..total).collect();
            for skip in 0..14 {
                for limit in 1..6 {
                    let query = MemberQuery {
                        skip,
                        limit,
                        ..MemberQuery::default()
                    };
                    let read = |query: &MemberQuery| -> Vec<u64> {
                        let mut list = list.clone();
                        if query.descending {
                            list.reverse();
                        }
                        let (skip, limit) = (query.skip, query.limit);
                        list.into_iter()
                            .skip(usize::try_from(skip).unwrap())
                            .take(usize::try_from(limit).unwrap())
                            .collect()
                    };
                    let expected = read(&query);
                    let (query, reversed) = query.from_nearer_end(total);
                    assert!(query.skip <= total / 2, "{skip} {limit} of {total}: {query:?}");
                    let mut found = read(&query);
                    if reversed {
                        found.reverse();
                    }
                    assert_eq!(found, expected, "{skip} {limit} of {total}");
                }
            }
        }
    }
}
