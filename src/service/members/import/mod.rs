//! Importing: many links at once. Most rows of a file are of people who are new, have not changed, or are described otherwise; they
//! are found and written together. Each of the others is linked by the rule of one link.

mod plan;

use std::{collections::HashSet, convert::Infallible, sync::Arc, time::Duration};

use thiserror::Error;
use tokio::time::Instant;

use self::plan::{Known, Plan, Planned, after, email, seen};
use super::{
    addresses::user_of,
    link::{NewIds, fresh, link_member},
};
use crate::{
    domain::{
        Change, Conflict, EventKind, ImportRow, LinkOutcome, LinkRequest, Member, MemberId, MemberNumber,
        OrganizationId, Precondition, Resource,
    },
    service::{
        Directory, Result, ServiceError, Write,
        acting::may_change,
        rules::{Transaction, live_organization},
    },
    storage::{MemberEvent, StoreError, Verdict, shares::Limits},
};

/// Which rows are linked alone in one transaction: so many, each of which takes a millisecond or two in a PostgreSQL that is near, and
/// the more of them there were, the more; and those that are begun in this time, because no storage keeps a transaction for long.
const ALONE: Alone = Alone {
    rows: 500,
    time: Duration::from_secs(3),
};

/// Transactions of imports at a time. Each may keep an SQLite file for a good part of a second, and all who write wait for those before
/// them: so one organization has one of them, however many of its callers import or rehearse.
pub(in crate::service) const IMPORTS: Limits = Limits {
    places: 2,
    each: 1,
    waiting: 64,
};

/// Rows that are found together, and people who are written together: those whose addresses are next to each other, which lie together
/// in indexes. Of more, what is kept of each while that is done would fill memory.
const FOUND: usize = 1_000;
const WRITTEN: usize = 8_000;

/// The field of which a change is no event.
const SEEN: &str = "last_seen_at";

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Imported {
    /// There was no live link; now there is.
    Created(MemberId),
    /// There was one, and it was changed.
    Updated(MemberId),
    /// There was one, and nothing about it changed.
    Unchanged(MemberId),
    /// Nothing happened.
    Rejected(Rejection),
}

/// Why a row is not taken.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Rejection {
    /// Nobody could be found by it again.
    #[error("there is neither an address nor an external id")]
    Unidentified,
    #[error(transparent)]
    NotFound(Resource),
    #[error(transparent)]
    Conflict(Conflict),
    #[error(transparent)]
    Precondition(Precondition),
}

impl Rejection {
    /// # Errors
    ///
    /// The error itself, if it is not about the row.
    fn of(error: ServiceError) -> Result<Self> {
        match error {
            ServiceError::NotFound(Resource::Team) => Ok(Self::NotFound(Resource::Team)),
            ServiceError::Conflict(conflict) => Ok(Self::Conflict(conflict)),
            ServiceError::Precondition(state) => Ok(Self::Precondition(state)),
            error => Err(error),
        }
    }
}

/// Rows that are linked alone, by their number and by the time since the transaction began. One is, however long that took.
#[derive(Clone, Copy)]
pub struct Alone {
    rows: usize,
    time: Duration,
}

/// What would have become of the rows: an error to the transaction, which undoes it.
enum Rehearsed {
    Done(Outcomes),
    Failed(ServiceError),
}

impl From<StoreError> for Rehearsed {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

type Input = (OrganizationId, Arc<Vec<ImportRow>>, Vec<NewIds>, Change);

/// What became of rows. None: nothing yet.
type Outcomes = Vec<Option<Imported>>;

impl Directory {
    /// Links people by the rows of a file, each as [`Self::link_member`] does and in their order. Thousands at most are in one
    /// transaction, which others wait for; if one fails, those before it have happened. A row that is rejected leaves the others
    /// alone. The same rows again change nothing.
    ///
    /// # Errors
    ///
    /// [`Resource::Organization`]. [`ServiceError::RoleRequired`]. [`ServiceError::Overloaded`]: too many imports of the organization
    /// wait.
    pub async fn import_members(&self, grant: Write, rows: Arc<Vec<ImportRow>>) -> Result<Vec<Imported>> {
        let mut outcomes = self.import_part(grant.clone(), rows.clone()).await?;
        loop {
            let left = (0..rows.len()).filter(|place| outcomes[*place].is_none());
            let places: Vec<_> = left.take(ALONE.rows).collect();
            if places.is_empty() {
                return Ok(outcomes.into_iter().flatten().collect());
            }
            let part: Vec<_> = places.iter().map(|place| rows[*place].clone()).collect();
            let part = self.import_part(grant.clone(), part.into()).await?;
            for (place, outcome) in places.into_iter().zip(part) {
                outcomes[place] = outcome;
            }
        }
    }

    /// All rows, but for those that are more than [`ALONE`].
    async fn import_part(&self, grant: Write, rows: Arc<Vec<ImportRow>>) -> Result<Outcomes> {
        let _place = self.imports.place(Some(grant.organization)).await?;
        let (organization, input) = self.import(grant, rows)?;
        let imported = self
            .storage
            .write(organization, input, |tx, (organization, rows, ids, change)| {
                Box::pin(import_members(tx, *organization, rows, ids, change, ALONE))
            });
        imported.await
    }

    /// What [`Self::import_members`] would do now. Nothing changes.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn rehearse_import(&self, grant: Write, rows: Arc<Vec<ImportRow>>) -> Result<Vec<Imported>> {
        let _place = self.imports.place(Some(grant.organization)).await?;
        let (organization, input) = self.import(grant, rows)?;
        let rehearsed = self
            .storage
            .write(organization, input, |tx, (organization, rows, ids, change)| {
                Box::pin(async move {
                    let all = Alone {
                        rows: rows.len(),
                        time: Duration::MAX,
                    };
                    let imported = import_members(tx, *organization, rows, ids, change, all).await;
                    Err::<Infallible, _>(imported.map_or_else(Rehearsed::Failed, Rehearsed::Done))
                })
            });
        match rehearsed.await {
            Err(Rehearsed::Done(imported)) => Ok(imported.into_iter().flatten().collect()),
            Err(Rehearsed::Failed(error)) => Err(error),
        }
    }

    fn import(&self, grant: Write, rows: Arc<Vec<ImportRow>>) -> Result<(OrganizationId, Input)> {
        let organization = grant.organization;
        let change = self.change(grant.author);
        let ids = rows.iter().map(|_| self.new_ids(change.at));
        let ids = ids.collect::<Result<_>>()?;
        Ok((organization, (organization, rows, ids, change)))
    }
}

/// The rule of [`Directory::import_members`], with the ids that each row may need. Of those that are left nothing has become yet.
///
/// # Errors
///
/// As there.
pub async fn import_members(
    tx: &mut dyn Transaction,
    organization: OrganizationId,
    rows: &[ImportRow],
    ids: &[NewIds],
    change: &Change,
    alone: Alone,
) -> Result<Outcomes> {
    let begun = Instant::now();
    live_organization(tx, organization).await?;
    let mut rows: Vec<_> = rows.iter().zip(ids.iter().copied()).collect();
    let mut plan = Plan::new(&rows);
    let mut in_order: Vec<_> = rows.iter().map(|(row, _)| *row).enumerate().collect();
    in_order.sort_by_key(|(_, row)| email(row));
    let emails: Vec<_> = in_order
        .iter()
        .filter_map(|(_, row)| email(row))
        .cloned()
        .collect();
    tx.hold_addresses(&emails).await?;
    for together in in_order.chunks(FOUND) {
        let known = Known::of(tx, organization, together).await?;
        for (place, row) in together {
            plan.add(*place, row, &known);
        }
    }
    let is_over = || begun.elapsed() >= alone.time;
    find_users(tx, organization, &mut rows, &mut plan, is_over).await?;
    create(tx, organization, &mut rows, &plan, change).await?;
    describe(tx, organization, &rows, &mut plan, change).await?;
    let mut imported = Vec::with_capacity(rows.len());
    let mut taken = 0;
    for (&(row, new), planned) in rows.iter().zip(plan.rows) {
        imported.push(match planned {
            Planned::Done(imported) => Some(imported),
            Planned::New | Planned::Known => Some(Imported::Created(new.member)),
            Planned::Left => None,
            Planned::Described | Planned::Alone
                if taken == alone.rows || (taken > 0 && begun.elapsed() >= alone.time) =>
            {
                None
            }
            Planned::Described | Planned::Alone => {
                taken += 1;
                Some(import_alone(tx, organization, row, new, change).await?)
            }
        });
    }
    Ok(imported)
}

/// Finds whom addresses lead to, in the order of the rows, of which the first has the user to whom several lead. Once time is over, all who
/// are new are left from there on: so numbers tell of nobody whether the address was known.
async fn find_users(
    tx: &mut dyn Transaction,
    organization: OrganizationId,
    rows: &mut [(&ImportRow, NewIds)],
    plan: &mut Plan,
    is_over: impl Fn() -> bool,
) -> Result<()> {
    let mut users = HashSet::new();
    let mut is_left = false;
    let mut looked_for = 0;
    for ((row, ids), planned) in rows.iter_mut().zip(&mut plan.rows) {
        is_left |= *planned == Planned::Known && looked_for > 0 && is_over();
        match (&planned, email(row)) {
            (Planned::New | Planned::Known, _) if is_left => *planned = Planned::Left,
            (Planned::Known, Some(email)) => {
                looked_for += 1;
                let user = user_of(tx, organization, email).await?;
                ids.user = user.filter(|user| users.insert(*user)).unwrap_or(ids.user);
            }
            _ => {}
        }
    }
    Ok(())
}

/// Links people who are new. Their numbers are in the order of their rows.
async fn create(
    tx: &mut dyn Transaction,
    organization: OrganizationId,
    rows: &mut [(&ImportRow, NewIds)],
    plan: &Plan,
    change: &Change,
) -> Result<()> {
    let new = plan.rows.iter().enumerate();
    let is_new = |planned: Planned| matches!(planned, Planned::New | Planned::Known);
    let new: Vec<_> = new.filter(|(_, planned)| is_new(**planned)).collect();
    if new.is_empty() {
        return Ok(());
    }
    let MemberNumber(first) = tx.next_member_numbers(organization, new.len()).await?;
    let mut new: Vec<_> = (first..).zip(new.into_iter().map(|(place, _)| place)).collect();
    new.sort_by_key(|(_, place)| email(rows[*place].0));
    deal_ids(rows, new.iter().map(|(_, place)| *place));
    for new in new.chunks(WRITTEN) {
        let members = new.iter().map(|(number, place)| {
            let (row, ids) = &rows[*place];
            let (origin, values) = (row.origin.clone(), row.values.clone());
            Member {
                last_seen_at: seen(row),
                ..fresh(*ids, MemberNumber(*number), change.at, origin, values)
            }
        });
        let members: Vec<_> = members.collect();
        may_change(tx, organization, change, &members.iter().collect::<Vec<_>>()).await?;
        for (member, (_, place)) in members.iter().zip(new) {
            if plan.rows[*place] == Planned::Known {
                tx.make_room(organization, member).await?;
            }
        }
        tx.insert_members(organization, &members).await?;
        let events = members.iter().map(|member| MemberEvent {
            member,
            fields: Member::changes(None, member),
            source: &member.origin.source,
        });
        let events: Vec<_> = events.collect();
        tx.append_events(organization, EventKind::MemberLinked, &events, change)
            .await?;
    }
    Ok(())
}

/// Changes members who are described otherwise.
async fn describe(
    tx: &mut dyn Transaction,
    organization: OrganizationId,
    rows: &[(&ImportRow, NewIds)],
    plan: &mut Plan,
    change: &Change,
) -> Result<()> {
    let described = rows.iter().map(|(row, _)| *row).enumerate();
    let described = described.filter(|(place, _)| plan.rows[*place] == Planned::Described);
    let mut described: Vec<_> = described.collect();
    described.sort_by_key(|(_, row)| email(row));
    for together in described.chunks(FOUND) {
        // They are read again: all of them would not be kept in memory.
        let known = Known::of(tx, organization, together).await?;
        let (mut members, mut fields) = (Vec::new(), Vec::new());
        for (place, row) in together {
            let Some(before) = known.member(row) else { continue };
            let mut after = after(before, row);
            // That somebody was seen is no event.
            let mut changed = Member::changes(Some(before), &after);
            changed.retain(|field| *field != SEEN);
            if !changed.is_empty() {
                after.version += 1;
                after.updated_at = change.at;
            }
            plan.rows[*place] = Planned::Done(Imported::Updated(before.id));
            members.push((before.clone(), after));
            fields.push((changed, &row.origin.source));
        }
        let both: Vec<_> = members
            .iter()
            .flat_map(|(before, after)| [before, after])
            .collect();
        may_change(tx, organization, change, &both).await?;
        tx.describe_members(organization, &members).await?;
        let events = members
            .iter()
            .zip(fields)
            .map(|((_, member), (fields, source))| MemberEvent {
                member,
                fields,
                source,
            });
        let events: Vec<_> = events.filter(|event| !event.fields.is_empty()).collect();
        tx.append_events(organization, EventKind::MemberUpdated, &events, change)
            .await?;
    }
    Ok(())
}

/// Deals the ids of new members anew among them, in ascending order: those who are written one after the other then also lie together
/// in indexes of ids. Those of users stay as they are: where all of a file's but a few were in order, these few would be of people whom
/// other organizations know.
fn deal_ids(rows: &mut [(&ImportRow, NewIds)], places: impl Iterator<Item = usize> + Clone) {
    let mut members: Vec<_> = places.clone().map(|place| rows[place].1.member).collect();
    members.sort_unstable();
    for (place, member) in places.zip(members) {
        rows[place].1.member = member;
    }
}

/// Links somebody by the rule of one link.
async fn import_alone(
    tx: &mut dyn Transaction,
    organization: OrganizationId,
    row: &ImportRow,
    new: NewIds,
    change: &Change,
) -> Result<Imported> {
    tx.begin_part().await?;
    let (verdict, imported) = match link_alone(tx, organization, row, new, change).await {
        Ok(imported) => (Verdict::Commit, imported),
        Err(error) => (Verdict::Undo, Imported::Rejected(Rejection::of(error)?)),
    };
    tx.end_part(verdict).await?;
    Ok(imported)
}

async fn link_alone(
    tx: &mut dyn Transaction,
    organization: OrganizationId,
    row: &ImportRow,
    new: NewIds,
    change: &Change,
) -> Result<Imported> {
    let request = LinkRequest {
        origin: row.origin.clone(),
        values: row.values.clone(),
        ..LinkRequest::default()
    };
    let change = Change {
        source: Some(row.origin.source.clone()),
        ..change.clone()
    };
    let linked = link_member(tx, organization, &request, new, &change).await?;
    let id = linked.member.id;
    let seen = seen(row).filter(|at| Some(*at) > linked.member.last_seen_at);
    if let Some(at) = seen {
        tx.record_seen(organization, id, at, change.at).await?;
    }
    Ok(match linked.outcome {
        LinkOutcome::Created => Imported::Created(id),
        LinkOutcome::Unchanged if seen.is_none() => Imported::Unchanged(id),
        LinkOutcome::Updated | LinkOutcome::Unchanged => Imported::Updated(id),
    })
}
