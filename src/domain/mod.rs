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
mod import;
mod link;
mod mail;
mod member;
pub(crate) mod names;
mod organization;
mod page;
mod password;
mod patch;
mod person;
mod profile;
mod query;
mod random;
mod team;
mod text;
mod token;

pub use api_key::{ApiKey, ApiKeySecret, KeyDigest, Scope, Scopes};
pub use clock::{CLOCKS_DIFFER, Clock, SystemClock, Timestamp};
pub use condition::{Condition, Outage};
pub use error::{Conflict, Precondition, Resource};
pub use event::{Actor, Author, Change, ClientIdentity, Event, EventKind, EventQuery, Subject};
pub use idempotency::{Idempotency, IdempotencyKey, Idempotent, KeptResponse, RESPONSE_KEPT};
pub use ids::{ApiKeyId, MailId, MemberId, OrganizationId, UserId};
pub use import::ImportRow;
pub use link::{Association, Erasure, LinkOutcome, LinkRequest, Linked};
pub use mail::{DueMail, Mail, MailError, MailKind, MailState};
pub use member::{
    Access, AuthMethod, ExternalId, HeldAddress, Member, MemberNumber, Origin, Role, Source, TeamNumber,
};
pub use names::UnknownName;
pub use organization::{
    Branding, BrandingPatch, LogoUrl, Organization, OrganizationName, OrganizationPatch, OrganizationRef,
    Slug,
};
pub use page::{Page, PageRequest, one_more};
pub use password::{Password, PasswordHash};
pub use patch::MemberPatch;
pub use person::{FamilyName, GivenName, PersonName};
pub use profile::{
    AvatarUrl, CompanyName, CustomerStatus, DisplayName, Email, Locale, MemberLookup, PortalRole, Profile,
    PublicMember,
};
pub use query::{
    Cursor, MemberFilter, MemberOrder, MemberQuery, MemberRef, RevokedFilter, SortValue, TimeRange,
};
pub use random::{OsRandom, Random};
pub use team::{Team, TeamName, TeamSlug};
pub use text::InvalidText;
pub use token::{Presented, SESSION_IDLE, StoredToken, TokenKind, TokenSecret};
