//! Our own files: CSV, NDJSON and JSON with the names of [`Field`] for columns, as [`Writer`](crate::transfer::Writer) has them.

use super::{Columns, has_some};
use crate::transfer::{Field, read::layout::Meaning};

pub(super) const COLUMNS: Columns = &[
    ("email", Meaning::Is(Field::Email)),
    ("name", Meaning::Is(Field::Name)),
    ("given_name", Meaning::Is(Field::GivenName)),
    ("family_name", Meaning::Is(Field::FamilyName)),
    ("avatar_url", Meaning::Is(Field::AvatarUrl)),
    ("portal_role", Meaning::Is(Field::PortalRole)),
    ("company_name", Meaning::Is(Field::CompanyName)),
    ("customer_status", Meaning::Is(Field::CustomerStatus)),
    ("locale", Meaning::Is(Field::Locale)),
    ("role", Meaning::Is(Field::Role)),
    ("enabled", Meaning::Is(Field::Enabled)),
    ("auth_method", Meaning::Is(Field::AuthMethod)),
    ("onboarded", Meaning::Is(Field::Onboarded)),
    ("source", Meaning::Is(Field::Source)),
    ("external_id", Meaning::Is(Field::ExternalId)),
    ("teams", Meaning::Is(Field::Teams)),
    ("primary_team", Meaning::Is(Field::PrimaryTeam)),
    ("last_seen_at", Meaning::Is(Field::LastSeenAt)),
    ("revoked_at", Meaning::RevokedAt),
];

/// Columns that no other format has.
const MARKS: &[&str] = &[
    "user_id",
    "portal_role",
    "customer_status",
    "company_name",
    "avatar_url",
    "given_name",
    "family_name",
    "auth_method",
    "primary_team",
];

pub(super) fn has_mark(has: impl Fn(&str) -> bool) -> bool {
    has_some(has, 1, MARKS)
}
