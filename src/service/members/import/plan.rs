//! What is to be done about the rows of an import, by what the directory has of those whom they are about.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Imported, Rejection};
use crate::{
    domain::{
        Email, ExternalId, ImportRow, Member, MemberId, OrganizationId, Profile, Source, TeamNumber,
        Timestamp,
    },
    service::{
        Result,
        members::link::{NewIds, refreshed},
        rules::Transaction,
    },
};

/// What the directory has of those whom rows are about.
pub(super) struct Known {
    by_email: HashMap<Email, Member>,
    by_external_id: HashMap<(Source, ExternalId), Member>,
    /// Addresses that may lead to somebody.
    linked: HashSet<Email>,
}

impl Known {
    pub(super) async fn of(
        tx: &mut dyn Transaction,
        organization: OrganizationId,
        rows: &[(usize, &ImportRow)],
    ) -> Result<Self> {
        let emails: Vec<_> = rows.iter().filter_map(|(_, row)| email(row)).cloned().collect();
        let mut ids = BTreeMap::<_, Vec<_>>::new();
        for (_, row) in rows {
            if let Some(id) = &row.origin.external_id {
                ids.entry(&row.origin.source).or_default().push(id.clone());
            }
        }
        let mut by_external_id = HashMap::new();
        for (source, ids) in ids {
            for member in tx.members_by_external_id(organization, source, &ids).await? {
                if let Some(id) = member.origin.external_id.clone() {
                    by_external_id.insert((source.clone(), id), member);
                }
            }
        }
        // Those of this organization's members are among them.
        let linked = tx.linked_addresses(&emails).await?;
        let found = tx.members_by_email(organization, &linked).await?;
        let by_email = found
            .into_iter()
            .filter_map(|member| Some((member.profile.email.clone()?, member)))
            .collect();
        let linked = linked.into_iter().collect();
        Ok(Self {
            by_email,
            by_external_id,
            linked,
        })
    }

    /// The live link that the rule of one link finds.
    pub(super) fn member(&self, row: &ImportRow) -> Option<&Member> {
        let id = row.origin.external_id.clone();
        let by_id = id.and_then(|id| self.by_external_id.get(&(row.origin.source.clone(), id)));
        by_id.or_else(|| self.by_email.get(email(row)?))
    }
}

/// What is to be done about a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Planned {
    /// Nothing.
    Done(Imported),
    /// The person is new.
    New,
    /// The person is new here. The address leads to a user, or led to one.
    Known,
    /// The person is new here, and is left to another transaction.
    Left,
    /// The member is described otherwise.
    Described,
    /// It is linked alone, after those before it.
    Alone,
}

/// What is to be done about each row.
pub(super) struct Plan {
    pub(super) rows: Vec<Planned>,
    /// The row by which each member was found last.
    found: HashMap<MemberId, usize>,
}

impl Plan {
    /// A row that has the address or the external id of one before it is linked alone: it is not known yet what that one changes.
    pub(super) fn new(rows: &[(&ImportRow, NewIds)]) -> Self {
        let (mut emails, mut ids) = (HashSet::new(), HashSet::new());
        let rows = rows.iter().map(|(row, _)| {
            let (email, id) = (email(row), row.origin.external_id.as_ref());
            let same_email = email.is_some_and(|email| !emails.insert(email));
            let same_id = id.is_some_and(|id| !ids.insert((&row.origin.source, id)));
            match (email, id) {
                (None, None) => Planned::Done(Imported::Rejected(Rejection::Unidentified)),
                _ if same_email || same_id => Planned::Alone,
                _ => Planned::New,
            }
        });
        Self {
            rows: rows.collect(),
            found: HashMap::new(),
        }
    }

    /// Decides about a row by what the directory has. Rows may come in any order.
    pub(super) fn add(&mut self, place: usize, row: &ImportRow, known: &Known) {
        let member = known.member(row);
        // Two rows that are about one member, by different keys: the later one sees what the one before it changes.
        let other = member.and_then(|member| self.found.insert(member.id, place));
        if let Some(other) = other {
            self.rows[other] = Planned::Alone;
        }
        if self.rows[place] != Planned::New {
            return;
        }
        let is_linked = email(row).is_some_and(|email| known.linked.contains(email));
        self.rows[place] = match member {
            Some(member) if other.is_none() => {
                let after = after(member, row);
                if after == *member {
                    Planned::Done(Imported::Unchanged(member.id))
                } else if is_described(member, &after) {
                    Planned::Described
                } else {
                    Planned::Alone
                }
            }
            None if !is_simple(row) => Planned::Alone,
            None if is_linked => Planned::Known,
            None => Planned::New,
            Some(_) => Planned::Alone,
        };
    }
}

pub(super) fn email(row: &ImportRow) -> Option<&Email> {
    row.values.email.as_ref()?.as_ref()
}

/// When the person was seen. What is before 1970 is what some programs have for never.
pub(super) fn seen(row: &ImportRow) -> Option<Timestamp> {
    row.last_seen_at.filter(|at| at.as_millis() >= 0)
}

/// Whether it is in no team, and so in the root team.
fn is_simple(row: &ImportRow) -> bool {
    let teams = row.values.teams.as_ref();
    teams.is_none_or(Vec::is_empty)
        && row
            .values
            .primary_team
            .is_none_or(|team| team == TeamNumber::ROOT)
}

/// What a row makes of a member. It is only seen later, and changes nothing by that.
pub(super) fn after(member: &Member, row: &ImportRow) -> Member {
    Member {
        last_seen_at: seen(row).max(member.last_seen_at),
        ..refreshed(member, row.origin.clone(), row.values.clone())
    }
}

/// Whether a row that nothing else is to be asked about makes this of a member: it was found by its external id, or nobody has that.
fn is_described(before: &Member, after: &Member) -> bool {
    let described = Member {
        profile: Profile {
            email: before.profile.email.clone(),
            portal_role: before.profile.portal_role.clone(),
            ..after.profile.clone()
        },
        person: after.person.clone(),
        origin: after.origin.clone(),
        last_seen_at: after.last_seen_at,
        ..before.clone()
    };
    described == *after
}
