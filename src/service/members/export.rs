//! Everything that is held about a user in one organization, page by page.

use serde::{Deserialize, Serialize};

use crate::{
    domain::{Event, EventQuery, HeldAddress, Member, MemberNumber, Page, PageRequest, Resource, UserId},
    service::{Directory, Read, Result},
};

/// One thing that is held about a user.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a page is mostly links or mostly events"
)]
pub enum Exported {
    /// A link, live or not.
    Link(Member),
    /// An address of a link.
    Address(HeldAddress),
    /// An event of a link.
    Event(Event),
}

/// What an export has reached. Links come first, then addresses, then events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExportPlace {
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
    #[must_use]
    pub const fn place(&self) -> ExportPlace {
        match self {
            Self::Link(member) => ExportPlace::Link(member.number.0),
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
    /// A page of everything that is held about a user in the organization: the links, then the addresses, then the events.
    ///
    /// # Errors
    ///
    /// [`Resource::User`]: there never was a link here.
    pub async fn export_user(
        &self,
        grant: Read,
        user: UserId,
        after: ExportPlace,
        limit: u32,
    ) -> Result<Page<Exported>> {
        let organization = grant.organization;
        // One more than asked for tells whether there is another page.
        let missing = |entries: &Vec<_>| {
            let there = u32::try_from(entries.len()).unwrap_or(u32::MAX);
            limit.saturating_add(1).saturating_sub(there)
        };
        let mut entries = Vec::new();
        if let ExportPlace::Start | ExportPlace::Link(_) = after {
            let page = PageRequest {
                after: after.link(),
                limit: missing(&entries),
            };
            let links = self.storage.links_of_user(organization, user, page).await?;
            if links.is_empty() && after == ExportPlace::Start {
                return Err(Resource::User.into());
            }
            entries.extend(links.into_iter().map(Exported::Link));
        }
        if !matches!(after, ExportPlace::Event(_)) && missing(&entries) > 0 {
            let page = PageRequest {
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
                ..EventQuery::default()
            };
            let events = self.storage.events(Some(organization), query).await?;
            entries.extend(events.into_iter().map(Exported::Event));
        }
        Ok(Page::of(entries, limit))
    }
}
