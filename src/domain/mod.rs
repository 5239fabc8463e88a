//! The words of the directory, valid by construction.
//!
//! A value of these types has already been checked, so no layer below the edge checks again. Nothing here knows the
//! database, gRPC or the command line.

mod api_key;
mod clock;
mod condition;
mod error;
mod event;
mod idempotency;
mod ids;
mod link;
mod member;
mod organization;
mod page;
mod patch;
mod profile;
mod query;
mod random;
mod team;
mod text;

pub use api_key::{ApiKey, ApiKeySecret, KeyDigest, Scope, Scopes, UnknownScope};
pub use clock::{Clock, SystemClock, Timestamp};
pub use condition::{Condition, Outage};
pub use error::{Conflict, Precondition, Resource};
pub use event::{Actor, Change, Event, EventKind, EventQuery, Subject, UnknownEventKind};
pub use idempotency::{Idempotency, IdempotencyKey, Idempotent, KeptResponse, RESPONSE_KEPT};
pub use ids::{ApiKeyId, MemberId, OrganizationId, UserId};
pub use link::{Association, Erasure, LinkOutcome, LinkRequest, Linked};
pub use member::{
    Access, AuthMethod, ExternalId, HeldAddress, Member, MemberNumber, Origin, Role, Source, TeamNumber,
    UnknownName,
};
pub use organization::{Organization, OrganizationName, OrganizationPatch, OrganizationRef, Slug};
pub use page::{Page, PageRequest, one_more};
pub use patch::MemberPatch;
pub use profile::{
    AvatarUrl, CompanyName, CustomerStatus, DisplayName, Email, Locale, MemberLookup, PortalRole, Profile,
    PublicMember,
};
pub use query::{Cursor, MemberFilter, MemberOrder, MemberQuery, MemberRef, SortValue, TimeRange};
pub use random::{OsRandom, Random};
pub use team::{Team, TeamName, TeamSlug};
pub use text::InvalidText;
