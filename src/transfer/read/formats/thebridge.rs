//! The Bridge's users: a CSV separated by semicolons that begins `email;role;firstName;lastName`, and has further columns by the
//! names of its API (The Bridge, "tenant users").
//!
//! They are staff, for their `role` is that of this directory. `teams` has keys there and is not taken.

use super::{Columns, has_some};
use crate::transfer::{Field, read::layout::Meaning};

pub(super) const COLUMNS: Columns = &[
    // The same as `email`, where both are.
    ("username", Meaning::Is(Field::Email)),
    ("email", Meaning::Is(Field::Email)),
    ("role", Meaning::Is(Field::Role)),
    ("firstName", Meaning::Is(Field::GivenName)),
    ("lastName", Meaning::Is(Field::FamilyName)),
    ("enabled", Meaning::Is(Field::Enabled)),
    ("onboarded", Meaning::Is(Field::Onboarded)),
    ("lastSeen", Meaning::Is(Field::LastSeenAt)),
];

pub(super) fn has_marks(has: impl Fn(&str) -> bool) -> bool {
    has("role") && has_some(&has, 1, &["firstname", "lastname"]) && has_some(&has, 1, &["email", "username"])
}
