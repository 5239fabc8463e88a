//! Members, for internal services and operators.

use serde::{Deserialize, Serialize};

use super::{Area, Caller, Directory, Read, ServiceError, Write};
use crate::{
    domain::{
        Event, ExternalId, HeldAddress, MemberEntry, MemberId, MemberNumber, MemberPatch, Origin, Page,
        Source, UserId,
    },
    storage::{
        Answer, Association, Cursor, Erasure, EventQuery, LinkMember, Linked, MemberFilter, MemberKey,
        MemberOrder, MemberQuery, Missing, Once,
    },
};

/// Whom to link to an organization, and what it knows of them.
#[derive(Clone, Debug, Default)]
pub struct LinkRequest {
    /// A user who must exist. None: the one whom the address leads to, or a new one.
    pub user_id: Option<UserId>,
    /// Where the link comes from.
    pub source: Source,
    /// The source's own id.
    pub external_id: Option<ExternalId>,
    /// The values of a new link; those that differ are changed in one that is there. Without a portal role, a role and `staff`
    /// the member becomes an end user; one who is keeps the portal role.
    pub values: MemberPatch,
    /// Do nothing about a member who has a role already.
    pub only_without_role: bool,
    /// Link staff: without a role among the values, with the one that the member has, or else the organization's default.
    pub staff: bool,
}

/// One page of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberPage {
    /// In the order asked for.
    pub members: Vec<MemberEntry>,
    /// Where the next page begins, if there is one.
    pub next: Option<Cursor>,
    /// How many there are on all pages, if they were counted.
    pub total: Option<u64>,
}

/// Many members, looked up by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// In the order asked for, each once.
    pub found: Vec<MemberEntry>,
    /// The rest, in the order asked for, each once.
    pub not_found: Vec<MemberId>,
}

/// A page of everything that is held about a user in one organization.
#[derive(Clone, Debug)]
pub struct ExportPage {
    /// In order.
    pub entries: Vec<Exported>,
    /// Whether there is another page.
    pub more: bool,
}

/// One thing that is held about a user.
#[derive(Clone, Debug)]
pub enum Exported {
    /// A link, live or not.
    Link(MemberEntry),
    /// An address of a link.
    Address(HeldAddress),
    /// An event of a link.
    Event(Event),
}

/// What an export has reached. Links come first, then addresses, then events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExportPlace {
    /// Nothing.
    #[default]
    Start,
    /// The link with this number.
    Link(i64),
    /// The address that the link with this number had before this version.
    Address(i64, i64),
    /// The event with this number.
    Event(i64),
}

impl Exported {
    /// Its place in the export.
    #[must_use]
    pub const fn place(&self) -> ExportPlace {
        match self {
            Self::Link(entry) => ExportPlace::Link(entry.number.0),
            Self::Address(address) => ExportPlace::Address(address.number.0, address.version),
            Self::Event(event) => ExportPlace::Event(event.sequence),
        }
    }
}

impl ExportPlace {
    const fn link(self) -> Option<MemberNumber> {
        match self {
            Self::Link(number) => Some(MemberNumber(number)),
            Self::Start | Self::Address(..) | Self::Event(_) => None,
        }
    }

    const fn address(self) -> Option<(MemberNumber, i64)> {
        match self {
            Self::Address(number, version) => Some((MemberNumber(number), version)),
            Self::Start | Self::Link(_) | Self::Event(_) => None,
        }
    }

    const fn event(self) -> i64 {
        match self {
            Self::Event(sequence) => sequence,
            Self::Start | Self::Link(_) | Self::Address(..) => 0,
        }
    }
}

impl Directory {
    /// Links a user to an organization, or finds and updates the live link that is there.
    ///
    /// # Errors
    ///
    /// As [`crate::storage::MemberStore::link_member`] says.
    pub async fn link_member(
        &self,
        grant: Write,
        link: LinkRequest,
        once: Once<Linked>,
    ) -> Result<Answer<Linked>, ServiceError> {
        let change = self.change_from(grant.actor, Some(link.source.clone()));
        let link = LinkMember {
            id: MemberId::new(change.at, &*self.random)?,
            new_user_id: UserId::new(&*self.random)?,
            user_id: link.user_id,
            origin: Origin {
                source: link.source,
                external_id: link.external_id,
            },
            values: link.values,
            only_without_role: link.only_without_role,
            staff: link.staff,
        };
        Ok(self
            .storage
            .link_member(grant.organization, link, once, change)
            .await?)
    }

    /// One member. A revoked one is found only if asked for, and only by id or number.
    ///
    /// # Errors
    ///
    /// [`Missing::Member`].
    pub async fn member(
        &self,
        grant: Read,
        key: MemberKey,
        include_revoked: bool,
    ) -> Result<MemberEntry, ServiceError> {
        let found = self
            .storage
            .member(grant.organization, key, include_revoked)
            .await?;
        found.ok_or(ServiceError::NotFound(Missing::Member))
    }

    /// Many members by id.
    ///
    /// # Errors
    ///
    /// Only those of the storage.
    pub async fn members_by_id(
        &self,
        grant: Read,
        ids: Vec<MemberId>,
        include_revoked: bool,
    ) -> Result<Batch, ServiceError> {
        let mut wanted = Vec::with_capacity(ids.len());
        for id in ids {
            if !wanted.contains(&id) {
                wanted.push(id);
            }
        }
        let found = self
            .storage
            .members_by_id(grant.organization, wanted.clone(), include_revoked)
            .await?;
        let mut found: std::collections::HashMap<_, _> =
            found.into_iter().map(|entry| (entry.member.id, entry)).collect();
        let mut batch = Batch::default();
        for id in wanted {
            match found.remove(&id) {
                Some(entry) => batch.found.push(entry),
                None => batch.not_found.push(id),
            }
        }
        Ok(batch)
    }

    /// One page of live members.
    ///
    /// # Errors
    ///
    /// Only those of the storage.
    pub async fn members(&self, grant: Read, mut query: MemberQuery) -> Result<MemberPage, ServiceError> {
        let (limit, order) = (query.limit, query.order);
        // One more tells whether there is another page.
        query.limit = limit.saturating_add(1);
        let members = self.storage.members(grant.organization, query).await?;
        Ok(page(members, limit, order))
    }

    /// One page of live members with the number of those on all pages, both of the same moment.
    ///
    /// # Errors
    ///
    /// Only those of the storage.
    pub async fn members_counted(
        &self,
        grant: Read,
        mut query: MemberQuery,
    ) -> Result<MemberPage, ServiceError> {
        let (limit, order) = (query.limit, query.order);
        query.limit = limit.saturating_add(1);
        let (members, total) = self.storage.members_counted(grant.organization, query).await?;
        Ok(MemberPage {
            total: Some(total),
            ..page(members, limit, order)
        })
    }

    /// How many live members the filter lets through.
    ///
    /// # Errors
    ///
    /// Only those of the storage.
    pub async fn count_members(&self, grant: Read, filter: MemberFilter) -> Result<u64, ServiceError> {
        Ok(self.storage.count_members(grant.organization, filter).await?)
    }

    /// Changes a live member.
    ///
    /// # Errors
    ///
    /// As [`crate::storage::MemberStore::update_member`] says.
    pub async fn update_member(
        &self,
        grant: Write,
        member: MemberId,
        patch: MemberPatch,
        version: Option<i64>,
    ) -> Result<MemberEntry, ServiceError> {
        let change = self.change(grant.actor);
        Ok(self
            .storage
            .update_member(grant.organization, member, patch, version, change)
            .await?)
    }

    /// Ends a live member's link at once.
    ///
    /// # Errors
    ///
    /// As [`crate::storage::MemberStore::revoke_member`] says.
    pub async fn revoke_member(
        &self,
        grant: Write,
        member: MemberId,
        version: Option<i64>,
    ) -> Result<MemberEntry, ServiceError> {
        let change = self.change(grant.actor);
        Ok(self
            .storage
            .revoke_member(grant.organization, member, version, change)
            .await?)
    }

    /// Makes a revoked member live again.
    ///
    /// # Errors
    ///
    /// As [`crate::storage::MemberStore::restore_member`] says.
    pub async fn restore_member(&self, grant: Write, member: MemberId) -> Result<MemberEntry, ServiceError> {
        let change = self.change(grant.actor);
        Ok(self
            .storage
            .restore_member(grant.organization, member, change)
            .await?)
    }

    /// Removes a member's personal data for good.
    ///
    /// # Errors
    ///
    /// As [`crate::storage::MemberStore::erase_member`] says.
    pub async fn erase_member(&self, grant: Write, member: MemberId) -> Result<Erasure, ServiceError> {
        let change = self.change(grant.actor);
        Ok(self
            .storage
            .erase_member(grant.organization, member, change)
            .await?)
    }

    /// A page of everything that is held about a user in the organization: the links, then the addresses, then the events.
    ///
    /// # Errors
    ///
    /// [`Missing::User`]: there never was a link here.
    pub async fn export_user(
        &self,
        grant: Read,
        user: UserId,
        after: ExportPlace,
        limit: u32,
    ) -> Result<ExportPage, ServiceError> {
        let organization = grant.organization;
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        // One more tells whether there is another page.
        let missing = |entries: &Vec<_>| {
            let missing = wanted.saturating_add(1).saturating_sub(entries.len());
            u32::try_from(missing).unwrap_or(u32::MAX)
        };
        let mut entries = Vec::new();
        if let ExportPlace::Start | ExportPlace::Link(_) = after {
            let page = Page {
                after: after.link(),
                limit: missing(&entries),
            };
            let links = self.storage.links_of_user(organization, user, page).await?;
            if links.is_empty() && after == ExportPlace::Start {
                return Err(ServiceError::NotFound(Missing::User));
            }
            entries.extend(links.into_iter().map(Exported::Link));
        }
        if !matches!(after, ExportPlace::Event(_)) && missing(&entries) > 0 {
            let page = Page {
                after: after.address(),
                limit: missing(&entries),
            };
            let addresses = self.storage.addresses_of_user(organization, user, page).await?;
            entries.extend(addresses.into_iter().map(Exported::Address));
        }
        if missing(&entries) > 0 {
            let query = EventQuery {
                after: after.event(),
                limit: missing(&entries),
                user: Some(user),
                kinds: Vec::new(),
            };
            let events = self.storage.events(Some(organization), query).await?;
            entries.extend(events.into_iter().map(Exported::Event));
        }
        let more = entries.len() > wanted;
        entries.truncate(wanted);
        Ok(ExportPage { entries, more })
    }

    /// The organizations that a user is linked to, as far as the key may see them.
    ///
    /// # Errors
    ///
    /// [`ServiceError::InvalidApiKey`].
    pub async fn associations(
        &self,
        caller: &Caller,
        user: UserId,
    ) -> Result<Vec<Association>, ServiceError> {
        caller.check(Area::Directory)?;
        let organization = caller.key.organization_id;
        Ok(self.storage.associations(user, organization).await?)
    }

    /// Notes that a live member was active now. It is written down some moments later.
    ///
    /// # Errors
    ///
    /// [`Missing::Member`].
    pub async fn record_seen(&self, grant: Write, member: MemberId) -> Result<(), ServiceError> {
        let read = Read {
            organization: grant.organization,
        };
        let entry = self.member(read, MemberKey::Id(member), false).await?;
        self.touches.seen(grant.organization, &entry, self.clock.now());
        Ok(())
    }
}

/// The page of a list that was asked for one more.
fn page(mut members: Vec<MemberEntry>, limit: u32, order: MemberOrder) -> MemberPage {
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = members.len() > wanted;
    members.truncate(wanted);
    let next = members.last().filter(|_| more).map(|last| Cursor {
        number: last.number,
        name: match order {
            MemberOrder::Name => last.member.profile.name.clone().map(Into::into),
            MemberOrder::Number => None,
        },
    });
    MemberPage {
        members,
        next,
        total: None,
    }
}
