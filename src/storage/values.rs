//! Domain values as the database stores them, the same on every engine.
//!
//! A stored value that no domain type takes is an error of its column.

use sqlx::{Database, Decode, Encode, Type, encode::IsNull, error::BoxDynError};
use uuid::Uuid;

use crate::domain::{
    Actor, ApiKeyId, AuthMethod, AvatarUrl, ClientIdentity, CompanyName, CustomerStatus, DisplayName, Email,
    EventKind, ExternalId, FamilyName, GivenName, KeyDigest, Locale, LogoUrl, MailError, MailId, MailKind,
    MemberId, MemberNumber, OrganizationId, OrganizationName, PasswordHash, PortalRole, Role, Scopes, Slug,
    Source, TeamName, TeamNumber, TeamSlug, Timestamp, TokenKind, UserId,
};

/// Stores types as another: how they are written, and how they are read.
macro_rules! stored {
    ($([$($type:ident)+] as $raw:ty: $write:expr, $read:expr;)+) => {$($(
        impl<DB: Database> Type<DB> for $type
        where
            $raw: Type<DB>,
        {
            fn type_info() -> DB::TypeInfo {
                <$raw>::type_info()
            }

            fn compatible(info: &DB::TypeInfo) -> bool {
                <$raw>::compatible(info)
            }
        }

        impl<'q, DB: Database> Encode<'q, DB> for $type
        where
            $raw: Encode<'q, DB>,
        {
            fn encode_by_ref(&self, buffer: &mut DB::ArgumentBuffer) -> Result<IsNull, BoxDynError> {
                let write: fn(&Self) -> $raw = $write;
                write(self).encode(buffer)
            }
        }

        impl<'r, DB: Database> Decode<'r, DB> for $type
        where
            $raw: Decode<'r, DB>,
        {
            fn decode(value: DB::ValueRef<'r>) -> Result<Self, BoxDynError> {
                let read: fn($raw) -> Result<Self, BoxDynError> = $read;
                read(<$raw>::decode(value)?)
            }
        }
    )+)+};
}

stored! {
    [ApiKeyId MailId MemberId OrganizationId UserId] as Uuid: |id| *id.as_uuid(), |uuid| Ok(Self::from_uuid(uuid));
    [MemberNumber TeamNumber] as i64: |number| number.0, |number| Ok(Self(number));
    [Timestamp] as i64: |time| time.as_millis(), |millis| Ok(Self::from_millis(millis));
    [Actor AuthMethod EventKind MailKind Role Scopes TokenKind] as String: ToString::to_string, |name| Ok(name.parse()?);
    [KeyDigest] as Vec<u8>: |digest| digest.as_bytes().to_vec(), |bytes| Ok(Self::from_bytes(bytes.as_slice().try_into()?));
    [PasswordHash] as String: |hash| hash.as_str().to_owned(), |text| Ok(Self::new(text));
    [
        AvatarUrl ClientIdentity CompanyName CustomerStatus DisplayName Email ExternalId FamilyName GivenName Locale LogoUrl MailError OrganizationName PortalRole Slug Source
        TeamName TeamSlug
    ] as String: |text| text.as_str().to_owned(), |text| Ok(Self::new(text)?);
}

/// The organization column of a key, an event or a kept response: the nil UUID for what belongs to no organization.
pub(super) fn organization_column(organization: Option<OrganizationId>) -> OrganizationId {
    organization.unwrap_or(OrganizationId::from_uuid(Uuid::nil()))
}

/// What [`organization_column`] wrote.
pub(super) fn organization_of(column: OrganizationId) -> Option<OrganizationId> {
    (!column.as_uuid().is_nil()).then_some(column)
}
