//! Members, for internal services and operators: reading them. Each kind of change has a file of its own.

mod addresses;
mod all;
mod change;
mod erase;
mod export;
mod import;
mod link;

use std::collections::{HashMap, HashSet};

pub use self::{
    all::AllPlace,
    change::{restore_member, revoke_member, update_member},
    erase::erase_member,
    export::{ExportPlace, Exported},
    import::{Imported, Rejection, import_members},
    link::{NewIds, link_member},
};
pub(super) use self::{change::save_by_itself, import::IMPORTS};
use super::{Admin, Area, Caller, Directory, Read, Result, Write};
use crate::domain::{
    Association, Cursor, Member, MemberId, MemberNumber, MemberOrder, MemberQuery, MemberRef, Page,
    PageRequest, Resource, RevokedFilter, Timestamp, UserId, one_more,
};

/// One page of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberPage {
    /// In the order asked for.
    pub members: Vec<Member>,
    /// Where the next page begins, if there is one.
    pub next: Option<Cursor>,
    /// How many there are on all pages, if they were counted.
    pub total: Option<u64>,
}

/// Many members, looked up by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// In the order asked for, each once.
    pub found: Vec<Member>,
    /// The rest, in the order asked for, each once.
    pub not_found: Vec<MemberId>,
}

impl Directory {
    /// One member. A revoked one is found only if asked for, and only by id or number.
    ///
    /// # Errors
    ///
    /// [`Resource::Member`].
    pub async fn member(&self, grant: Read, member: MemberRef, include_revoked: bool) -> Result<Member> {
        let found = self.storage.member(grant.organization, &member).await?;
        let found = found.filter(|found| include_revoked || found.is_live());
        found.ok_or(Resource::Member.into())
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
    ) -> Result<Batch> {
        let mut seen = HashSet::with_capacity(ids.len());
        let wanted: Vec<_> = ids.into_iter().filter(|id| seen.insert(*id)).collect();
        let found = self.storage.members_by_id(grant.organization, &wanted).await?;
        let found = found
            .into_iter()
            .filter(|member| include_revoked || member.is_live());
        let mut found: HashMap<_, _> = found.map(|member| (member.id, member)).collect();
        let mut batch = Batch::default();
        for id in wanted {
            match found.remove(&id) {
                Some(member) => batch.found.push(member),
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
    pub async fn members(&self, grant: Read, mut query: MemberQuery) -> Result<MemberPage> {
        let (limit, order) = (query.limit, query.order);
        query.limit = one_more(limit);
        let members = self.storage.members(grant.organization, query).await?;
        Ok(MemberPage::of(Page::of(members, limit), order))
    }

    /// One page of live members with the number of those on all pages, both of the same moment.
    ///
    /// # Errors
    ///
    /// Only those of the storage.
    pub async fn members_counted(&self, grant: Read, mut query: MemberQuery) -> Result<MemberPage> {
        let (limit, order) = (query.limit, query.order);
        query.limit = one_more(limit);
        let (members, total) = self.storage.members_counted(grant.organization, query).await?;
        Ok(MemberPage {
            total: Some(total),
            ..MemberPage::of(Page::of(members, limit), order)
        })
    }

    /// One page of the members who were revoked, the last first; of one moment, the one with the higher number.
    ///
    /// # Errors
    ///
    /// Only those of the storage.
    pub async fn revoked_members(
        &self,
        grant: Read,
        filter: RevokedFilter,
        page: PageRequest<(Timestamp, MemberNumber)>,
    ) -> Result<Page<Member>> {
        let limit = page.limit;
        let page = PageRequest {
            limit: one_more(limit),
            ..page
        };
        let members = self.storage.revoked_members(grant.organization, filter, page);
        Ok(Page::of(members.await?, limit))
    }

    /// The organizations that a user is linked to, as far as the key may see them.
    ///
    /// # Errors
    ///
    /// [`crate::service::ServiceError::InvalidApiKey`].
    pub async fn associations(&self, caller: &Caller, user: UserId) -> Result<Vec<Association>> {
        caller.check(Area::Directory)?;
        let organization = caller.organization();
        Ok(self.storage.associations(user, organization).await?)
    }

    /// All organizations that a user is linked to.
    ///
    /// # Errors
    ///
    /// [`crate::service::ServiceError::DeploymentKeyRequired`].
    pub async fn all_associations(&self, grant: Admin, user: UserId) -> Result<Vec<Association>> {
        grant.covers_all()?;
        Ok(self.storage.associations(user, None).await?)
    }

    /// Notes that a live member was active now. It is written down some moments later.
    ///
    /// # Errors
    ///
    /// [`Resource::Member`].
    pub async fn record_seen(&self, grant: Write, member: MemberId) -> Result<()> {
        let read = Read {
            organization: grant.organization,
        };
        let found = self.member(read, MemberRef::Id(member), false).await?;
        self.last_used.seen(grant.organization, &found, self.clock.now());
        Ok(())
    }
}

impl MemberPage {
    fn of(page: Page<Member>, order: MemberOrder) -> Self {
        let next = page.end().map(|last| Cursor::after(last, order));
        Self {
            members: page.items,
            next,
            total: None,
        }
    }
}
