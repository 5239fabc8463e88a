//! All members of an organization, part by part.

use crate::{
    domain::{Cursor, Member, MemberNumber, MemberQuery, PageRequest, Timestamp},
    service::{Directory, Read, Result},
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
}

impl Directory {
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
