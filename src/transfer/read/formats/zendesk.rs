//! Zendesk's users, as its API has them (Zendesk Support API, "Users", "JSON format") and its exports, which are made of the same
//! objects: one a line, or a page as `{"users": [...]}`.
//!
//! Agents and admins come as end users: who is staff here is nothing that another product decides. A member's external id is the
//! `id` there; their `external_id` is that of a third product, and taken only where `--map` says so.

use super::{Columns, has_some};
use crate::transfer::{Field, read::layout::Meaning};

pub(super) const COLUMNS: Columns = &[
    ("id", Meaning::Is(Field::ExternalId)),
    ("email", Meaning::Is(Field::Email)),
    ("name", Meaning::Is(Field::Name)),
    // Of the API an object with `content_url`; null without a picture.
    ("photo", Meaning::Is(Field::AvatarUrl)),
    // The API has `organization_id` alone, with which nothing can be done here.
    ("organization", Meaning::Is(Field::CompanyName)),
    ("locale", Meaning::Is(Field::Locale)),
    ("last_login_at", Meaning::Is(Field::LastSeenAt)),
    ("suspended", Meaning::DisabledIf(true)),
    // "false if the user has been deleted".
    ("active", Meaning::DisabledIf(false)),
];

/// Keys that no other format has.
const MARKS: &[&str] = &[
    "suspended",
    "restricted_agent",
    "ticket_restriction",
    "shared_agent",
    "user_fields",
    "last_login_at",
];
/// Keys that others may have as well.
const HINTS: &[&str] = &[
    "photo",
    "organization",
    "organization_id",
    "role",
    "verified",
    "active",
    "tags",
    "locale_id",
];

pub(super) fn has_marks(has: impl Fn(&str) -> bool) -> bool {
    has("id") && (has_some(&has, 1, MARKS) || has_some(&has, 3, HINTS))
}
