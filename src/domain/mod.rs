//! The words of the directory, valid by construction.
//!
//! A value of these types has already been checked, so no layer below the edge checks again. Nothing here knows the
//! database, gRPC or the command line.

mod api_key;
mod clock;
mod entry;
mod event;
mod ids;
mod member;
mod organization;
mod page;
mod patch;
mod random;
mod team;
mod text;

pub use api_key::{ApiKey, ApiKeySecret, KeyDigest, Scope, Scopes, UnknownScope};
pub use clock::{Clock, SystemClock, Timestamp};
pub use entry::{
    Access, AuthMethod, ExternalId, HeldAddress, MemberEntry, MemberNumber, Origin, Role, Source, TeamNumber,
    UnknownName,
};
pub use event::{Actor, Event, EventKind, UnknownEventKind};
pub use ids::{ApiKeyId, MemberId, OrganizationId, UserId};
pub use member::{
    AvatarUrl, CompanyName, CustomerStatus, DisplayName, Email, Member, MemberLookup, PortalRole, Profile,
};
pub use organization::{Organization, OrganizationName, Slug};
pub use page::Page;
pub use patch::MemberPatch;
pub use random::{OsRandom, Random};
pub use team::{Team, TeamKey, TeamName};
pub use text::InvalidText;
