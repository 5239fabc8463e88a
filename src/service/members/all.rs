//! All members of an organization, part by part.

use crate::{
    domain::{
        Cursor, Member, MemberNumber, MemberOrder, MemberQuery, OrganizationId, PageRequest, Timestamp,
    },
    service::{Credential, Directory, KeyPlace, Read, Result, ServiceError},
};

/// Where the next part of all members begins.
#[derive(Clone, Debug)]
pub enum AllPlace {
    /// Among those who are live, after this one.
    Live(Option<Cursor>),
    /// Among those who were revoked, after this one.
    Revoked(Option<(Timestamp, MemberNumber)>),
}

impl AllPlace {
    pub const START: Self = Self::Live(None);

    /// In the same list, after this one of it.
    #[must_use]
    pub fn after(&self, last: &Member) -> Self {
        match self {
            Self::Live(_) => Self::Live(Some(Cursor::after(last, MemberOrder::default()))),
            Self::Revoked(_) => Self::Revoked(last.revoked_at.map(|at| (at, last.number))),
        }
    }
}

impl Directory {
    /// A place for a call that moves members of this organization in or out, which is to be kept for as long as that lasts. There
    /// are 64 in all, 16 of one organization, and 8 of these with one key.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Overloaded`].
    pub fn transfer_place(&self, organization: OrganizationId, credential: &Credential) -> Result<KeyPlace> {
        let place = self.transfers.take(organization, credential.presented.digest);
        place.ok_or(ServiceError::Overloaded)
    }

    /// Some of all members, and where the next ones are, if there are any: live ones in the order of their numbers, then, if
    /// asked for, those who were revoked and are not erased, the last first. Who comes or goes between two parts may be
    /// among them or not; who is there throughout comes once.
    ///
    /// # Errors
    ///
    /// Only those of the storage.
    pub async fn all_members(
        &self,
        grant: Read,
        place: AllPlace,
        with_revoked: bool,
        limit: u32,
    ) -> Result<(Vec<Member>, Option<AllPlace>)> {
        match place {
            AllPlace::Live(after) => {
                let query = MemberQuery {
                    after,
                    limit,
                    ..MemberQuery::default()
                };
                let page = self.members(grant, query).await?;
                let next = page.next.map(|last| AllPlace::Live(Some(last)));
                let next = next.or(with_revoked.then_some(AllPlace::Revoked(None)));
                Ok((page.members, next))
            }
            AllPlace::Revoked(after) => {
                let page = PageRequest { after, limit };
                let page = self
                    .revoked_members(grant, Timestamp::from_millis(0).into(), page)
                    .await?;
                let next = page.end().and_then(|last| Some((last.revoked_at?, last.number)));
                Ok((page.items, next.map(|last| AllPlace::Revoked(Some(last)))))
            }
        }
    }
}
