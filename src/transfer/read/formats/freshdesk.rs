//! Freshdesk's contacts, as its API has them (Freshdesk API, "Contacts") and its CSV, whose header is the same in words, such as
//! `Unique External Id`.
//!
//! A member's external id is the `id` there; `unique_external_id` is that of a third product, and taken only where `--map` says
//! so. `active` says whether the address was verified, and is not taken.

use super::{Columns, has_some};
use crate::transfer::{Field, read::layout::Meaning};

pub(super) const COLUMNS: Columns = &[
    ("id", Meaning::Is(Field::ExternalId)),
    ("email", Meaning::Is(Field::Email)),
    ("full_name", Meaning::Is(Field::Name)),
    ("name", Meaning::Is(Field::Name)),
    // Of the API an object with `avatar_url`; null without a picture.
    ("avatar", Meaning::Is(Field::AvatarUrl)),
    // Text in a CSV; of the API an object with `name`, if it was asked for.
    ("company", Meaning::Is(Field::CompanyName)),
    ("language", Meaning::Is(Field::Locale)),
    ("deleted", Meaning::DisabledIf(true)),
    ("blocked", Meaning::DisabledIf(true)),
];

/// Columns that no other format has.
const MARKS: &[&str] = &[
    "unique_external_id",
    "view_all_tickets",
    "other_emails",
    "other_companies",
    "twitter_id",
];
/// Columns that others may have as well.
const HINTS: &[&str] = &[
    "company",
    "company_id",
    "avatar",
    "active",
    "job_title",
    "mobile",
    "work_phone",
    "language",
];

pub(super) fn has_marks(has: impl Fn(&str) -> bool) -> bool {
    has_some(&has, 1, MARKS) || has("id") && has_some(&has, 3, HINTS)
}
